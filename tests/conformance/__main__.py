"""Real clients call the functions, each in the environment that it installs in, at its newest version.

``python -m tests.conformance [GROUP…] [-k EXPRESSION]``; a group is a folder beside this file. Its environment is made
once, under build/environments/, and its calls are a pytest run of their own there: a test a call, listed with -v, and
as JUnit's XML in build/conformance/.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from xml.etree import ElementTree

from deploy.environments import made
from deploy.project import BUILD, ROOT
from deploy.stage import stage
from model_functions.artifact.signing import Trust
from model_functions.artifact.signing_key import SigningKey
from model_functions.repository import Repository
from model_functions.store.folder import FolderStore
from tests.conformance.models import publish_all
from tests.fakes.bucket import FakeBucket
from tests.running import clean_environment, emulator, free_port, function

HERE = Path(__file__).parent
REPORTS = BUILD / "conformance"

#: As Vertex AI sets them for a container of ours, with routes of its own.
VERTEX = {
    "AIP_HTTP_PORT": "8080",
    "AIP_HEALTH_ROUTE": "/v1/endpoints/7/deployedModels/9",
    "AIP_PREDICT_ROUTE": "/v1/endpoints/7/deployedModels/9:predict",
    "AIP_MODE": "PREDICTION",
    "AIP_STORAGE_URI": "",
    "MODEL_NAME": "sizes",
}

GROUPS = sorted(path.parent.name for path in HERE.glob("*/requirements.txt"))


def main() -> int:
    arguments = _arguments()
    groups = arguments.group or GROUPS
    REPORTS.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(2) as pool:
        # pip downloads while the models are published.
        environments = {group: pool.submit(made, HERE / group) for group in groups}
        with served() as variables:
            statuses = [calls(group, made_.result(), variables, arguments.k) for group, made_ in environments.items()]
    for group in groups:
        print(f"{group}: {counted(REPORTS / f'{group}.xml')}")
    return max(statuses)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.conformance", description=__doc__.partition("\n")[0])
    parser.add_argument("group", nargs="*", help=f"of {', '.join(GROUPS)}; default: all")
    parser.add_argument("-k", help="only the calls whose names match, as pytest's own -k", default="")
    return parser.parse_args()


@contextmanager
def served() -> Iterator[dict[str, str]]:
    """The functions over a store of tiny models: variables that say where."""
    with tempfile.TemporaryDirectory() as temporary, FakeBucket("models") as bucket:
        folder = Path(temporary)
        key = SigningKey.generate()
        trusted = key.trusted("the conformance suite")
        publish_all(Repository(FolderStore(folder / "store"), Trust([trusted])), key, folder)
        fill(bucket, folder / "store")
        make_trouble(bucket)
        store = {"STORAGE_EMULATOR_HOST": bucket.url, "MODEL_TRUST": str(folder / "trust.json")}
        (folder / "trust.json").write_text(json.dumps({"keys": [trusted.entry()]}))
        container = store | {"MODEL_STORE": "gs://models"} | VERTEX
        with (
            emulator("gs://models", **store) as (site, process),
            function(stage("tabular", build=folder / "build"), free_port(), **container) as (vertex, _),
        ):
            try:
                yield {"CONFORMANCE_SITE": site, "CONFORMANCE_CONTAINER": vertex}
            finally:
                (REPORTS / "site.log").write_text("\n".join(process.lines))


def fill(bucket: FakeBucket, store: Path) -> None:
    for path in store.rglob("*.*"):
        if path.is_file() and not path.name.startswith("."):
            bucket.put(path.relative_to(store).as_posix(), path.read_bytes())


def make_trouble(bucket: FakeBucket) -> None:
    """Two cold starts that a client has to live with: one takes more than five seconds, one fails at first."""
    bucket.fault("read", "*/slow_writer/revisions/*/[!m]*", latency=2.6, times=None)
    bucket.fault("read", "*/shut_writer/*/weights.safetensors", status=403)


def calls(group: str, environment: Path, variables: dict[str, str], expression: str) -> int:
    """The exit status of the group's pytest."""
    options = ["-v", "-c", str(HERE / "pytest.ini"), f"--junit-xml={REPORTS / group}.xml", "-k", expression]
    command = [str(environment / "bin" / "python"), "-m", "pytest", *options, str(HERE / group)]
    return subprocess.run(command, cwd=ROOT, env=clean_environment(**variables), check=False).returncode


def counted(report: Path) -> str:
    """How many calls each client made, by the files of its tests."""
    cases = ElementTree.parse(report).iter("testcase")
    clients = Counter(case.attrib["classname"].rpartition(".test_")[2] for case in cases)
    return f"{clients.total()} calls: " + ", ".join(f"{name} {count}" for name, count in clients.items())


if __name__ == "__main__":
    sys.exit(main())
