"""Image classification: an image in, its most probable labels out."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Self

from model_functions.engines import ImageEngine
from model_functions.errors import InvalidInput
from model_functions.inputs import MAX_ITEMS, check_count, json_type, one_or_many
from model_functions.parameters import Parameter
from model_functions.rows import Batch, Row, Rows, RowWrapper
from model_functions.schemas import scored
from model_functions.string_tensors import byte_strings, check_tensor_names, string_spec
from model_functions.tensors import TensorSpec
from model_functions.wrapper import Prepared

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from model_functions.engines.pillow import ImageProcessor

_WAYS = "Send an image file as the body, as a file of a form, or in base64"

#: A grey square that darkens to the right: what warm-up predicts when the publisher gives no example.
GREY_SQUARE = "iVBORw0KGgoAAAANSUhEUgAAABAAAAAQCAAAAAA6mKC9AAAAE0lEQVR42mP88BEVMDGggZElAACS2g8vLYp85AAAAABJRU5ErkJggg=="


@dataclass(frozen=True)
class Picture:
    """The file of an image.

    Args:
        path: where in the request it stands.
    """

    path: str
    data: bytes


class ImageInput:
    """An image file, as its bytes or as text in base64, plain or as a ``data:`` URL; or a list of them.

    Args:
        shape: (channels, height, width) of what the model sees, for whoever draws something for it.
    """

    kind = "image"

    def __init__(self, shape: tuple[int, int, int], max_items: int = MAX_ITEMS) -> None:
        self.shape = shape
        self.max_items = max_items

    def items(self, data: Any) -> tuple[list[Picture], bool]:
        if not isinstance(data, list):
            return [_picture(data, "data")], True
        check_count(data, self.max_items)
        return [_picture(value, f"data[{index}]") for index, value in enumerate(data)], False

    def from_query(self, values: list[str]) -> str | list[str]:
        # A query string has spaces for the pluses that nobody escaped.
        texts = [value.replace(" ", "+") for value in values]
        return texts[0] if len(texts) == 1 else texts

    def schema(self) -> dict[str, Any]:
        channels, height, width = self.shape
        image = {
            "type": "string",
            "minLength": 1,
            "format": "image",
            "contentEncoding": "base64",
            "contentMediaType": "image/*",
            "description": f"A PNG, JPEG, WebP or GIF image; the model sees {width} × {height} pixels, "
            f"{'grey' if channels == 1 else 'coloured'}.",
            "x-image": {"channels": channels, "height": height, "width": width},
        }
        return one_or_many(image, self.max_items)


class ImageClassificationWrapper(RowWrapper):
    """A prediction is the list of labels, best first: ``{"label", "score"}``.

    Args:
        processor: from an image to the model's pixels.
        multi_label: whether several labels may hold at once; then each has a probability of its own.
    """

    family, task = "image_classification", "image-classification"
    input_name = "image"
    batch = Batch(8, 8)
    architectures = ("ForImageClassification",)
    media = ("image/*", "application/octet-stream")
    default_example: ClassVar[Any] = GREY_SQUARE
    declared = (
        Parameter("top_k", "integer", "How many labels to answer.", 5, 1, 1_000_000),
        Parameter("threshold", "number", "Labels less probable than this are left out.", 0.0, 0, 1),
    )

    def __init__(
        self,
        engine: ImageEngine,
        processor: ImageProcessor,
        *,
        multi_label: bool = False,
        max_items: int = MAX_ITEMS,
        defaults: Mapping[str, Any] | None = None,
        bounds: Mapping[str, tuple[float, float]] | None = None,
    ) -> None:
        count = len(engine.labels)
        top_k, threshold = self.declared
        declared = (replace(top_k, default=min(5, count), maximum=count), threshold)
        super().__init__(ImageInput(processor.shape, max_items), defaults=defaults, bounds=bounds, declared=declared)
        self.engine = engine
        self.processor = processor
        self.multi_label = multi_label

    @classmethod
    def from_source(cls, source: str, **settings: Any) -> Self:
        """From a Hugging Face Hub id or folder, with its preprocessor_config.json.

        Args:
            settings: the other arguments of the wrapper.

        Raises ValueError for a processor that does what is not known here, and for a model that gives no labels.
        """
        from model_functions.engines.image_folder import load_image_classifier
        from model_functions.engines.pillow import ImageProcessor

        found = load_image_classifier(source)
        processor = ImageProcessor.from_config(found.processor, found.channels)
        return cls(found.engine, processor, multi_label=found.multi_label, **settings)

    @classmethod
    def from_module(
        cls,
        module: Any,
        labels: Sequence[str],
        *,
        size: tuple[int, int],
        mean: Sequence[float] = (),
        std: Sequence[float] = (),
        crop: tuple[int, int] | None = None,
        resample: str = "bilinear",
        **settings: Any,
    ) -> Self:
        """From a torch module that takes pixels, shape (images, channels, height, width), and gives logits.

        Args:
            labels: of the logits, in their order.
            size: (height, width) that images are resized to.
            mean, std: of each channel, for values from 0 to 1: as many as the module has channels, 1 or 3. Without
                them it gets three channels from 0 to 1.
            crop: (height, width) of the middle that is kept afterwards.
            resample: ``nearest``, ``bilinear``, ``bicubic``, ``lanczos``, ``box`` or ``hamming``.
            settings: the other arguments of the wrapper.
        """
        from model_functions.engines.pillow import plain_processor
        from model_functions.engines.torch import ImageClassifier

        processor = plain_processor(size, mean, std, crop=crop, resample=resample)
        wrapper = cls(ImageClassifier(module, list(labels)), processor, **settings)
        shape = wrapper.engine.logits(wrapper.pixels(wrapper.input.items(GREY_SQUARE)[0])).shape
        if shape != (1, len(labels)):
            raise ValueError(
                f"The module gives numbers of shape {shape} for an image, and there are {len(labels)} labels."
            )
        return wrapper

    def pixels(self, items: list[Picture]) -> NDArray[np.float32]:
        """Shape (images, channels, height, width). Raises InvalidInput, PayloadTooLarge."""
        # Imported here: both come with the processor, while the weights are on their way.
        import numpy as np

        from model_functions.engines.pillow import decoded

        grey = self.processor.channels == 1
        # One after the other: a camera's image is a hundred times what becomes of it.
        return np.stack([self.processor(decoded(one.data, one.path, grey=grey), one.path) for one in items])

    def preprocess(self, items: list[Picture], parameters: dict[str, Any]) -> Rows:
        return Rows([Row(pixels) for pixels in self.pixels(items)])

    def forward_rows(self, rows: list[NDArray[np.float32]], parameters: dict[str, Any]) -> list[NDArray[np.float32]]:
        import numpy as np

        from model_functions.engines.scores import sigmoid, softmax

        return list((sigmoid if self.multi_label else softmax)(self.engine.logits(np.stack(rows))))

    def tensor_outputs(self) -> list[TensorSpec]:
        return [string_spec("label"), TensorSpec("scores", "float32", (None, len(self.engine.labels)))]

    def tensor_labels(self, output: str) -> list[str]:
        return self.engine.labels if output == "scores" else []

    def data_of(self, tensors: Mapping[str, NDArray[Any]]) -> list[bytes | str]:
        """A string is a file, or its base64."""
        check_tensor_names(tensors, self.tensor_inputs())
        return [_file_or_text(value) for value in byte_strings(tensors[self.input_name], self.input_name)]

    def finish_tensors(self, prepared: Prepared, outputs: Rows) -> dict[str, NDArray[Any]]:
        """The scores are those of all labels, in the model's order."""
        import numpy as np

        from model_functions.engines.scores import with_best

        return with_best(np.stack(outputs.outputs), self.engine.labels)

    def postprocess(self, outputs: Rows, parameters: dict[str, Any]) -> list[Any]:
        top_k, threshold = parameters["top_k"], parameters["threshold"]
        # Stable: among equals the first label, wherever it runs.
        return [
            [
                {"label": self.engine.labels[index], "score": float(scores[index])}
                for index in (-scores).argsort(kind="stable")[:top_k].tolist()
                if scores[index] >= threshold
            ]
            for scores in outputs.outputs
        ]

    def prediction_schema(self) -> dict[str, Any]:
        return scored(self.engine.labels)


