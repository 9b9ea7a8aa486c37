"""The base of the families whose models take and give tensors: onnx, pytorch, tensorflow."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from model_functions.errors import InvalidInput
from model_functions.parameters import Parameter
from model_functions.rows import Batch, Row, Rows, RowWrapper
from model_functions.schemas import record, scored
from model_functions.tensors import MAX_ITEMS, TensorInput, Tensors, TensorSpec, looks_batched
from model_functions.wrapper import Prepared

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from model_functions.engines import TensorEngine
    from model_functions.engines.tensors import Arrays

Steps = Mapping[str, list[Any]]

_OUTPUTS = "The outputs to answer with, their names between commas; all when it is empty."
_TOP_K = "How many labels to answer with, the best first."


class TensorWrapper(RowWrapper):
    """A prediction is the model's output as nested lists, or, of several outputs, an object of them by name.

    Steps that are shipped with the model come before and after it (engines/steps.py): an output that ends with labels
    is ``[{"label", "score"}, …]``, the best first.

    Args:
        batched: whether the first dimension of the inputs counts items; None: what the shapes look like.
        largest_batch: items that the model takes at once; None: what its shapes say.
        preprocess: the steps before each input, by its name.
        postprocess: the steps after each output, by its name.
    """

    task = "tensors"
    # Values of the inputs, as a few images have them.
    batch = Batch(1_000_000, 1024, bucketed=False)
    settings: ClassVar[tuple[str, ...]] = ("batched", "preprocess", "postprocess")
    declared = (Parameter("outputs", "string", _OUTPUTS, ""), Parameter("top_k", "integer", _TOP_K, None, 1))

    def __init__(
        self,
        engine: TensorEngine,
        *,
        batched: bool | None = None,
        largest_batch: int | None = None,
        preprocess: Steps | None = None,
        postprocess: Steps | None = None,
        max_items: int = MAX_ITEMS,
        defaults: Mapping[str, Any] | None = None,
        bounds: Mapping[str, tuple[float, float]] | None = None,
    ) -> None:
        from model_functions.engines import steps

        check_batched(batched)
        self.engine = engine
        inputs, outputs = {spec.name: spec for spec in engine.inputs}, {spec.name: spec for spec in engine.outputs}
        _check_known("preprocess", preprocess or {}, inputs)
        _check_known("postprocess", postprocess or {}, outputs)
        self.before = {name: steps.preprocessing(given, name) for name, given in (preprocess or {}).items()}
        self.after = {name: steps.postprocessing(given, name) for name, given in (postprocess or {}).items()}
        if batched is None:
            batched = looks_batched(engine.inputs, engine.outputs)
        specs = [_requested(spec, self.before.get(name, []), batched) for name, spec in inputs.items()]
        unused = {"outputs"} if len(outputs) == 1 else set()
        if not any(given[-1][0] == "labels" for given in self.after.values() if given):
            unused.add("top_k")
        self.tensors = TensorInput(
            specs, batched=batched, sizes=engine.sizes, largest=largest_batch, max_items=max_items
        )
        super().__init__(self.tensors, defaults=defaults, bounds=bounds)
        self.parameters = {name: one for name, one in self.parameters.items() if name not in unused}

    @classmethod
    def from_engine(
        cls, engine: TensorEngine, example: Any = None, *, batched: bool | None = None, **settings: Any
    ) -> Self:
        """From an engine whose batches are told by an example, where the publisher does not say.

        Args:
            example: an item as a request has it. A model that does not answer two of them row by row reads no batches.
            settings: the other arguments of the wrapper.
        """
        from model_functions.engines.tensors import NotPerItem

        wrapper = cls(engine, batched=batched, **settings)
        if batched is None and wrapper.tensors.batched and example is not None:
            if not wrapper.reads(example):
                # What neither reads is told of as an item of a batch, when it is predicted.
                with contextlib.suppress(ValueError):  # steps that fit an item of a batch alone
                    alone = cls(engine, batched=False, **settings)
                    return alone if alone.reads(example) else wrapper
                return wrapper
            items, _ = wrapper.input.items(example)
            try:
                wrapper.predict(items[:1] * 2)
            except NotPerItem:
                return cls(engine, batched=False, **settings)
            except InvalidInput:
                # A graph that was exported for one item often says that it takes any number.
                return cls(engine, batched=True, **({"largest_batch": 1} | settings))
        return wrapper

    def reads(self, data: Any) -> bool:
        """Whether data has the shapes that the model takes."""
        try:
            self.input.items(data)
        except InvalidInput:
            return False
        return True

    def copied_bytes(self) -> tuple[int, int]:
        return self.engine.copied_bytes

    def check(self, items: list[Any], parameters: dict[str, Any]) -> None:
        self._asked(parameters)

    def preprocess(self, items: list[dict[str, Any]], parameters: dict[str, Any]) -> Rows:
        from model_functions.engines import steps, tensors

        # Only those of the same outputs are read together.
        names, rows = tuple(self._asked(parameters)), []
        for item in items:
            for arrays in tensors.blocks(item, self.tensors, self.limits.size):
                for name in self.before.keys() & arrays.keys():
                    lead = int(name in self.tensors.counted)
                    arrays[name] = steps.prepared(arrays[name], self.before[name], lead)
                size = sum(array.size for array in arrays.values())
                rows.append(Row(arrays, size, (names, tensors.kind(arrays, self.tensors))))
        return Rows(rows)

    def forward_rows(self, rows: list[Arrays], parameters: dict[str, Any]) -> list[dict[str, Any]]:
        """The outputs of each block of items by name."""
        from model_functions.engines import tensors

        groups = tensors.grouped(rows, self.tensors)
        return [found for group in groups for found in self._read(group, parameters)]

    def _read(self, blocks: list[Arrays], parameters: dict[str, Any]) -> list[dict[str, Any]]:
        from model_functions.engines import tensors

        names = self._asked(parameters)
        outputs = dict(zip(names, self.engine.run(tensors.stacked(blocks, self.tensors), names), strict=True))
        if not self.tensors.batched:
            return [outputs]
        counts = [tensors.items(block, self.tensors) for block in blocks]
        asked = max(sum(counts), self.tensors.smallest_batch)
        parts = {name: tensors.parts(output, name, counts, asked) for name, output in outputs.items()}
        return [{name: part[place] for name, part in parts.items()} for place in range(len(blocks))]

    def postprocess(self, outputs: Rows, parameters: dict[str, Any]) -> list[Any]:
        from model_functions.engines import steps, tensors

        top_k = parameters.get("top_k")
        answers = [
            {
                name: tensors.plain(steps.finished(output, self.after.get(name, []), top_k))
                for name, output in item.items()
            }
            for block in outputs.outputs
            for item in self._items(block)
        ]
        return answers if len(self.engine.outputs) > 1 else [next(iter(answer.values())) for answer in answers]

    def prediction_schema(self) -> dict[str, Any]:
        outputs = {spec.name: self._output_schema(spec) for spec in self.engine.outputs}
        return record(outputs, []) if len(outputs) > 1 else next(iter(outputs.values()), {})

    def _output_schema(self, spec: TensorSpec) -> dict[str, Any]:
        given = self.after.get(spec.name, [])
        if given:
            # What other steps leave of a tensor, only they know.
            return scored() if given[-1][0] == "labels" else {}
        return (spec.item() if self.tensors.batched else spec).schema()

    def _items(self, block: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """The outputs of each item of a block."""
        if not self.tensors.batched:
            yield block
            return
        for index in range(len(next(iter(block.values())))):
            yield {name: part[index] for name, part in block.items()}

    def tensor_inputs(self) -> list[TensorSpec]:
        each = self.tensors.counted
        return [_of_any_batch(spec) if spec.name in each else spec for spec in self.tensors.specs]

    def tensor_outputs(self) -> list[TensorSpec]:
        from model_functions.engines import steps

        specs = [steps.answered(spec, self.after.get(spec.name, [])) for spec in self.engine.outputs]
        return [_of_any_batch(spec) for spec in specs] if self.tensors.batched else specs

    def tensor_labels(self, output: str) -> list[str]:
        found = [value for word, value in self.after.get(output, []) if word == "labels"]
        return found[0] if found else []

    def data_of(self, tensors: Mapping[str, NDArray[Any]]) -> Tensors:
        return Tensors(tensors)

    def finish_tensors(self, prepared: Prepared, outputs: Rows) -> dict[str, NDArray[Any]]:
        from model_functions.engines import steps, tensors

        return {
            name: steps.answer(tensors.whole([block[name] for block in outputs.outputs]), self.after.get(name, []))
            for name in outputs.outputs[0]
        }

    def _asked(self, parameters: dict[str, Any]) -> list[str]:
        """The names of the outputs to answer with."""
        known = [spec.name for spec in self.engine.outputs]
        asked = list(dict.fromkeys(name.strip() for name in parameters.get("outputs", "").split(",") if name.strip()))
        for name in asked:
            if name not in known:
                raise InvalidInput(
                    "parameters.outputs",
                    f'"outputs": the model has no output "{name[:40]}". Its outputs: {", ".join(known)}.',
                )
        return asked or known


def _of_any_batch(spec: TensorSpec) -> TensorSpec:
    """A fixed batch is filled up and split, so that a caller may send any."""
    fixed = spec.shape and isinstance(spec.shape[0], int)
    return replace(spec, shape=(None, *spec.shape[1:])) if fixed and spec.shape else spec


def beside(path: Path, known: tuple[str, ...]) -> dict[str, Any]:
    """The settings in the JSON file beside a model, as ``digits.json`` beside ``digits.onnx``; none without one.

    Args:
        known: the settings that it may have.
    """
    file = path.with_suffix(".json")
    if not file.is_file():
        return {}
    try:
        settings = json.loads(file.read_text())
    except ValueError as exc:
        raise ValueError(f"{file.name} is no JSON: {exc}.") from exc
    if not isinstance(settings, dict) or not set(settings) <= set(known):
        strange = ", ".join(sorted(set(settings) - set(known))) if isinstance(settings, dict) else "no object"
        raise ValueError(
            f"{file.name} has {strange}. It may have: {', '.join(known)}. Rename it if it is no part of {path.name}."
        )
    return settings


def check_batched(batched: Any) -> None:
    """Refuses what a publisher may have written instead of true or false."""
    if batched not in (None, True, False):
        raise ValueError(f"batched is {batched!r:.60}. Write true or false.")


def given_specs(inputs: Mapping[str, Any]) -> list[TensorSpec]:
    """The inputs as a publisher declares them: ``{"pixels": {"dtype": "float32", "shape": [null, 8, 8]}}``."""
    if not isinstance(inputs, Mapping) or not inputs:
        raise ValueError(f"inputs is {inputs!r:.60}. Write an object with the type and shape of each input by name.")
    specs = []
    for name, facts in inputs.items():
        fits = isinstance(facts, Mapping) and set(facts) == {"dtype", "shape"} and isinstance(facts["shape"], list)
        if not fits or not all(size is None or isinstance(size, str) or type(size) is int for size in facts["shape"]):
            raise ValueError(f'inputs.{name}: write {{"dtype": "float32", "shape": [null, 8, 8]}}, null for any size.')
        specs.append(TensorSpec(name, facts["dtype"], tuple(facts["shape"])))
    return specs


def _check_known(setting: str, steps: Any, specs: Mapping[str, TensorSpec]) -> None:
    if not isinstance(steps, Mapping):
        raise ValueError(f"{setting} is {steps!r:.60}. Write an object with a list of steps by name.")
    for name in steps:
        if name not in specs:
            raise ValueError(f'{setting} names "{name}", and the model has: {", ".join(specs)}.')


def prepared_item(item: Mapping[str, Any], preprocess: Any) -> dict[str, Any]:
    """An example's inputs as they come to the model."""
    import numpy as np

    from model_functions.engines import steps

    _check_known("preprocess", preprocess or {}, {name: TensorSpec(name, "float32", None) for name in item})
    before = {name: steps.preprocessing(given, name) for name, given in (preprocess or {}).items()}
    return {
        name: steps.prepared(np.array(value, np.float32), before[name], 0).tolist() if name in before else value
        for name, value in item.items()
    }


def _requested(spec: TensorSpec, given: list[Any], batched: bool) -> TensorSpec:
    from model_functions.engines import steps

    if not given:
        return spec
    if not batched or spec.shape is None:
        return steps.requested(spec, given)
    item = steps.requested(spec.item(), given)
    return replace(item, shape=(spec.shape[0], *(item.shape or ())))
