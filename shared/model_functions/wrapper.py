"""The object that is serialized: preprocess, model, postprocess behind one ``predict``."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

from model_functions.inputs import Input
from model_functions.parameters import Parameter, check_names, check_parameters
from model_functions.string_tensors import check_tensor_names, string_spec, strings, texts
from model_functions.tensors import TensorSpec

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from model_functions.source import Source

STREAM = Parameter("stream", "boolean", "Send the answer while it is written, as server-sent events.", False)


@dataclass(frozen=True)
class Prepared:
    """A request, ready for ``forward``.

    Args:
        parameters: all of them, by name.
        single: whether it asked for one item, and not for a list.
    """

    features: Any
    parameters: dict[str, Any]
    single: bool


class ModelWrapper:
    """The base of every family's wrapper.

    A subclass names its family and task, declares its parameters, says what it reads (``input``),
    and fills the three steps. Its import path is part of the artifact: never rename one without
    leaving the old name behind.

    Args:
        input: reads ``data`` into items and refuses what the model cannot take.
        defaults: publish-time defaults of the declared parameters, by name.
        bounds: publish-time (minimum, maximum), inside the declared ones, by name.
        declared: the class's parameters as this very model can take them.
    """

    family: ClassVar[str]
    task: ClassVar[str]
    engine_name: ClassVar[str] = "torch"
    """What runs the model where no graph does, as the manifest records it."""
    declared: ClassVar[tuple[Parameter, ...]] = ()
    settings: ClassVar[tuple[str, ...]] = ()
    """What else of ``from_source`` a publisher may say on the command line, as JSON or plain text."""
    media: ClassVar[tuple[str, ...]] = ()
    """Types of files that a request's body, or the files of its form, may be instead of JSON, as ``image/*``."""
    reads_bodies: ClassVar[bool] = False
    """Whether an item is whatever a request's whole body is, as TorchServe's handlers read it."""
    default_example: ClassVar[Any] = "Anna Schmidt moved from Berlin to Paris, and now works for the United Nations."
    """What warm-up predicts when the publisher gives no example."""
    speaks: ClassVar[tuple[str, ...]] = ()
    """What its models can be asked beyond what all can: ``openai_chat`` and its like (http/protocols)."""
    formats: ClassVar[tuple[str, ...]] = ()
    """Formats of files (Source.format) that are models of this family."""
    architectures: ClassVar[tuple[str, ...]] = ()
    """How the names of a Hugging Face model's classes end, as ``ForTokenClassification``."""
    input_name: ClassVar[str] = "data"
    """What its input is called as a tensor, a string for each item."""
    output_name: ClassVar[str] = "prediction"
    """What its predictions are called as a tensor, JSON for each item."""
    assumed = ""
    """What was taken for granted of the source, for the publisher to read."""

    def __init__(
        self,
        input: Input,  # noqa: A002 - the word of the interface
        *,
        defaults: Mapping[str, Any] | None = None,
        bounds: Mapping[str, tuple[float, float]] | None = None,
        declared: Sequence[Parameter] | None = None,
    ) -> None:
        defaults, bounds, declared = defaults or {}, bounds or {}, declared or self.declared
        check_names({p.name: p for p in declared}, [*defaults, *bounds])
        self.input = input
        self.parameters = {
            p.name: p.published(default=defaults.get(p.name), bounds=bounds.get(p.name)) for p in declared
        }

    @classmethod
    def from_source(cls, source: str, **settings: Any) -> Self:
        """The wrapper of a model that stands in a file, a folder or a hub. Each family says which.

        A family that wants them names ``example``, an item as a request has it, and ``trusted``, whether the publisher
        vouches for a file that runs code when it is loaded.
        """
        raise NotImplementedError

    @classmethod
    def recognises(cls, source: Source) -> str | None:
        """Why the source is a model of this family, for the publisher; None when it is none.

        Looks at nothing but what the source has read already, and the files beside it: it must run none of them.
        """
        if source.format in cls.formats:
            return source.evidence
        if cls.architectures and source.architecture.endswith(cls.architectures):
            return f"config.json names the architecture {source.architecture}"
        return None

    def predict(self, data: Any, parameters: Mapping[str, Any] | None = None) -> Any:
        """The prediction for one item, or the list of them for a list, in order.

        Raises InvalidInput for data or parameters that the model cannot take.
        """
        prepared = self.prepare(data, parameters)
        return self.finish(prepared, self.forward(prepared.features, prepared.parameters))

    def prepare(self, data: Any, parameters: Mapping[str, Any] | None = None) -> Prepared:
        """What ``forward`` reads. Raises InvalidInput."""
        items, single = self.input.items(data)
        values = check_parameters(self.parameters, parameters or {})
        self.check(items, values)
        return Prepared(self.preprocess(items, values), values, single)

    def finish(self, prepared: Prepared, outputs: Any) -> Any:
        """The prediction, from what ``forward`` gave."""
        predictions = self.postprocess(outputs, prepared.parameters)
        return predictions[0] if prepared.single else predictions

    @property
    def streams(self) -> bool:
        """Whether ``stream`` works: a wrapper that can do it declares the parameter ``STREAM``."""
        return STREAM.name in self.parameters

    def stream(self, data: Any, parameters: Mapping[str, Any] | None = None) -> Generator[dict[str, Any], None, Any]:
        """The pieces of the prediction as they come about; at the end it returns what ``predict`` would.

        Raises InvalidInput before the first piece.
        """
        raise NotImplementedError

    def steps(self, data: Any, parameters: Mapping[str, Any] | None = None) -> Generator[Any, None, Any]:
        """``predict`` of a wrapper that streams, in steps between which others run; it returns the prediction."""
        return (yield from self.stream(data, parameters))

    @property
    def writes_together(self) -> bool:
        """Whether a step of one answer is a step of all that are begun."""
        return False

    def check(self, items: list[Any], parameters: dict[str, Any]) -> None:
        """Refuses what each value alone could not show: parameters that contradict each other."""

    def preprocess(self, items: list[Any], parameters: dict[str, Any]) -> Any:
        """What the model reads, for all items at once."""
        raise NotImplementedError

    def forward(self, features: Any, parameters: dict[str, Any]) -> Any:
        """What the model answers, together with what ``postprocess`` needs of the features."""
        raise NotImplementedError

    def postprocess(self, outputs: Any, parameters: dict[str, Any]) -> list[Any]:
        """One JSON-ready prediction an item, in order."""
        raise NotImplementedError

    def tensor_inputs(self) -> list[TensorSpec]:
        """Its inputs where a protocol speaks of tensors; the first dimension of each counts items."""
        return [string_spec(self.input_name)]

    def tensor_outputs(self) -> list[TensorSpec]:
        """Its outputs where a protocol speaks of tensors; the first dimension of each counts items."""
        return [string_spec(self.output_name)]

    def tensor_labels(self, output: str) -> list[str]:
        """What the places along the output's last dimension stand for; nothing where that is unknown."""
        return []

    def data_of(self, tensors: Mapping[str, NDArray[Any]]) -> Any:
        """``data`` for tensors by the inputs' names; those of strings are arrays of bytes. Raises InvalidInput.

        Of a wrapper that streams it is a list.
        """
        check_tensor_names(tensors, self.tensor_inputs())
        return self.input.from_query(texts(tensors[self.input_name], self.input_name))

    def tensors_of(self, predictions: list[Any]) -> dict[str, NDArray[Any]]:
        """The predictions of several items as tensors by the outputs' names."""
        return {self.output_name: strings(predictions)}

    def finish_tensors(self, prepared: Prepared, outputs: Any) -> dict[str, NDArray[Any]]:
        """``finish`` for tensors by the outputs' names."""
        predictions = self.finish(prepared, outputs)
        return self.tensors_of([predictions] if prepared.single else predictions)

    def copied_bytes(self) -> tuple[int, int]:
        """Bytes of weights that this engine copies and others of its kind do not: while it starts, and afterwards."""
        return 0, 0

    def sample(self) -> Any:
        """What is predicted where the publisher gives no example: the model's own data, if it has kept some."""
        return self.default_example

    def prediction_schema(self) -> dict[str, Any]:
        """A JSON Schema of one item's prediction, as far as the family can tell."""
        return {}

    def interface(self) -> dict[str, Any]:
        """What a caller may send and gets, as the manifest records it."""
        interface = {
            "task": self.task,
            "kind": self.input.kind,
            "data": self.input.schema(),
            "parameters": {name: parameter.schema() for name, parameter in self.parameters.items()},
        }
        tensors = {"inputs": self.tensor_inputs(), "outputs": self.tensor_outputs()}
        # As it comes back from JSON, so that a manifest equals the one that is read.
        interface["tensors"] = {
            name: [asdict(spec) | {"shape": None if spec.shape is None else list(spec.shape)} for spec in specs]
            for name, specs in tensors.items()
        }
        prediction = self.prediction_schema()
        interface |= {"prediction": prediction} if prediction else {}
        interface |= {"media": list(self.media)} if self.media else {}
        interface |= {"speaks": list(self.speaks)} if self.speaks else {}
        return interface | ({"streams": True} if self.streams else {})


def check_trusted(source: str, *, trusted: bool) -> None:
    """Refuses a file that runs its maker's code, unless the publisher vouches for it."""
    if not trusted:
        raise ValueError(
            f"Loading {source} runs whatever code its maker put into it. Look at where it comes from, then say --trust."
        )