def _file_or_text(value: bytes | str) -> bytes | str:
    # The files of all other formats begin with bytes that no text has.
    if isinstance(value, str) or value.startswith((b"GIF8", b"RIFF")) or not value.isascii():
        return value
    return value.decode()


def _picture(value: Any, path: str) -> Picture:
    if isinstance(value, str):
        value = _from_text(value, path)
    if not isinstance(value, bytes):
        raise InvalidInput(path, f"{path} is {json_type(value)}. {_WAYS}.")
    if not value:
        raise InvalidInput(path, f"{path} is empty: 0 bytes. {_WAYS}.")
    return Picture(path, value)


def _from_text(text: str, path: str) -> bytes:
    text = text.strip()
    if text[:8].lower().startswith(("http://", "https://")):
        raise InvalidInput(path, f"{path} is the address of an image, and nothing is fetched from there. {_WAYS}.")
    if text[:5].lower() == "data:":
        kind, comma, text = text[5:].partition(",")
        if not comma or not kind.lower().startswith("image/") or not kind.lower().endswith(";base64"):
            raise InvalidInput(
                path, f'{path} is a data: URL of "{kind[:40]}". Send one that begins with data:image/png;base64, .'
            )
    try:
        # base64's own command line breaks its lines.
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError) as exc:
        raise InvalidInput(path, f'{path} is no base64: "{text[:20]}". {_WAYS}.') from exc
