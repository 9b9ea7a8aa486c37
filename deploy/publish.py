"""Publish a model: serialize its wrapper, prove it, sign it, write it to the store.

Prints the revision. Publishing the same model again changes nothing. The store is MODEL_STORE, else build/store.
"""

import argparse
import inspect
import json
from dataclasses import asdict, dataclass
from typing import Any

from deploy import environments, fast_lane, output, publisher
from deploy.memory import memory_need
from deploy.project import model_families, wrapper_class
from model_functions.artifact import stream
from model_functions.artifact.manifest import FileEntry, Manifest, python_minor
from model_functions.artifact.signing_key import SigningKey
from model_functions.artifact.stream import Serialized
from model_functions.errors import Conflict, InvalidInput
from model_functions.names import MODEL_NAME_RULE, is_model_name
from model_functions.repository import WEIGHTS_FILE, WRAPPER_FILE, Pointer, Repository
from model_functions.wrapper import ModelWrapper

EXAMPLE = (
    "python -m deploy publish ./my-summarizer --family summarization --name my_model "
    "--set num_beams=4 --bounds num_beams=1..4"
)


@dataclass(frozen=True)
class Published:
    manifest: Manifest
    pointer: Pointer | None
    """The alias after publishing; None when none was moved."""
    note: str = ""
    """How equal the fast lane is, or why there is none."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "source",
        help="a Hugging Face folder or Hub id; or a file: .joblib, .pkl, .pickle, .onnx, .pt2, .pt, .pth, .keras, "
        ".h5; or a SavedModel's folder",
    )
    parser.add_argument("--family", required=True, choices=model_families())
    parser.add_argument("--name", required=True, help=MODEL_NAME_RULE)
    parser.add_argument("--description", default="", help="one sentence for people")
    parser.add_argument(
        "--example",
        action="append",
        default=[],
        metavar="DATA",
        help="data that the model takes, as JSON or as plain text; the first is the sample that warm-up predicts",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a parameter's default, or max_characters, max_items, max_tokens, or what else the family lists, as JSON",
    )
    parser.add_argument(
        "--bounds",
        action="append",
        default=[],
        metavar="NAME=LOW..HIGH",
        help="what a request may ask of a parameter; may only narrow the family's own bounds",
    )
    parser.add_argument(
        "--engine",
        choices=fast_lane.ENGINES,
        default="auto",
        help="what runs the model: auto builds a graph, which starts without torch, and takes it only if it answers "
        "as torch does",
    )
    parser.add_argument(
        "--precision",
        choices=fast_lane.PRECISIONS,
        default="auto",
        help="of a graph's weights in the store: auto halves them only if the answers stay equal within the tolerance",
    )
    parser.add_argument("--alias", default="prod", help="the alias to move to the revision (default: prod)")
    parser.add_argument("--no-alias", action="store_true", help="write the revision and move no alias")
    parser.add_argument(
        "--trust",
        action="store_true",
        help="load a pickle: whoever made it can run any code on this machine, now",
    )
    output.add_json_argument(parser)


def run(args: argparse.Namespace) -> int | None:
    if not environments.satisfied(args.family):
        return environments.run(args.family, "deploy", *args.arguments)
    examples = [_json_or_text(text) for text in args.example]
    wrapper = _wrapper(args, examples)
    if not examples and wrapper.input.kind != "text":
        raise ValueError("Every publishing is proven on an example. Give data that the model takes with --example.")
    published = publish(
        wrapper,
        name=args.name,
        description=args.description,
        examples=examples or [DEFAULT_EXAMPLE],
        alias=None if args.no_alias else args.alias,
        repository=publisher.open_repository(),
        key=publisher.signing_key(),
        engine=args.engine,
        precision=args.precision,
    )
    manifest, pointer = published.manifest, published.pointer
    alias = "" if pointer is None else f' and is "{pointer.alias}"'
    result = {
        "family": manifest.family,
        "name": manifest.name,
        "revision": manifest.revision,
        "alias": None if pointer is None else pointer.alias,
        "engine": asdict(manifest.engine),
    }
    told = [f"{manifest.family}/{manifest.name} is published as revision {manifest.revision}{alias}.", published.note]
    output.tell(args, result, "\n".join(filter(None, told)))
    return None


#: What warm-up predicts when the publisher gives no example.
DEFAULT_EXAMPLE = "Anna Schmidt moved from Berlin to Paris, and now works for the United Nations."


def publish(
    wrapper: ModelWrapper,
    *,
    name: str,
    examples: list[Any],
    repository: Repository,
    key: SigningKey,
    description: str = "",
    alias: str | None = "prod",
    engine: str = "auto",
    precision: str = "auto",
) -> Published:
    """Writes the wrapper as a revision and moves the alias to it.

    Args:
        examples: data that the wrapper takes; the first is the sample.
        alias: None writes the revision only.
        engine: one of fast_lane.ENGINES; ``auto`` takes the fastest that answers as the wrapper does.
        precision: one of fast_lane.PRECISIONS, in which a graph's weights are stored.

    Raises InvalidInput for a name or an example that cannot be, Conflict when another publisher was faster.
    """
    if not is_model_name(name):
        raise InvalidInput("name", f'"{name}" is no model\'s name: {MODEL_NAME_RULE}.')
    _check_name_is_free(repository, wrapper.family, name)
    lane = fast_lane.build(wrapper, engine, precision, examples)
    serialized = stream.dump(lane.wrapper)
    names = _proven(lane.wrapper, serialized, examples)
    files = {WRAPPER_FILE: serialized.stream}
    if serialized.weights:
        files[WEIGHTS_FILE] = serialized.weights
    manifest = Manifest(
        family=wrapper.family,
        name=name,
        description=description,
        wrapper=f"{type(wrapper).__module__}:{type(wrapper).__qualname__}",
        engine=lane.record,
        memory=memory_need(lane.record.name, serialized, lane.wrapper.copied_bytes()),
        weights=serialized.layout,
        python=python_minor(),
        packages=stream.packages_of([*names, *map(_engine_package, names)]),
        files={file: FileEntry.of(data) for file, data in files.items()},
        globals=names,
        interface=wrapper.interface(),
        examples=examples,
    )
    with output.progress_bar(f"publishing {name}", sum(map(len, files.values()))) as advance:
        repository.add(manifest, files, key, advance)
    pointer = None if alias is None else repository.point(manifest, alias, key)
    return Published(manifest, pointer, lane.note)


def _engine_package(name: str) -> str:
    """What an engine's module imports: the package that it is named after, but for one."""
    module = name.partition(":")[0].rpartition("model_functions.engines.")[2]
    return "torch" if module == "modules" else module


