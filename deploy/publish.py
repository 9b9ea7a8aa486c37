"""Publish a model: recognise it, serialize its wrapper, prove it in a fresh process, sign it, move the alias.

Prints the revision, and what changes for callers if another one was served. Publishing the same model again changes
nothing. The store is MODEL_STORE, else build/store.
"""

import argparse
import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from deploy import assignments, environments, fast_lane, output, pins, publisher
from deploy.lanes.stored import stored
from deploy.project import model_families
from deploy.proving import proof, provenance
from deploy.proving.comparison import Comparison, compare, others_of
from deploy.sources.recognition import recognise
from deploy.sources.wrapping import find, source_of
from model_functions.artifact import sources
from model_functions.artifact.manifest import (
    PREDICTIONS_FILE,
    WEIGHTS_FILE,
    WRAPPER_FILE,
    FileEntry,
    Manifest,
    python_minor,
)
from model_functions.artifact.signing import canonical
from model_functions.artifact.signing_key import SigningKey
from model_functions.errors import Conflict, InvalidInput, ModelNotFound
from model_functions.names import MODEL_NAME_RULE, is_model_name
from model_functions.predictions import same_answer
from model_functions.repository import Pointer, Repository
from model_functions.rows import RowWrapper
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
    """What was taken for granted of the source, and how equal the fast lane is, or why there is none."""
    comparison: Comparison | None = None
    """With the revision that the alias pointed at; None when it was this one, or none."""


class NotProven(ValueError):
    """The revision is written, and a fresh process does not serve it as the publisher's did."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "source",
        nargs="?",
        help="a Hugging Face folder or Hub id, a .pkl, .joblib, .skops, .onnx, .pt2, .pt, .keras or .h5 file, a "
        "SavedModel or TensorFlow Serving folder, a folder with a wrapper.py",
    )
    parser.add_argument("--family", choices=model_families(), help="default: what the source is recognised as")
    parser.add_argument("--from-dill", type=Path, metavar="FILE", help="an older wrapper, dumped whole with dill")
    parser.add_argument("--wrapper", metavar="FILE.py:CLASS", help="your own wrapper class, whose source ships too")
    parser.add_argument("--name", required=True, help=MODEL_NAME_RULE)
    parser.add_argument("--description", default="", help="one sentence for people")
    parser.add_argument(
        "--example",
        action="append",
        default=[],
        metavar="DATA",
        help="data that the model takes, as JSON, as plain text, or @FILE, which becomes base64; the first is the "
        "sample that warm-up predicts",
    )
    parser.add_argument(
        "--data",
        metavar="FILE",
        help="a tabular model's training data, .csv or a .json of pandas' orient table: its columns' types and ranges",
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
        help="in which the model computes: auto takes bf16 for large models on processors that have it, if the "
        "answers stay equal within its tolerance; fp32 equals torch to 1e-4; int8 is never taken unasked",
    )
    parser.add_argument(
        "--max-batch",
        type=int,
        metavar="SIZE",
        help="what the model reads at once of requests that wait: tokens of texts, rows of a table, images, values of "
        "tensors; 0 reads each request alone (default: the family's)",
    )
    parser.add_argument("--note", help="what the manifest keeps of the training; a training.json beside the model too")
    parser.add_argument("--alias", default="prod", help="the alias to move to the revision (default: prod)")
    parser.add_argument("--no-alias", action="store_true", help="write the revision and move no alias")
    parser.add_argument(
        "--trust",
        action="store_true",
        help="load a pickle: whoever made it can run any code on this machine, now",
    )
    output.add_json_argument(parser)


def run(args: argparse.Namespace) -> int | None:
    family = _family(args)
    if family and not environments.satisfied(family):
        return environments.run(family, "deploy", *args.arguments)
    examples = [assignments.json_or_text(text) for text in args.example]
    found = find(
        args,
        examples,
        lambda cls: assignments.settings(cls, args.set) | {"bounds": dict(map(assignments.bounds, args.bounds))},
    )
    if not examples and found.wrapper.input.kind != "text" and found.wrapper.sample() is ModelWrapper.default_example:
        raise ValueError("A model is proven by an example before it is served. Give data that it takes with --example.")
    if args.max_batch is not None:
        _limit(found.wrapper, args.max_batch)
    published = publish(
        found.wrapper,
        name=args.name,
        description=args.description,
        examples=examples or [found.wrapper.sample()],
        alias=None if args.no_alias else args.alias,
        repository=publisher.open_repository(),
        key=publisher.signing_key(),
        engine=args.engine,
        precision=args.precision,
        source=found.source,
        training=provenance.training_record(found.path, args.note),
    )
    manifest, pointer, comparison = published.manifest, published.pointer, published.comparison
    alias = "" if pointer is None else f' and is "{pointer.alias}"'
    advice = pins.advice(manifest.family, manifest.all_packages)
    result = {
        "family": manifest.family,
        "name": manifest.name,
        "revision": manifest.revision,
        "alias": None if pointer is None else pointer.alias,
        "engine": asdict(manifest.engine),
        "faster": [asdict(lane.engine) for lane in manifest.faster],
        "recognised": found.recognised._asdict(),
        "comparison": None if comparison is None else asdict(comparison) | {"changed": comparison.changed},
        "advice": advice,
    }
    told = [
        f"{args.source or args.from_dill} is recognised as {manifest.family}: {found.recognised.reason}.",
        f"{manifest.family}/{manifest.name} is published as revision {manifest.revision}{alias}.",
        published.note,
        "" if comparison is None else comparison.table(),
        advice,
    ]
    output.tell(args, result, "\n".join(filter(None, told)))
    return None


def _family(args: argparse.Namespace) -> str:
    """Whose environment is needed; a wrapper of the publisher's own, or an archive, is read in this one."""
    if args.family or args.source is None or args.wrapper:
        return args.family or ""
    source = source_of(args)
    return "" if source.format in ("mar", "wrapper") else recognise(source).family


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
    source: dict[str, str] | None = None,
    training: dict[str, Any] | None = None,
) -> Published:
    """Writes the wrapper as a revision, proves it in a fresh process, and moves the alias to it.

    Args:
        examples: data that the wrapper takes; the first is the sample.
        alias: None writes the revision only.
        engine: one of fast_lane.ENGINES; ``auto`` takes the fastest that answers as the wrapper does.
        precision: one of fast_lane.PRECISIONS, in which a graph computes where the processor does.
        source: its format and digest, for the record.
        training: what is recorded of the training.

    Raises InvalidInput for a name or an example that cannot be, NotProven, Conflict when another publisher was faster.
    """
    if not is_model_name(name):
        raise InvalidInput("name", f'"{name}" is no model\'s name: {MODEL_NAME_RULE}.')
    _check_name_is_free(repository, wrapper.family, name)
    # What is compared with, and told to be replaced, must be what is replaced at the end.
    seen = None if alias is None else repository.generation(wrapper.family, name, alias)
    lane = fast_lane.build(wrapper, engine, precision, examples)
    plain = stored(lane, examples)
    faster = [stored(one, examples) for one in lane.faster]
    files = {WRAPPER_FILE: plain.files.stream, PREDICTIONS_FILE: canonical(plain.predictions)}
    if plain.files.weights:
        files[WEIGHTS_FILE] = plain.files.weights
    shipped = sources.files_of(plain.globals)
    records = tuple(one.add_to(files, shipped) for one in faster)
    manifest = Manifest(
        family=wrapper.family,
        name=name,
        description=description,
        wrapper=f"{type(wrapper).__module__}:{type(wrapper).__qualname__}",
        engine=lane.record,
        memory=plain.memory,
        weights=plain.files.layout,
        python=python_minor(),
        packages=plain.packages(shipped),
        files={file: FileEntry.of(data) for file, data in sorted((files | shipped).items())},
        globals=plain.globals,
        interface=wrapper.interface(),
        examples=examples,
        provenance=provenance.provenance(source or {}, training or {}),
        faster=records,
    )
    files |= shipped
    served = _served(repository, manifest, alias or "prod")
    if served is not None and _same_model(repository, served, manifest, plain.predictions):
        manifest = served
    else:
        with output.progress_bar(f"publishing {name}", sum(map(len, files.values()))) as advance:
            repository.add(manifest, files, key, advance)
    comparison = _proven(repository, manifest, served)
    pointer = None if alias is None else repository.point(manifest, alias, key, seen)
    return Published(manifest, pointer, "\n".join(filter(None, (wrapper.assumed, lane.note))), comparison)


