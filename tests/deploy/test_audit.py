"""Audits: of a real pip-audit, against an advisory source of ours."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from deploy import audit, locked
from deploy.__main__ import main
from tests.running import free_port

pytestmark = pytest.mark.slow

ADVISORY: dict[str, Any] = {
    "id": "PYSEC-2026-1",
    "details": "It gives the keys away.",
    "affected": [
        {
            "package": {"name": "dill", "ecosystem": "PyPI"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "0.4.2"}]}],
        }
    ],
}


class Advisories(BaseHTTPRequestHandler):
    """OSV's API, which knows one thing against one package."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        body = json.dumps({"vulns": [ADVISORY]} if asked["package"]["name"] == "dill" else {}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None: ...


@pytest.fixture
def source() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Advisories) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/v1/query"
        server.shutdown()


@pytest.fixture(autouse=True)
def small_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the locks as they are, three packages."""
    there = locked.packages(locked.FOR_FUNCTIONS)
    path = tmp_path / "functions.txt"
    path.write_text(locked.requirements([there["dill"], there["blake3"]]))
    monkeypatch.setattr(locked, "FOR_FUNCTIONS", path)
    path = tmp_path / "development.txt"
    path.write_text(locked.requirements([locked.packages(locked.DEVELOPMENT)["pip"]]))
    monkeypatch.setattr(locked, "DEVELOPMENT", path)


def test_a_finding_fails_and_is_named(source: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["audit", "--osv-url", source]) == 1
    assert capsys.readouterr().out == ("dill 0.4.1 has PYSEC-2026-1, mended in 0.4.2\n3 packages audited, 1 findings\n")


def test_an_accepted_advisory_passes(
    source: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(audit, "ACCEPTED", {"PYSEC-2026-1": "a test"})
    assert main(["audit", "--osv-url", source]) == 0
    assert capsys.readouterr().out == "3 packages audited, 0 findings\n"


def test_a_source_out_of_reach_is_told_and_no_verdict(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{free_port()}")
    assert main(["audit", "--osv-url", f"http://127.0.0.1:{free_port()}/v1/query", "--json"]) == 0
    [osv, pypi] = json.loads(capsys.readouterr().out)["skipped"]
    assert osv.startswith("osv: ")
    assert pypi.startswith("pypi: ")
