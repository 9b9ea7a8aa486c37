from typing import Any

import jsonschema
import pytest

from model_functions.errors import InvalidInput
from model_functions.tensors import TensorInput, TensorSpec, looks_batched

PIXELS = TensorSpec("pixels", "float32", ("batch", 2, 3))
IMAGE = [[0, 0.5, 1], [1, 2, 3]]
TOKENS = TensorInput(
    [
        TensorSpec("tokens", "int64", ("batch", "sequence")),
        TensorSpec("mask", "bool", ("batch", "sequence")),
        TensorSpec("scale", "float16", (1,), optional=True),
    ],
    batched=True,
    sizes={"sequence": (2, 4)},
)
IMAGES = TensorInput([PIXELS], batched=True, max_items=3, max_values=12)
SENTENCE = {"tokens": [1, 2, 3], "mask": [True, True, False]}


def one(dtype: str, shape: tuple[int | str | None, ...] | None = (None,)) -> TensorInput:
    return TensorInput([TensorSpec("x", dtype, shape)], batched=False)


@pytest.mark.parametrize(
    ("reads", "data", "count", "single"),
    [
        (IMAGES, IMAGE, 1, True),
        (IMAGES, [IMAGE, IMAGE], 2, False),
        (IMAGES, [IMAGE], 1, False),
        (IMAGES, {"pixels": IMAGE}, 1, True),
        (IMAGES, [{"pixels": IMAGE}, IMAGE], 2, False),
        (TOKENS, SENTENCE, 1, True),
        (TOKENS, [SENTENCE, SENTENCE | {"scale": [0.5]}], 2, False),
        (TensorInput([TensorSpec("x", "int8", ("n",))], batched=True), 3, 1, True),
        (TensorInput([TensorSpec("x", "int8", ("n",))], batched=True), [3, 4], 2, False),
        (one("int8", ()), 3, 1, True),
        (one("int8", ()), [3, 4], 2, False),
        (one("string"), ["a", "b"], 1, True),
        (one("string"), [["a", "b"], ["c"]], 2, False),
        (one("float32", None), [[[1]]], 1, True),
        (one("float32", None), [{"x": [1]}, {"x": 2}], 2, False),
        (one("float64"), [10**39], 1, True),
        (one("uint64"), [2**64 - 1, 0], 1, True),
        (one("bfloat16"), [3.3e38], 1, True),
    ],
)
def test_an_item_and_a_list_of_items_are_told_by_their_depth(
    reads: TensorInput, data: Any, count: int, single: bool
) -> None:
    items, is_single = reads.items(data)
    assert (len(items), is_single) == (count, single)
    assert all(isinstance(item, dict) for item in items)
    jsonschema.validate(data, reads.schema())


SHAPE = '"pixels" has the shape (2, 3)'


