"""The end of an instance, in real processes: what runs is answered, what comes then is refused."""

import json
import shutil
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from deploy.publish import publish
from deploy.sources.own_wrapper import load_class
from deploy.stage import stage
from model_functions.artifact.signing import Trust
from model_functions.artifact.signing_key import SigningKey
from model_functions.inputs import TextInput
from model_functions.repository import Repository
from model_functions.store.folder import FolderStore
from tests.running import ROOT, Answer, Process, call, emulator, free_port, function
from tests.shared.test_queue import until


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory, key: SigningKey, trust: Trust) -> Path:
    """With ``waiting``, which takes as long as it is asked to."""
    folder = tmp_path_factory.mktemp("store")
    wrapper = load_class(f"{ROOT / 'tests' / 'torture' / 'models' / 'waiting.py'}:Waiting")(TextInput())
    repository = Repository(FolderStore(folder), trust)
    publish(wrapper, name="waiting", examples=["wait 0"], repository=repository, key=key, engine="python")
    return folder


@pytest.fixture(scope="module")
def staged(tmp_path_factory: pytest.TempPathFactory, trust_file: Path) -> Path:
    folder = stage("tabular", build=tmp_path_factory.mktemp("build"))
    shutil.copy(trust_file, folder / "trust.json")
    return folder


def ask(url: str, data: str) -> Answer:
    return call(f"{url}/predict", json.dumps({"model_name": "waiting", "data": data}).encode())


def ended(url: str, process: Process, data: str, late: Callable[[], object]) -> tuple[Answer, int]:
    """The answer to what runs when the process is told to end, and its exit status."""
    assert ask(url, "wait 0").status == 200
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(ask, url, data)
        time.sleep(0.3)
        process.process.send_signal(signal.SIGTERM)
        late()
        return running.result(), process.process.wait(9)


def test_what_runs_is_answered_and_what_comes_is_refused(store: Path, staged: Path, edge: dict[str, str]) -> None:
    with function(staged, free_port(), MODEL_STORE=str(store), **edge) as (url, process):

        def late() -> None:
            until(lambda: any("ends once 1 requests are answered" in line for line in process.lines))
            refused = ask(url, "wait 0")
            assert (refused.status, refused.headers["x-error-code"]) == (503, "draining")
            assert refused.headers["retry-after"] == "1"
            # To WSGI the connection is its server's.
            assert edge["FUNCTION_USE_ASGI"] == "false" or refused.headers["connection"] == "close"
            assert call(f"{url}/health").status == 200

        answer, status = ended(url, process, "wait 1", late)
    assert (answer.status, json.loads(answer.body)["body"], status) == (200, "wait 1", 0)


def test_an_emulator_answers_what_runs_before_it_stops_the_functions(store: Path, trust_file: Path) -> None:
    with emulator(store, MODEL_TRUST=str(trust_file)) as (url, process):
        # Through the gateway: both functions have it in flight.
        answer, status = ended(url, process, "wait 1", lambda: None)
    assert (answer.status, status) == (200, 0), process.lines
