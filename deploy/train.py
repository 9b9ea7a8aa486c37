"""Train the sample models and publish them; what is trained and published already stays.

The samples are deploy/samples/. The store is MODEL_STORE, else build/store.
"""

import argparse
import hashlib
import json
from pathlib import Path

from deploy import publisher
from deploy.project import SHARED, store_location
from deploy.samples import load_sample, sample_names
from deploy.samples.training import BUILD, STAMP, ensure_trained
from model_functions.errors import ServingError
from model_functions.repository import Repository

EXAMPLE = "python -m deploy train wine_model"

#: Beside a trained sample: what was published of it, where, and from which code.
PUBLISHED = "published.json"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("sample", nargs="*", help=f"default: all of {', '.join(sample_names())}")


def run(args: argparse.Namespace) -> None:
    repository = publisher.open_repository()
    for name in args.sample or sample_names():
        if name not in sample_names():
            raise ValueError(f'There is no sample "{name}". There are: {", ".join(sample_names())}.')
        folder = BUILD / name
        score = ensure_trained(name, folder)
        print(f"{name}: {score}", flush=True)
        if not _is_published(repository, name, folder):
            revision = publish_sample(repository, name, folder)
            print(f"{name}: published as revision {revision}", flush=True)


def publish_sample(repository: Repository, name: str, folder: Path) -> str:
    """Publishes a trained sample as ``prod`` and returns its revision."""
    # Imported here, like the framework behind the wrapper: where all is published, a start costs nothing.
    from deploy.publish import publish

    sample = load_sample(name)
    published = publish(
        sample.wrapper(folder),
        name=name,
        description=sample.DESCRIPTION,
        examples=sample.EXAMPLES,
        repository=repository,
        key=publisher.signing_key(),
        training=json.loads((folder / STAMP).read_text()),
    )
    (folder / PUBLISHED).write_text(json.dumps(_fingerprint(folder)))
    return published.manifest.revision


def _is_published(repository: Repository, name: str, folder: Path) -> bool:
    try:
        repository.resolve(load_sample(name).FAMILY, name, "prod")
        return bool(json.loads((folder / PUBLISHED).read_text()) == _fingerprint(folder))
    except (ServingError, FileNotFoundError):
        return False


def _fingerprint(folder: Path) -> dict[str, str]:
    """Changes with the store, the trained model and the code that wraps it."""
    digest = hashlib.sha256((folder / STAMP).read_bytes())
    for path in sorted(SHARED.rglob("*.py")):
        digest.update(path.read_bytes())
    return {"store": store_location(), "digest": digest.hexdigest()}
