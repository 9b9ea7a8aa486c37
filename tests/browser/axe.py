"""axe-core: what on a page keeps people from using it, by the rules of WCAG and beyond."""

import hashlib
import json
import os
import subprocess
import sys
import zipfile
from functools import cache
from pathlib import Path

import pytest
from selenium.webdriver.remote.webdriver import WebDriver

from deploy.project import ROOT
from tests.browser.playground import PATIENCE_S

PINNED = ROOT / "tests/browser/axe.txt"
FOLDER = ROOT / "build/axe"

_RUN = """
    const done = arguments[0];
    axe.run(document).then(({ violations }) => done(JSON.stringify(violations)), (reason) => done(String(reason)));
"""


def problems(driver: WebDriver) -> list[str]:
    """Each rule that the page breaks, with what breaks it."""
    driver.execute_script(_script())
    # It looks at every element, of a page that may have thousands.
    driver.set_script_timeout(5 * PATIENCE_S)
    found = json.loads(driver.execute_async_script(_RUN))
    return [f"{one['impact']}: {one['help']}: {[node['html'] for node in one['nodes']]}" for one in found]


@cache
def _script() -> str:
    wheel = _wheel() or _downloaded()
    with zipfile.ZipFile(wheel) as files:
        return files.read("axe_playwright_python/axe.min.js").decode()


def _wheel() -> Path | None:
    pinned = PINNED.read_text()
    return next((one for one in FOLDER.glob("*.whl") if hashlib.sha256(one.read_bytes()).hexdigest() in pinned), None)


def _downloaded() -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"]
    done = subprocess.run([*command, f"--requirement={PINNED}", f"--dest={FOLDER}"], capture_output=True, text=True)
    wheel = _wheel()
    if wheel is not None:
        return wheel
    message = f"axe-core cannot be had: {done.stderr.strip()}"
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)
