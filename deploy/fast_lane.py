"""Builds the fast lane of a wrapper, and accepts it only if it answers as the wrapper itself does."""

from types import ModuleType
from typing import Any

from deploy import output
from deploy.lanes import Lane, NotEqual, encoding, generating, images, modules, writing
from model_functions.artifact.manifest import EngineRecord
from model_functions.wrapper import ModelWrapper

ENGINES = ("auto", "torch", "onnxruntime", "openvino")
PRECISIONS = ("auto", "float32", "float16")

#: The engine that ``auto`` tries. With BERT-base on two cores onnxruntime is ready and has predicted in 0.2 s, in
#: 490 MB, with 68 MB in the image; openvino in 0.6 s, in 660 MB, with 180 MB (tests/benchmarks/cold).
FASTEST = "onnxruntime"

#: Which lane a wrapper's engine has.
_KINDS: dict[str, ModuleType] = {
    **dict.fromkeys(encoding.NAMES, encoding),
    "TransformersGenerator": generating,
    "TransformersWriter": writing,
    "ImageClassifier": images,
    "ExportedModel": modules,
    "SourceModel": modules,
}


def build(wrapper: ModelWrapper, engine: str, precision: str, examples: list[Any]) -> Lane:
    """The wrapper in the lane that is asked for; ``auto`` falls back to the wrapper as it is.

    Raises ValueError when the engine that is asked for cannot run it, or not within the tolerance.
    """
    own = Lane(wrapper, EngineRecord(wrapper.engine_name))
    if engine in ("torch", wrapper.engine_name):
        return own
    kind: ModuleType | None = _KINDS.get(type(getattr(wrapper, "engine", None)).__name__)
    if kind is None or engine not in ("auto", *kind.ENGINES):
        if engine == "auto":
            return own
        raise ValueError(f"There is no graph of {wrapper.family} models for {engine}. Leave --engine out.")
    fastest = FASTEST if FASTEST in kind.ENGINES else kind.ENGINES[0]
    chosen = fastest if engine == "auto" else engine
    precisions = ("float16", "float32") if precision == "auto" else (precision,)
    failures: list[str] = []
    try:
        with output.progress_bar("exporting and comparing", 1 + len(precisions), "step") as advance:
            model = kind.export(wrapper, examples)
            for tried in precisions:
                advance(1)
                try:
                    lane: Lane = kind.build(wrapper, chosen, tried, model, examples)
                    return lane
                except NotEqual as exc:
                    failures.append(f"{tried}: {exc}")
    except Exception as exc:  # noqa: BLE001 - an exporter fails in its own ways on the models it does not know
        # torch's exporter tells what to do next, and its cause what happened.
        failed = exc.__cause__ or exc
        failures.append(f"{type(failed).__name__}: {str(failed).strip().partition(chr(10))[0][:300]}")
    if engine == "auto":
        return Lane(wrapper, own.record, f"no fast lane: {'; '.join(failures)}")
    raise ValueError(f"{engine} cannot serve this model: {'; '.join(failures)}. Publish with --engine torch.")