def _wrapper(args: argparse.Namespace, examples: list[Any]) -> ModelWrapper:
    cls = wrapper_class(args.family)
    settings = _settings(cls, args.set) | {"bounds": dict(map(_bounds, args.bounds))}
    offered = {"example": examples[0] if examples else None, "trusted": args.trust}
    wanted = inspect.signature(cls.from_source).parameters
    settings |= {name: value for name, value in offered.items() if name in wanted}
    return cls.from_source(args.source, **settings)


def _settings(cls: type[ModelWrapper], assignments: list[str]) -> dict[str, Any]:
    """The wrapper's settings, with the parameters' defaults under ``defaults``."""
    parameters = {parameter.name: parameter for parameter in cls.declared}
    defaults: dict[str, Any] = {}
    limits: dict[str, Any] = {}
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        if not equals:
            raise ValueError(f"--set {assignment}: write NAME=VALUE.")
        if name in parameters:
            defaults[name] = parameters[name].parse(text)
        elif name in ("max_characters", "max_items", "max_tokens") and text.isdecimal() and int(text) > 0:
            limits[name] = int(text)
        elif name in cls.settings:
            limits[name] = _json_or_text(text)
        else:
            known = ", ".join(
                [*parameters, *cls.settings, "max_characters", "max_items", "max_tokens (positive integers)"]
            )
            raise ValueError(f"--set {assignment}: {cls.family} has no such setting. There are: {known}.")
    return {"defaults": defaults} | limits


def _bounds(text: str) -> tuple[str, tuple[float, float]]:
    name, _, limits = text.partition("=")
    low, _, high = limits.partition("..")
    try:
        return name, (float(low), float(high))
    except ValueError:
        raise ValueError(f"--bounds {text}: write NAME=LOW..HIGH, as num_beams=1..4.") from None


def _json_or_text(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _check_name_is_free(repository: Repository, family: str, name: str) -> None:
    """One name, one family: the gateway finds a model by its name alone."""
    others = [other for other, found in repository.names() if found == name and other != family]
    if others:
        raise Conflict(f'"{name}" is published in {others[0]} already. Choose another name for the {family} model.')


def _proven(wrapper: ModelWrapper, serialized: Serialized, examples: list[Any]) -> tuple[str, ...]:
    """What the stream imports, once it has been loaded and predicts as the wrapper itself does."""
    loaded, names = stream.load_and_list(serialized)
    for example in examples:
        expected = wrapper.predict(example)
        # A wrapper that draws its answers gives no two the same.
        if wrapper.predict(example) == expected and loaded.predict(example) != expected:
            raise ValueError(
                f"The serialized wrapper answers {json.dumps(example, ensure_ascii=False)[:60]} differently from the "
                "wrapper itself, so something in it does not survive dill. Nothing was published."
            )
    return names
