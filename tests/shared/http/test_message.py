import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_functions.http.message import Response

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(VALUES)
def test_a_body_is_what_json_writes(value: Any) -> None:
    assert Response.json(value).body.decode() == json.dumps(value, ensure_ascii=False) + "\n"


@pytest.mark.parametrize("value", [math.nan, [math.inf], {"a": -math.inf}])
def test_a_body_has_no_number_that_json_has_not(value: Any) -> None:
    with pytest.raises(ValueError, match="Out of range float values"):
        Response.json(value)


def test_what_json_has_no_word_for_is_refused() -> None:
    with pytest.raises(TypeError, match="object is not JSON serializable"):
        Response.json({"a": object()})
