"""The Open Inference Protocol's words for the types of tensors."""

from model_functions.tensors import TensorSpec

#: By numpy's words.
DATATYPES = {
    "bool": "BOOL",
    "float16": "FP16",
    "bfloat16": "BF16",
    "float32": "FP32",
    "float64": "FP64",
    "string": "BYTES",
    **{f"{kind}{bits}": f"{kind.upper()}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)},
}
DTYPES = {word: dtype for dtype, word in DATATYPES.items()}

#: Bytes of a value; those of strings differ.
SIZES = {
    "BOOL": 1,
    "BF16": 2,
    **{f"FP{bits}": bits // 8 for bits in (16, 32, 64)},
    **{f"{kind}{bits}": bits // 8 for kind in ("INT", "UINT") for bits in (8, 16, 32, 64)},
}


def shape_of(spec: TensorSpec) -> list[int]:
    """Sizes, -1 where any will do."""
    return [-1] if spec.shape is None else [size if isinstance(size, int) else -1 for size in spec.shape]
