"""The Dockerfile: what its linter says, and that a function answers when its steps have been run in an empty folder."""

import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.stage import stage
from tests import tiny_models
from tests.deploy.container.clean_root import Image
from tests.running import call, free_port

DOCKERFILE = Path(__file__).parents[3] / "deploy" / "container" / "Dockerfile"


def test_hadolint_finds_nothing() -> None:
    program = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([str(program), "--failure-threshold=style", str(DOCKERFILE)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_it_is_the_python_that_functions_run_on() -> None:
    bases = [line.split()[1] for line in DOCKERFILE.read_text().splitlines() if line.startswith("FROM ")]
    assert {base.split("-")[0] for base in bases} == {"python:3.11"}


def test_it_serves_as_google_cloud_does_and_not_as_root() -> None:
    text = DOCKERFILE.read_text()
    assert 'CMD ["functions-framework", "--target=predict"' in text
    assert "FUNCTION_USE_ASGI=true" in text
    assert "USER 10001:10001" in text


@pytest.fixture(scope="module")
def image(store_folder: Path, trust_file: Path) -> Iterator[Image]:
    # Not pytest's own folder, which other users may not enter.
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    staged = stage("tabular", release=True, build=folder / "build")
    shutil.copy(trust_file, staged / "trust.json")
    shutil.copytree(store_folder, folder / "store")
    subprocess.run(["chmod", "-R", "a+rX", str(folder)], check=True)
    made = Image(DOCKERFILE, staged, folder / "root")
    made.build()
    yield made
    shutil.rmtree(folder)


@pytest.mark.slow
def test_a_function_answers_in_what_its_steps_have_made(image: Image) -> None:
    port = free_port()
    image.environment |= {"PORT": str(port), "MODEL_STORE": str(image.root.parent / "store")}
    process = image.run()
    try:
        url = f"http://127.0.0.1:{port}"
        _wait_for(url)
        asked = json.dumps({"model_name": "tiny_classifier", "data": dict.fromkeys(tiny_models.COLUMNS, 0.5)})
        answer = call(f"{url}/predict", asked.encode())
        assert answer.status == 200, answer.body
        assert "prediction" in json.loads(answer.body)["body"]
        # Not what stands here: what was installed there.
        seen = Path(f"/proc/{process.pid}/environ").read_text()
        assert str(image.root / "packages" / "bin") in seen
        assert image.user is not None
        if Image.may_become(image.user):
            assert Path(f"/proc/{process.pid}").stat().st_uid == 10001
    finally:
        process.terminate()
        process.communicate(timeout=20)


def _wait_for(url: str) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            if call(f"{url}/health").status == 200:
                return
        except OSError:
            time.sleep(0.1)
    raise AssertionError("the function does not answer")
