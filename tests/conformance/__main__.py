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
from contextlib import ExitStack, contextmanager
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
    arguments = parser.parse_args()
    for group in set(arguments.group) - set(GROUPS):
        parser.error(f'There is no group "{group}". There are: {", ".join(GROUPS)}.')
    return arguments


@contextmanager
def served() -> Iterator[dict[str, str]]:
    """The functions over a store of tiny models: variables that say where."""
    with tempfile.TemporaryDirectory() as temporary, FakeBucket("models") as bucket, ExitStack() as running:
        folder = Path(temporary)
        key = SigningKey.generate()
        trusted = key.trusted("the conformance suite")
        publish_all(Repository(FolderStore(folder / "store"), Trust([trusted])), key, folder)
        fill(bucket, folder / "store")
        (folder / "trust.json").write_text(json.dumps({"keys": [trusted.entry()]}))
        settings = {"STORAGE_EMULATOR_HOST": bucket.url, "MODEL_TRUST": str(folder / "trust.json")}

        def alone(family: str, store: str, **more: str) -> str:
            """The address of a function in a process of its own."""
            staged = stage(family, build=folder / "build" / store)
            variables = settings | {"MODEL_STORE": f"gs://models/{store}"} | more
            return running.enter_context(function(staged, free_port(), **variables))[0]

        site, process = running.enter_context(emulator("gs://models/well", **settings))
        try:
            yield {
                "CONFORMANCE_SITE": site,
                "CONFORMANCE_CONTAINER": alone("tabular", "well", **VERTEX),
                "CONFORMANCE_SLOW": alone("text_generation", "slow"),
                "CONFORMANCE_SHUT": alone("text_generation", "shut"),
            }
        finally:
            (REPORTS / "site.log").write_text("\n".join(process.lines))


def fill(bucket: FakeBucket, store: Path) -> None:
    """The store three times: as it is, where each answer takes its time, and where the first one is a refusal."""
    for path in store.rglob("*.*"):
        if path.is_file() and not path.name.startswith("."):
            for place in ("well", "slow", "shut"):
                bucket.put(f"{place}/{path.relative_to(store).as_posix()}", path.read_bytes())
    bucket.fault("read", "slow/*", latency=1.8, times=None)
    bucket.fault("read", "shut/*", status=403)


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
