"""Which wrapper a publisher asks for: recognised, of their own, of an older way, or of a TorchServe archive."""

import argparse
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.memory import RUNTIME
from deploy.project import model_families, wrapper_class
from deploy.proving import provenance
from deploy.sources import legacy, own_wrapper, pickles, torchserve
from deploy.sources.recognition import Recognised, read_source, recognise
from model_functions.errors import ServingError
from model_functions.source import Source
from model_functions.wrapper import ModelWrapper, check_trusted

Settings = Callable[[type[ModelWrapper]], dict[str, Any]]


@dataclass(frozen=True)
class Found:
    """A wrapper with what is recorded of its source."""

    wrapper: ModelWrapper
    recognised: Recognised
    source: dict[str, str]
    path: Path | None


def find(args: argparse.Namespace, examples: list[Any], settings_of: Settings) -> Found:
    """The wrapper that the arguments of ``publish`` ask for.

    Args:
        settings_of: what they say to a wrapper class.

    Raises ValueError, OSError.
    """
    if (args.source is None) == (args.from_dill is None):
        raise ValueError("Name one source: a path or Hub id, or an old wrapper with --from-dill FILE.")
    if args.from_dill is not None:
        return _from_dill(args, examples)
    source = source_of(args)
    if source.format == "mar":
        return _from_archive(args, source, examples)
    if args.wrapper or source.format == "wrapper":
        cls, recognised = _own_class(args, source)
    else:
        recognised = Recognised(args.family, "--family says so") if args.family else recognise(source)
        cls = wrapper_class(recognised.family)
    _check_pickle(source, trusted=args.trust)
    settings = settings_of(cls)
    offered = {"example": examples[0] if examples else None, "trusted": args.trust, "data": args.data}
    wanted = inspect.signature(cls.from_source).parameters
    if args.data and "data" not in wanted:
        raise ValueError(f"--data {args.data}: {recognised.family} reads no training data. Leave it out.")
    settings |= {name: value for name, value in offered.items() if name in wanted}
    if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in wanted.values()):
        settings = {name: value for name, value in settings.items() if name in wanted or value}
    wrapper = _made(cls, source.location, settings)
    _place(wrapper, recognised.family)
    return Found(wrapper, recognised, _recorded_source(source), source.path)


def _made(cls: type[ModelWrapper], location: str, settings: dict[str, Any]) -> ModelWrapper:
    try:
        return cls.from_source(location, **settings)
    except (ServingError, ValueError, OSError):
        raise
    except NotImplementedError as exc:
        raise ValueError(f"{cls.__name__} has no from_source, which makes it of a file or a folder.") from exc
    except Exception as exc:
        # A framework that reads a broken file raises nearly anything.
        reason = str(exc).strip().partition("\n")[0][:300]
        raise ValueError(f"{cls.__name__} cannot be made of {location}: {type(exc).__name__}: {reason}") from exc


def source_of(args: argparse.Namespace) -> Source:
    """What the first argument names. Raises FileNotFoundError, ValueError."""
    if args.family and not Path(args.source).exists() and not Path(args.source).is_absolute():
        # A Hub id, whose family is known: the model's own loader reads it.
        return Source(args.source, "huggingface", "--family says so")
    return read_source(args.source)


def _own_class(args: argparse.Namespace, source: Source) -> tuple[type[ModelWrapper], Recognised]:
    place = args.wrapper
    if not place:
        place = str(Path(args.source) / own_wrapper.FILE)
        check_trusted(place, trusted=args.trust)
    cls = own_wrapper.load_class(place)
    family = args.family or getattr(cls, "family", None)
    if family not in model_families():
        raise ValueError(
            f"{cls.__name__} names {'no family' if not family else f'the family {family}'}, so no function would serve "
            f"it. Give it family = one of {', '.join(model_families())}, or say --family."
        )
    return cls, Recognised(family, f"{Path(place).name} brings the wrapper class {cls.__name__}")


def _place(wrapper: ModelWrapper, family: str) -> None:
    """Fills in what a class of the publisher's own leaves out."""
    missing = {"family": family, "task": family.replace("_", "-")}
    vars(wrapper).update({name: value for name, value in missing.items() if not hasattr(wrapper, name)})
    if wrapper.family != family:
        vars(wrapper)["family"] = family
    if wrapper.engine_name not in RUNTIME:
        raise ValueError(
            f'{type(wrapper).__name__} has the engine_name "{wrapper.engine_name}". There are: {", ".join(RUNTIME)}.'
        )


def _check_pickle(source: Source, *, trusted: bool) -> None:
    """Refuses a pickle that names what no model needs, and says what one names that nobody vouches for."""
    bad = pickles.suspicious(source.names)
    if bad:
        raise ValueError(
            f"{source.location} would run {', '.join(bad[:3])} when it is loaded, which no model needs. "
            "It is not loaded."
        )
    if source.format == "pickle" and source.names and not trusted:
        packages = sorted({name.partition(":")[0].partition(".")[0] for name in source.names})
        check_trusted(f"{source.location} (it names {', '.join(packages[:8])})", trusted=False)


def _from_dill(args: argparse.Namespace, examples: list[Any]) -> Found:
    path: Path = args.from_dill
    if args.set or args.bounds or args.wrapper:
        raise ValueError("An old wrapper has no settings: leave out --set, --bounds and --wrapper.")
    check_trusted(str(path), trusted=args.trust)
    wrapper, reason = legacy.wrap(
        *legacy.read(path),
        path.name,
        family=args.family,
        example=examples[0] if examples else ModelWrapper.default_example,
    )
    record = {"format": "dill", "digest": provenance.digest_of(path)}
    return Found(wrapper, Recognised(wrapper.family, reason), record, path)


def _from_archive(args: argparse.Namespace, source: Source, examples: list[Any]) -> Found:
    if args.set or args.bounds or args.wrapper:
        raise ValueError("A TorchServe archive has no settings: leave out --set, --bounds and --wrapper.")
    example = examples[0] if examples else ModelWrapper.default_example
    wrapper, reason = torchserve.wrap(Path(args.source), family=args.family, example=example, trusted=args.trust)
    return Found(wrapper, Recognised(wrapper.family, reason), _recorded_source(source), source.path)


def _recorded_source(source: Source) -> dict[str, str]:
    if source.path is None:
        return {"format": source.format, "hub": source.location, "commit": provenance.hub_commit(source.location)}
    return {"format": source.format, "digest": provenance.digest_of(source.path)}