@pytest.mark.parametrize(
    ("reads", "data", "path", "message"),
    [
        (IMAGES, [], "data", "data is an empty list. Send at least one item."),
        (IMAGES, [IMAGE] * 4, "data", "data has 4 items; the limit is 3. Send fewer per request."),
        (IMAGES, [IMAGE] * 3, "data", "data has 18 values; the limit is 12. Send fewer per request."),
        (IMAGES, 5, "data", f"data is a number; {SHAPE}. Send a list 2 deep."),
        (IMAGES, None, "data", f"data is null; {SHAPE}. Send a list 2 deep."),
        (IMAGES, [1, 2], "data[0]", f"data[0] is a number; {SHAPE}. Send a list 1 deep."),
        (IMAGES, IMAGE[:1], "data", f"data has 1 values; {SHAPE}. Send 2 here."),
        (IMAGES, [IMAGE, [[1, 2, 3], [4, 5]]], "data[1][1]", f"data[1][1] has 2 values; {SHAPE}. Send 3 here."),
        (IMAGES, [[1, 2, 3], []], "data[1]", f"data[1] has 0 values; {SHAPE}. Send 3 here."),
        (
            IMAGES,
            [[1, 2, 3], [4, None, 5]],
            "data[1][1]",
            'data[1][1] is null; "pixels" is float32. Send a number (float32, up to 3.40282e+38).',
        ),
        (
            IMAGES,
            [[1, 2, 3], [4, "5", 6]],
            "data[1][1]",
            'data[1][1] is "5"; "pixels" is float32. Send a number (float32, up to 3.40282e+38).',
        ),
        (
            IMAGES,
            [[1, 2, 3], [4, 5, [6]]],
            "data[1][2]",
            f"data[1][2] is a list; {SHAPE}. Send a number (float32, up to 3.40282e+38) here.",
        ),
        (
            IMAGES,
            [[1, 2, 3], [4, 5, 1e39]],
            "data[1][2]",
            'data[1][2] is 1e+39; "pixels" is float32. Send a number (float32, up to 3.40282e+38).',
        ),
        (
            IMAGES,
            [[1, 2, 3], [4, 5, True]],
            "data[1][2]",
            'data[1][2] is true; "pixels" is float32. Send a number (float32, up to 3.40282e+38).',
        ),
        (one("int8"), [1, 200], "data[1]", 'data[1] is 200; "x" is int8. Send an integer from -128 to 127.'),
        (one("uint8"), [-1], "data[0]", 'data[0] is -1; "x" is uint8. Send an integer from 0 to 255.'),
        (
            one("int32"),
            [1.5],
            "data[0]",
            'data[0] is 1.5; "x" is int32. Send an integer from -2147483648 to 2147483647.',
        ),
        (one("bool"), [1], "data[0]", 'data[0] is 1; "x" is bool. Send true or false.'),
        (one("string"), [1], "data[0]", 'data[0] is 1; "x" is string. Send a string.'),
        (one("string", ()), {"x": ["a"]}, "data.x", 'data.x is a list; "x" has the shape (). Send a string here.'),
        (
            one("float16"),
            [70000.0],
            "data[0]",
            'data[0] is 70000.0; "x" is float16. Send a number (float16, up to 65504).',
        ),
        (
            one("float32", None),
            [[1], [2, 3]],
            "data[1]",
            'data[1] has 2 values; "x" has the shape (any, any). Send 1 here.',
        ),
        (TOKENS, [1, 2], "data[0]", 'data[0] is a number. Send an object with the inputs "tokens", "mask", "scale".'),
        (TOKENS, {"tokens": [1, 2]}, "data", 'data lacks "mask". The inputs are: "tokens", "mask", "scale".'),
        (
            TOKENS,
            [SENTENCE, SENTENCE | {"type": 1}],
            "data[1]",
            'data[1] has no input "type". The inputs are: "tokens", "mask", "scale".',
        ),
        (
            TOKENS,
            {"tokens": [1, 2, 3], "mask": [True, False]},
            "data.mask",
            'data.mask has 2 values along "sequence", and data.tokens has 3. They must be equally many.',
        ),
        (
            TOKENS,
            {"tokens": [1] * 5, "mask": [True] * 5},
            "data.tokens",
            'data.tokens has 5 values along "sequence"; the model takes from 2 to 4.',
        ),
    ],
)
def test_a_wrong_tensor_is_refused_with_its_place(reads: TensorInput, data: Any, path: str, message: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        reads.items(data)
    assert (caught.value.path, caught.value.message) == (path, message)


def test_a_query_is_json_or_values_between_commas() -> None:
    assert one("float32").from_query(["1,2.5"]) == [1, 2.5]
    assert one("float32").from_query(["[1, 2]", "[3]"]) == [[1, 2], [3]]
    assert one("string", ()).from_query(["a b"]) == "a b"
    for text in ("NaN", "[" * 5000, "a"):
        with pytest.raises(InvalidInput, match="is no JSON"):
            one("float32").from_query([text])


def test_a_type_that_json_cannot_spell_is_refused() -> None:
    with pytest.raises(ValueError, match='"z" is of the type complex64, which JSON cannot spell'):
        TensorSpec("z", "complex64", (2,))


@pytest.mark.parametrize(
    ("inputs", "outputs", "batched"),
    [
        ([("n", 2)], [("n", 3)], True),
        ([(None, 2)], [None], True),
        ([("n",), ("n", 4)], [("m",)], True),
        ([(1, 3, 8, 8)], [(1, 10)], True),
        ([(1, 3, 8, 8)], [("n", 10)], False),
        ([(1,)], [(1,)], False),
        ([(4, 2)], [(4, 2)], False),
        ([("n", 2)], [(1, 2)], False),
        ([("n", 2)], [()], False),
        ([("n", 2), ("m", 2)], [("n", 2)], False),
        ([("n", 2), ()], [("n", 2)], False),
        ([None], [("n",)], False),
        ([], [("n",)], False),
    ],
)
def test_a_batch_is_told_by_the_first_dimensions(inputs: list[Any], outputs: list[Any], batched: bool) -> None:
    specs = [[TensorSpec("x", "float32", shape) for shape in shapes] for shapes in (inputs, outputs)]
    assert looks_batched(*specs) is batched
