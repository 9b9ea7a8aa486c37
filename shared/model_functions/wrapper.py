"""The object that is serialized: preprocess, model, postprocess behind one ``predict``."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

from model_functions.inputs import Input
from model_functions.parameters import Parameter, check_names, check_parameters


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

    def predict(self, data: Any, parameters: Mapping[str, Any] | None = None) -> Any:
        """The prediction for one item, or the list of them for a list, in order.

        Raises InvalidInput for data or parameters that the model cannot take.
        """
        items, single = self.input.items(data)
        values = check_parameters(self.parameters, parameters or {})
        self.check(items, values)
        predictions = self.postprocess(self.forward(self.preprocess(items, values), values), values)
        return predictions[0] if single else predictions

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

    def copied_bytes(self) -> tuple[int, int]:
        """Bytes of weights that this engine copies and others of its kind do not: while it starts, and afterwards."""
        return 0, 0

    def interface(self) -> dict[str, Any]:
        """What a caller may send, as the manifest records it."""
        return {
            "task": self.task,
            "kind": self.input.kind,
            "data": self.input.schema(),
            "parameters": {name: parameter.schema() for name, parameter in self.parameters.items()},
        }


def check_trusted(source: str, *, trusted: bool) -> None:
    """Refuses a file that runs its maker's code, unless the publisher vouches for it."""
    if not trusted:
        raise ValueError(
            f"Loading {source} runs whatever code its maker put into it. Look at where it comes from, then say --trust."
        )