def _served(repository: Repository, manifest: Manifest, alias: str) -> Manifest | None:
    """The manifest that the alias points at now, if there is one that can be read."""
    try:
        pointer = repository.resolve(manifest.family, manifest.name, alias)
        return repository.manifest(manifest.family, manifest.name, pointer.revision, pointer.manifest)
    except ModelNotFound:
        return None


def _same_model(repository: Repository, old: Manifest, new: Manifest, predictions: list[dict[str, Any]]) -> bool:
    """Whether nothing but the publisher's commit, or the rounding of the recorded answers, tells them apart."""
    if PREDICTIONS_FILE not in old.files:
        return False
    made = replace(new.provenance, commit=old.provenance.commit, dirty=old.provenance.dirty)
    files = new.files | {PREDICTIONS_FILE: old.files[PREDICTIONS_FILE]}
    if replace(new, provenance=made, files=files).digest != old.digest:
        return False
    before = json.loads(bytes(repository.download(old, PREDICTIONS_FILE).wait().memory))
    return all(same_answer(one, other) is not False for one, other in zip(before, predictions, strict=True))


def _proven(repository: Repository, manifest: Manifest, served: Manifest | None) -> Comparison | None:
    """How its answers differ from those of the revision that is served, once a fresh process has proven it."""
    replaced = served if served is not None and served.revision != manifest.revision else None
    others = [] if replaced is None else others_of(replaced, manifest)
    report = proof.examine(repository, manifest.family, manifest.name, manifest.revision, others)
    if not report.proven:
        raise NotProven(
            f"Revision {manifest.revision} of {manifest.family}/{manifest.name} is written, and no alias was moved to "
            f"it: a fresh process does not serve it. {' '.join(report.failures)}"
        )
    return None if replaced is None else compare(repository, replaced, manifest, report)


def _limit(wrapper: ModelWrapper, size: int) -> None:
    if not isinstance(wrapper, RowWrapper):
        raise ValueError(f"--max-batch {size}: {wrapper.family} reads each request alone here. Leave it out.")
    if size < 0:
        raise ValueError(f"--max-batch {size}: give 0, or as much as the model shall read at once.")
    wrapper.max_batch = size


def _check_name_is_free(repository: Repository, family: str, name: str) -> None:
    """One name, one family: the gateway finds a model by its name alone."""
    others = [other for other, found in repository.names() if found == name and other != family]
    if others:
        raise Conflict(f'"{name}" is published in {others[0]} already. Choose another name for the {family} model.')
