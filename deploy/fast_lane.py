"""Builds the fast lane of a wrapper, and accepts it only if it answers as the wrapper itself does."""

from dataclasses import replace
from types import ModuleType
from typing import Any

from deploy import output
from deploy.lanes import Lane, NotEqual, check_native, encoding, generating, graphs, images, modules, writing
from model_functions.artifact.manifest import EngineRecord
from model_functions.wrapper import ModelWrapper

ENGINES = ("auto", "torch", "onnxruntime", "openvino")
PRECISIONS = ("auto", "fp32", "bf16", "int8")

#: Bytes of weights that are multiplied from which ``auto`` takes openvino. With BERT-base (340 MB) on two cores it
#: answers in 24 ms in bf16 and 41 in fp32, after 0.4 s of loading, and onnxruntime in 59 after 0.2; with a MiniLM of 6
#: layers (43 MB) in 4 and 6 after 0.2, and onnxruntime in 9 after 0.1 (tests/benchmarks/engines.py).
LARGE = 64 * 2**20

#: What is tried for an engine and the precision that is asked for, until one is accepted whole: the precisions of
#: lanes, the fastest first, and last the one that every processor computes.
_PLANS: dict[tuple[str, str], list[tuple[str, ...]]] = {
    ("onnxruntime", "auto"): [("fp16",), ("fp32",)],
    ("onnxruntime", "fp32"): [("fp32",)],
    ("openvino", "auto"): [("bf16", "fp32"), ("fp32",)],
    ("openvino", "fp32"): [("fp32",)],
    ("openvino", "bf16"): [("bf16", "fp16")],
    ("openvino", "int8"): [("int8", "int8-weights")],
}

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
    """The wrapper in the lane that is asked for, the one for any processor with the faster ones beside it.

    ``auto`` falls back to the wrapper as it is. Raises ValueError when the engine that is asked for cannot run it, or
    not in the precision within its tolerance.
    """
    own = Lane(wrapper, EngineRecord(wrapper.engine_name))
    kind: ModuleType | None = _KINDS.get(type(getattr(wrapper, "engine", None)).__name__)
    if engine in ("torch", wrapper.engine_name) or (kind is None and engine == "auto"):
        return _as_it_is(own, precision)
    if kind is None or engine not in ("auto", *kind.ENGINES):
        raise ValueError(f"There is no graph of {wrapper.family} models for {engine}. Leave --engine out.")
    _check_precision(wrapper, kind, engine, precision)
    failures: list[str] = []
    try:
        with output.progress_bar("exporting and comparing", 1, "step") as advance:
            model = kind.export(wrapper, examples)
            advance(1)
            chosen = _chosen(kind, model, precision) if engine == "auto" else engine
            for plan in getattr(kind, "PLANS", _PLANS)[chosen, precision]:
                if (lane := _built(kind, wrapper, chosen, plan, model, examples, failures)) is not None:
                    return lane
    except Exception as exc:  # noqa: BLE001 - an exporter fails in its own ways on the models it does not know
        # torch's exporter tells what to do next, and its cause what happened.
        failed = exc.__cause__ or exc
        failures.append(f"{type(failed).__name__}: {str(failed).strip().partition(chr(10))[0][:300]}")
    if engine == "auto" and precision in ("auto", "fp32"):
        return replace(own, note=f"no fast lane: {'; '.join(failures)}")
    if precision in ("bf16", "int8"):
        raise ValueError(f"This model cannot be served in {precision}: {'; '.join(failures)}. {_OTHERWISE}")
    raise ValueError(f"{engine} cannot serve this model: {'; '.join(failures)}. Publish with --engine torch.")


_OTHERWISE = "Leave --precision out, or publish with --precision fp32."


def _as_it_is(own: Lane, precision: str) -> Lane:
    if precision in ("bf16", "int8"):
        raise ValueError(f"{own.record.name} computes as the model was made, not in {precision}. {_OTHERWISE}")
    return own


def _chosen(kind: ModuleType, model: Any, precision: str) -> str:
    """The engine that ``auto`` takes."""
    if len(kind.ENGINES) == 1:
        only: str = kind.ENGINES[0]
        return only
    if precision in ("bf16", "int8"):
        return "openvino"
    return "openvino" if graphs.multiplied_bytes(model) >= LARGE else "onnxruntime"


def _check_precision(wrapper: ModelWrapper, kind: ModuleType, engine: str, precision: str) -> None:
    """Raises ValueError where no engine, or not the one that is asked for, computes in the precision."""
    if precision not in ("bf16", "int8"):
        return
    if "openvino" not in kind.ENGINES:
        raise ValueError(f"No engine computes {wrapper.family} models in {precision}. {_OTHERWISE}")
    if engine == "onnxruntime":
        raise ValueError(f"onnxruntime does not compute in {precision}, and openvino does. Leave --engine out.")


def _built(
    kind: ModuleType,
    wrapper: ModelWrapper,
    engine: str,
    plan: tuple[str, ...],
    model: Any,
    examples: list[Any],
    failures: list[str],
) -> Lane | None:
    """The plan's last lane with the others as faster ones; None where one of them was not accepted."""
    lanes: list[Lane] = []
    for precision in plan:
        try:
            check_native(precision)
            lanes.append(kind.build(wrapper, engine, precision, model, examples))
        except NotEqual as exc:
            failures.append(f"{precision}: {exc}")
            return None
    *faster, plain = lanes
    notes = [lane.note for lane in lanes] + [f"not in {failure}" for failure in failures]
    return replace(plain, note="\n".join(notes), faster=tuple(faster))
