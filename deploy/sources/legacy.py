"""An old single-file dill becomes a wrapper that serves as it did: it is loaded once, here."""

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from deploy.memory import RUNTIME
from deploy.project import wrapper_class
from deploy.sources.recognition import recognise
from model_functions.artifact import stream
from model_functions.legacy import CALLS, LegacyWrapper
from model_functions.source import Source

#: What a transformers pipeline calls its task, where a family has another name for it.
_TASKS = {"ner": "token_classification", "sentiment_analysis": "text_classification"}
#: How deep a wrapper's attributes are looked through for its model.
_DEPTH = 3
#: How many modules an old wrapper may miss.
_LOST_MODULES = 20


#: What scripts call modules, where it is not their name.
_ALIASES = {"np": "numpy", "pd": "pandas", "tf": "tensorflow", "nn": "torch.nn", "F": "torch.nn.functional"}


def read(path: Path) -> tuple[Any, dict[str, Any]]:
    """The object in the file, and the globals of its functions. It runs what its maker put into it.

    Raises ValueError for what cannot be loaded.
    """
    try:
        return stream.load_foreign(path.read_bytes())
    except OSError:
        raise
    except Exception as exc:
        raise ValueError(f"{path.name} cannot be loaded: {type(exc).__name__}: {exc}") from exc


def wrap(old: Any, names: dict[str, Any], name: str, *, family: str | None, example: Any) -> tuple[LegacyWrapper, str]:
    """The old wrapper as one of ours, and why it is of its family.

    Args:
        names: its functions' globals: a module that they name is put there.
        name: of the file, for messages.
        example: data that it takes: how it wants to be called is tried with it.

    Raises ValueError.
    """
    if not callable(getattr(old, "predict", None)):
        raise ValueError(f"{name} holds a {type(old).__name__}, which has no predict method.")
    if family is None:
        family, reason = _recognised(old, name)
    else:
        reason = "--family says so"
    call = _call(old, names, name, example)
    own = wrapper_class(family).engine_name
    engine_name = own if own in RUNTIME else "torch"
    kind = "text" if isinstance(example, str) else "json"
    return LegacyWrapper(old, family, call, engine_name=engine_name, kind=kind), f"{reason}; called by predict({call})"


def _recognised(old: Any, name: str) -> tuple[str, str]:
    held = list(_held(old, _DEPTH))
    for value in held:
        module = type(value).__module__.partition(".")[0]
        if module == "transformers" and hasattr(value, "task") and hasattr(value, "model"):
            task = str(value.task).partition("_")[0].replace("-", "_")
            family = _TASKS.get(task, task)
            return family, f"it holds a transformers pipeline for {value.task}"
    for value in held:
        module = type(value).__module__.partition(".")[0]
        if module == "transformers" and hasattr(value, "config"):
            config = value.config.to_dict() | {"architectures": [type(value).__name__]}
            evidence = f"it holds a {type(value).__name__}"
            found = recognise(Source(name, "huggingface", evidence, config=config))
            return found.family, evidence
        if module in ("sklearn", "xgboost", "lightgbm") and hasattr(value, "predict"):
            return "tabular", f"it holds a {type(value).__name__} of {module}"
    shown = ", ".join(sorted({f"{type(v).__module__}.{type(v).__qualname__}" for v in held})[:6]) or "nothing"
    raise ValueError(f"Nothing tells which family serves {name}: it holds {shown}. Say it with --family.")


def _held(value: Any, depth: int) -> Iterator[Any]:
    """What the object holds, the nearest first."""
    parts = list(value.values()) if isinstance(value, dict) else list(getattr(value, "__dict__", {}).values())
    yield from parts
    for part in parts if depth > 1 else ():
        if isinstance(part, dict) or type(part).__module__ in (type(value).__module__, "__main__"):
            yield from _held(part, depth - 1)


def _call(old: Any, names: dict[str, Any], name: str, example: Any) -> str:
    """The first way of calling it that answers the example with success."""
    failures = []
    for call in _candidates(old):
        try:
            _answered(LegacyWrapper(old, "", call, engine_name=""), names, example)
        except Exception as exc:  # noqa: BLE001 - it may raise anything when it is called wrongly
            failures.append(f"predict({call}): {type(exc).__name__}: {str(exc)[:160]}")
            if isinstance(exc, NameError):
                failures[-1] += " (dill left the script's globals out: dump it again with dill.dump(…, recurse=True))"
        else:
            return call
    raise ValueError(
        f"{name} does not answer the example. Give one that it takes with --example. Tried: " + "; ".join(failures)
    )


def _answered(wrapper: LegacyWrapper, names: dict[str, Any], example: Any) -> None:
    """Asks it; a module that its script had imported, and its dump has lost, is imported."""
    for _ in range(_LOST_MODULES):
        try:
            wrapper.predict(example)
        except NameError as exc:
            try:
                names[str(exc.name)] = importlib.import_module(_ALIASES.get(str(exc.name), str(exc.name)))
            except ImportError:
                raise exc from None
        else:
            return


def _candidates(old: Any) -> list[str]:
    """The ways to call it, the likeliest first: a predict that prepares its data itself gets them raw."""
    if not callable(getattr(old, "prepare_data", None)):
        return [call for call in CALLS if not call.startswith("prepare_data")]
    code = getattr(type(old).predict, "__code__", None)
    prepares = code is not None and "prepare_data" in code.co_names
    first = [call for call in CALLS if call.startswith("prepare_data") != prepares]
    return first + [call for call in CALLS if call not in first]
