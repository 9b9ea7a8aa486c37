"""TensorFlow: a SavedModel by any of its signatures; tensors in, tensors out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from model_functions.parameters import Parameter, check_names
from model_functions.rows import Row, Rows, RowWrapper
from model_functions.tensor_models import TensorWrapper, beside
from model_functions.tensors import Tensors, TensorSpec
from model_functions.wrapper import Prepared

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from model_functions.engines.tensorflow import SavedModel
    from model_functions.engines.tensors import Arrays

#: The signature that TensorFlow's own tools take where none is named.
USUAL = "serving_default"


class TensorflowWrapper(RowWrapper):
    """A prediction is that of TensorWrapper, by the signature that the request names.

    Args:
        example: an item as a request has it, for the default signature.
        settings: of TensorWrapper. Steps hold for each signature that has all inputs and outputs that they name,
            defaults and bounds for the default one.
    """

    family, task, engine_name = "tensorflow", "tensors", "tensorflow"
    batch = TensorWrapper.batch
    formats = ("saved_model", "keras", "hdf5")
    settings = TensorWrapper.settings
    declared = (
        *TensorWrapper.declared,
        Parameter("signature_name", "string", "Which of the model's functions answers.", USUAL),
    )

    def __init__(
        self,
        model: SavedModel,
        *,
        example: Any = None,
        defaults: Mapping[str, Any] | None = None,
        bounds: Mapping[str, tuple[float, float]] | None = None,
        **settings: Any,
    ) -> None:
        from model_functions.engines.tensorflow import SignatureEngine

        names = sorted(model.signatures, key=lambda name: (name != USUAL, name))
        chosen = replace(self.declared[-1], default=names[0], choices=tuple(names))
        defaults = dict(defaults or {})
        chosen = chosen.published(default=defaults.pop("signature_name", None))
        usual = TensorWrapper.from_engine(
            SignatureEngine(model, chosen.default), example, defaults=defaults, bounds=bounds, **settings
        )
        super().__init__(usual.input)
        self.signatures = {chosen.default: usual}
        for name in names:
            if name != chosen.default:
                engine = SignatureEngine(model, name)
                self.signatures[name] = TensorWrapper(engine, **_fitting(settings, engine))
        self.parameters = {"signature_name": chosen}
        for wrapper in self.signatures.values():
            # What the default signature says of a parameter is what a caller is told.
            self.parameters = wrapper.parameters | self.parameters

    @classmethod
    def from_source(cls, source: str, *, example: Any = None, trusted: bool = False, **settings: Any) -> Self:
        """From a SavedModel's folder, or one of versions as TensorFlow Serving has it; or a ``.keras`` or ``.h5`` file.

        A JSON file beside it, of the same name, may have the settings. A Keras file with a Lambda layer, whose code
        runs when it is loaded, must be trusted.
        """
        from model_functions.engines import saved_model

        path = Path(source)
        if not path.exists():
            raise FileNotFoundError(f"There is no {source}.")
        if path.is_file() and path.suffix not in saved_model.KERAS:
            raise ValueError(f"{path.name} is no {', '.join(saved_model.KERAS)} file, and no folder of a SavedModel.")
        if example is None:
            raise ValueError("Whether the model reads batches is told by an example. Give an item with --example.")
        model = saved_model.load(path, trusted=trusted)
        return cls(model, example=example, **(beside(path, cls.settings) | settings))

    def prepare(self, data: Any, parameters: Mapping[str, Any] | None = None) -> Prepared:
        given = dict(parameters or {})
        check_names(self.parameters, given)
        chosen = self.parameters["signature_name"]
        name = chosen.check(given.pop("signature_name", chosen.default))
        prepared = self.signatures[name].prepare(data, given)
        rows = [Row((name, row.features), row.size, (name, row.kind)) for row in prepared.features.rows]
        return replace(prepared, features=Rows(rows, asked=name))

    def forward_rows(self, rows: list[tuple[str, Arrays]], parameters: dict[str, Any]) -> list[dict[str, Any]]:
        return self.signatures[rows[0][0]].forward_rows([arrays for _, arrays in rows], parameters)

    def postprocess(self, outputs: Rows, parameters: dict[str, Any]) -> list[Any]:
        return self.signatures[outputs.asked].postprocess(outputs, parameters)

    def prediction_schema(self) -> dict[str, Any]:
        return {"anyOf": [wrapper.prediction_schema() for wrapper in self.signatures.values()]}

    def tensor_inputs(self) -> list[TensorSpec]:
        """Those of the default signature."""
        return self.signatures[self._usual].tensor_inputs()

    def tensor_outputs(self) -> list[TensorSpec]:
        return self.signatures[self._usual].tensor_outputs()

    def tensor_labels(self, output: str) -> list[str]:
        return self.signatures[self._usual].tensor_labels(output)

    def data_of(self, tensors: Mapping[str, NDArray[Any]]) -> Tensors:
        return Tensors(tensors)

    def finish_tensors(self, prepared: Prepared, outputs: Rows) -> dict[str, NDArray[Any]]:
        return self.signatures[outputs.asked].finish_tensors(prepared, outputs)

    @property
    def _usual(self) -> str:
        name: str = self.parameters["signature_name"].default
        return name

    def interface(self) -> dict[str, Any]:
        """With what each signature takes and gives."""
        signatures = {
            name: {
                "data": wrapper.input.schema(),
                "parameters": [*wrapper.parameters],
                "outputs": {spec.name: spec.schema() for spec in wrapper.engine.outputs},
            }
            for name, wrapper in self.signatures.items()
        }
        return super().interface() | {"signatures": signatures}


def _fitting(settings: Mapping[str, Any], engine: Any) -> dict[str, Any]:
    """The settings without steps for what the signature does not have."""
    names = {
        "preprocess": {spec.name for spec in engine.inputs},
        "postprocess": {spec.name for spec in engine.outputs},
    }
    return {word: value for word, value in settings.items() if not value or set(value) <= names.get(word, set(value))}
