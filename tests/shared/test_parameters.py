import pytest

from model_functions.errors import InvalidInput
from model_functions.parameters import Parameter, check_parameters

BEAMS = Parameter("num_beams", "integer", "Candidates.", 1, 1, 8)
HEAT = Parameter("temperature", "number", "Boldness.", 1.0, 0.05, 5)
SEED = Parameter("seed", "integer", "Repeats a draw.", None, 0, 100)
SAMPLE = Parameter("do_sample", "boolean", "Draw.", False)
STRATEGY = Parameter("strategy", "string", "How.", "first", choices=("first", "max"))
PREFIX = Parameter("prefix", "string", "Before the text.", "", 0, 10)


@pytest.mark.parametrize(
    ("parameter", "value"),
    [(BEAMS, 1), (BEAMS, 8), (HEAT, 2), (HEAT, 0.05), (SEED, None), (SAMPLE, True), (STRATEGY, "max"), (PREFIX, "")],
)
def test_a_value_within_bounds_passes(parameter: Parameter, value: object) -> None:
    assert parameter.check(value) == value


@pytest.mark.parametrize(
    ("parameter", "value", "message"),
    [
        (BEAMS, 9, '"num_beams": 9 is out of bounds. Give an integer from 1 to 8.'),
        (BEAMS, 0, '"num_beams": 0 is out of bounds. Give an integer from 1 to 8.'),
        (BEAMS, 2**63, '"num_beams": 9223372036854775808 is out of bounds. Give an integer from 1 to 8.'),
        (BEAMS, "2", '"num_beams": "2" is no integer. Give an integer from 1 to 8.'),
        (BEAMS, 1.5, '"num_beams": 1.5 is no integer. Give an integer from 1 to 8.'),
        (BEAMS, True, '"num_beams": true is no integer. Give an integer from 1 to 8.'),
        (BEAMS, None, '"num_beams": null is no integer. Give an integer from 1 to 8.'),
        (BEAMS, [1], '"num_beams": [1] is no integer. Give an integer from 1 to 8.'),
        (HEAT, 5.1, '"temperature": 5.1 is out of bounds. Give a number from 0.05 to 5.'),
        (HEAT, float("nan"), '"temperature": NaN is out of bounds. Give a number from 0.05 to 5.'),
        (SAMPLE, 1, '"do_sample": 1 is no boolean. Give true or false.'),
        (STRATEGY, "last", '"strategy": "last" is none of first, max. Give one of first, max.'),
        (
            PREFIX,
            "x" * 11,
            '"prefix": a text of 11 characters is out of bounds. Give a string of at most 10 characters.',
        ),
    ],
)
def test_anything_else_is_refused_by_name_value_and_way_out(parameter: Parameter, value: object, message: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parameter.check(value)
    assert caught.value.message == message
    assert caught.value.path == f"parameters.{parameter.name}"


def test_a_long_value_is_cut_in_the_message() -> None:
    with pytest.raises(InvalidInput) as caught:
        BEAMS.check("x" * 10_000)
    assert len(caught.value.message) < 150


@pytest.mark.parametrize(
    ("parameter", "text", "value"),
    [(BEAMS, "4", 4), (HEAT, "0.5", 0.5), (HEAT, "1e-1", 0.1), (SAMPLE, "True", True), (PREFIX, "7", "7")],
)
def test_a_query_string_is_read_by_type(parameter: Parameter, text: str, value: object) -> None:
    assert parameter.parse(text) == value


@pytest.mark.parametrize(("parameter", "text"), [(BEAMS, "four"), (BEAMS, "4.0"), (SAMPLE, "yes"), (HEAT, "nan")])
def test_a_query_string_of_another_type_is_refused(parameter: Parameter, text: str) -> None:
    with pytest.raises(InvalidInput, match=parameter.name):
        parameter.parse(text)


def test_a_publisher_narrows_and_presets() -> None:
    published = BEAMS.published(default=2, bounds=(2, 4))
    assert (published.default, published.minimum, published.maximum) == (2, 2, 4)
    assert BEAMS.published(bounds=(3, 4)).default == 3, "the declared default moves inside the new bounds"


STOP = Parameter("stop", "strings", "Ends.", None, 0, 3)


@pytest.mark.parametrize(
    ("text", "value"), [("x", ["x"]), ('["a", "\\n"]', ["a", "\n"]), ("[]", []), ("]", ["]"]), ('["["]', ["["])]
)
def test_a_query_string_spells_a_list_of_strings(text: str, value: list[str]) -> None:
    assert STOP.parse(text) == value


@pytest.mark.parametrize(
    ("value", "what"),
    [
        ("x", '"x" is no list of strings'),
        ({}, "{} is no list of strings"),
        (True, "true is no list of strings"),
        (["a", 1], "1 is no string"),
        (["a", None], "null is no string"),
        ([""], "a text of 0 characters is out of bounds"),
        (["x" * 101], "a text of 101 characters is out of bounds"),
        (["x"] * 4, "a list of 4 is out of bounds"),
    ],
)
def test_a_list_of_strings_is_checked_one_by_one(value: object, what: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        STOP.check(value)
    assert caught.value.message == f'"stop": {what}. Give a list of at most 3 strings of 1 to 100 characters.'


def test_a_list_of_strings_that_a_query_spells_badly_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r'"\[oops" is no list of strings'):
        STOP.parse("[oops")


def test_the_schema_of_a_list_of_strings() -> None:
    item = {"type": "string", "minLength": 1, "maxLength": 100}
    assert STOP.schema() == {"type": "array", "description": "Ends.", "items": item, "minItems": 0, "maxItems": 3}


@pytest.mark.parametrize("bounds", [(0, 4), (1, 9), (4, 2)])
def test_a_publisher_cannot_widen(bounds: tuple[float, float]) -> None:
    with pytest.raises(InvalidInput, match="do not lie inside the declared ones"):
        BEAMS.published(bounds=bounds)


def test_a_publishers_default_keeps_the_bounds() -> None:
    with pytest.raises(InvalidInput, match="out of bounds"):
        BEAMS.published(default=5, bounds=(1, 4))


def test_a_name_that_is_not_declared_is_refused_with_those_that_are() -> None:
    with pytest.raises(InvalidInput) as caught:
        check_parameters({"num_beams": BEAMS}, {"beams": 2})
    assert caught.value.message == '"beams" is no parameter of this model. Its parameters: num_beams.'


def test_silence_means_the_defaults() -> None:
    assert check_parameters({"num_beams": BEAMS, "seed": SEED}, {"num_beams": 3}) == {"num_beams": 3, "seed": None}


def test_the_schema_says_it_all() -> None:
    assert BEAMS.schema() == {
        "type": "integer",
        "description": "Candidates.",
        "minimum": 1,
        "maximum": 8,
        "default": 1,
    }
    assert STRATEGY.schema()["enum"] == ["first", "max"]
    assert PREFIX.schema()["maxLength"] == 10


def test_an_integer_is_a_number_that_computes_as_one() -> None:
    found = Parameter("temperature", "number", "", 1.0, 0, 5).check(4)
    assert (found, type(found)) == (4.0, float)
