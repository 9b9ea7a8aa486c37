"""A lane as a revision keeps it: its stream and weights, what they need, and the answers that they give."""

import json
from dataclasses import dataclass
from typing import Any

from deploy.lanes import Lane
from deploy.memory import memory_need
from model_functions.artifact import stream
from model_functions.artifact.manifest import WEIGHTS_FILE, WRAPPER_FILE, LaneRecord, MemoryNeed
from model_functions.artifact.stream import Serialized
from model_functions.predictions import answers, recorded, same_answer
from model_functions.source_code import imported_by
from model_functions.wrapper import ModelWrapper


@dataclass(frozen=True)
class StoredLane:
    """A lane that predicts the same from what is stored of it.

    Args:
        globals: what its stream imports.
        predictions: its answers to the examples.
    """

    lane: Lane
    files: Serialized
    globals: tuple[str, ...]
    predictions: list[dict[str, Any]]

    @property
    def memory(self) -> MemoryNeed:
        return memory_need(self.lane.record.name, self.files, self.lane.wrapper.copied_bytes())

    def packages(self, shipped: dict[str, bytes]) -> dict[str, str]:
        """The releases of what its stream imports, its engine, and the sources that ship with it."""
        imported = sorted({name for source in shipped.values() for name in imported_by(source)})
        return stream.packages_of([*self.globals, *map(_engine_package, self.globals), *imported])

    def add_to(self, files: dict[str, bytes], shipped: dict[str, bytes]) -> LaneRecord:
        """The record of a faster lane, whose files are added; weights that are there already are shared."""
        folder = self.lane.record.precision
        wrapper, weights = f"{folder}/{WRAPPER_FILE}", ""
        files[wrapper] = self.files.stream
        if self.files.weights:
            same = (file for file, data in files.items() if data == self.files.weights)
            weights = next(same, f"{folder}/{WEIGHTS_FILE}")
            files[weights] = self.files.weights
        packages = self.packages(shipped)
        return LaneRecord(self.lane.record, self.memory, wrapper, weights, self.files.layout, packages, self.globals)


def stored(lane: Lane, examples: list[Any]) -> StoredLane:
    """Raises ValueError when what is stored answers an example differently."""
    serialized = stream.dump(lane.wrapper)
    return StoredLane(lane, serialized, *_tried(lane.wrapper, serialized, examples))


def _tried(
    wrapper: ModelWrapper, serialized: Serialized, examples: list[Any]
) -> tuple[tuple[str, ...], list[dict[str, Any]]]:
    """What the stream imports, and the answers to the examples, once it predicts as the wrapper itself does."""
    loaded, names = stream.load_and_list(serialized)
    predictions = []
    for example in examples:
        answer = recorded(wrapper, example)
        # Weights that lie elsewhere in memory are summed up in another order.
        if same_answer(answer, answers(loaded, [example])[0]) is False:
            raise ValueError(
                f"The serialized wrapper answers {json.dumps(example, ensure_ascii=False)[:60]} differently from the "
                "wrapper itself, so something in it does not survive dill. Nothing was published."
            )
        predictions.append(answer)
    return names, predictions


def _engine_package(name: str) -> str:
    """What an engine's module imports: the package that it is named after, mostly."""
    module = name.partition(":")[0].rpartition("model_functions.engines.")[2]
    return {"pillow": "PIL", "modules": "torch"}.get(module, module)
