"""ONNX: tensors in, tensors out, by any graph."""

from pathlib import Path
from typing import Any, Self

from model_functions.tensor_models import TensorWrapper, beside


class OnnxWrapper(TensorWrapper):
    """A prediction is the graph's output as nested lists, or, of several outputs, an object of them by name.

    Sequences and maps, as scikit-learn's converter gives probabilities, are lists and objects.
    """

    family, engine_name = "onnx", "onnxruntime"
    formats = ("onnx",)

    @classmethod
    def from_source(cls, source: str, *, example: Any = None, **settings: Any) -> Self:
        """From an ``.onnx`` file, with its external data beside it. Loading one runs no code of its maker.

        Settings may stand in a JSON file beside it, as ``digits.json`` beside ``digits.onnx``:
        ``{"preprocess": {"pixels": [{"rescale": 0.0625}]}, "postprocess": {"logits": ["softmax", {"labels": […]}]}}``,
        with the steps of engines/steps.py; and ``"batched"``, whether the first dimension counts items.

        Args:
            example: tells whether the graph reads batches, where its shapes leave that open.
            settings: the other arguments of the wrapper.
        """
        from model_functions.engines import onnx_file

        path = Path(source)
        if path.suffix != ".onnx":
            raise ValueError(f"{path.name} is no .onnx file.")
        found = beside(path, cls.settings)
        return cls.from_engine(onnx_file.read(path), example, **(found | settings))
