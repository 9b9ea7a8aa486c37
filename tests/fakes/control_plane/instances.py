"""What serves a revision: functions-framework over the built source, with what Cloud Run gives it, when it is asked."""

import contextlib
import http.client
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deploy import environments
from deploy.project import function_families
from model_functions.names import function_name
from tests.fakes.control_plane import given_secrets
from tests.fakes.control_plane.images import Image
from tests.fakes.control_plane.revisions import account_of, container_of
from tests.fakes.control_plane.routing import ApiError
from tests.fakes.metadata import FakeMetadataServer
from tests.running import free_port

if TYPE_CHECKING:
    from tests.fakes.control_plane.plane import ControlPlane

Revision = dict[str, Any]
STOP_S = 10
START_S = 120
UNHEALTHY = (
    "The user-provided container failed to start and listen on the port defined provided by the PORT=8080 environment "
    "variable within the allocated timeout. This can happen when the container port is misconfigured or if the timeout "
    "is too short. Logs for this revision might contain more information."
)


class NotStarted(Exception):
    """The argument is what Cloud Run says of it."""


class Instance:
    """One process. Raises NotStarted where it does not come to listen."""

    def __init__(
        self, command: list[str], folder: Path, environment: dict[str, str], probe: str, on_line: Callable[[str], None]
    ) -> None:
        self.port = free_port()
        self._lines: list[str] = []
        self._process = subprocess.Popen(
            [*command, "--host", "127.0.0.1", "--port", str(self.port)],
            cwd=folder,
            env=environment | {"PORT": str(self.port)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        threading.Thread(target=self._relay, args=(on_line,), daemon=True).start()
        self._until_healthy(probe)

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    def stop(self) -> None:
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(STOP_S)

    def _relay(self, on_line: Callable[[str], None]) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                on_line(line.rstrip())

    def _until_healthy(self, path: str) -> None:
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline and self.is_alive:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
            with contextlib.suppress(OSError, http.client.HTTPException), contextlib.closing(connection):
                connection.connect()
                if not path:
                    return
                connection.request("GET", path)
                if 200 <= connection.getresponse().status < 400:
                    return
            time.sleep(0.05)
        self.stop()
        raise NotStarted(UNHEALTHY)


class Instances:
    """At most one a revision.

    Args:
        probes: start one when a revision is made, as Cloud Run does before it lets it serve; else at its first request.
    """

    def __init__(self, plane: "ControlPlane", *, probes: bool) -> None:
        self.plane = plane
        self.probes = probes
        self.images: dict[str, Image] = {}
        self._running: dict[tuple[str, str], Instance] = {}
        self._metadata: dict[str, FakeMetadataServer] = {}
        self._starting: dict[tuple[str, str], threading.Lock] = {}
        self._known: dict[str, threading.Event] = {}
        self._lock = threading.Lock()

    @property
    def running(self) -> list[Instance]:
        return [instance for instance in self._running.values() if instance.is_alive]

    def trouble(self, location: str, revision: Revision) -> str:
        """Why the revision cannot serve; nothing where it can."""
        try:
            self._environment(revision)
            if self.probes:
                self.reach(location, revision)
        except (NotStarted, ApiError) as exc:
            return str(exc)
        return ""

    def tell_known(self, revision: Revision) -> None:
        self._event(revision).set()

    def until_known(self, revision: Revision) -> None:
        self._event(revision).wait(START_S + 10)

    def reach(self, location: str, revision: Revision) -> Instance:
        """The running one, which is started where there is none. Raises NotStarted."""
        key = location, revision["metadata"]["name"]
        with self._lock:
            starting = self._starting.setdefault(key, threading.Lock())
        with starting:
            found = self._running.get(key)
            if found is None or not found.is_alive:
                found = self._running[key] = self._started(location, revision)
            return found

    def stop(self, location: str, name: str) -> None:
        found = self._running.pop((location, name), None)
        if found is not None:
            found.stop()

    def stop_all(self) -> None:
        """And none is started any more that would outlive the rest."""
        threads = [threading.Thread(target=self.stop, args=key) for key in list(self._running)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for server in self._metadata.values():
            server.__exit__(None, None, None)

    def _event(self, revision: Revision) -> threading.Event:
        with self._lock:
            return self._known.setdefault(revision["metadata"]["name"], threading.Event())

    def _started(self, location: str, revision: Revision) -> Instance:
        try:
            environment, image = self._environment(revision), self._image(revision)
        except ApiError as exc:
            raise NotStarted(str(exc)) from exc
        command = [str(_programs(revision["status"]["serviceName"]) / "functions-framework")]
        probe = container_of(revision)["startupProbe"].get("httpGet", {}).get("path", "")
        logs, name = self.plane.log, revision["metadata"]["name"]
        return Instance(command, image.folder, environment, probe, lambda line: logs.add_line(location, name, line))

    def _image(self, revision: Revision) -> Image:
        name = container_of(revision)["image"]
        if name not in self.images:
            raise ApiError(404, f"Image '{name}' not found.")
        return self.images[name]

    def _environment(self, revision: Revision) -> dict[str, str]:
        """All that the process gets. Raises ApiError for an image or a secret that is not to be had."""
        plane, spec, account = self.plane, revision["spec"], account_of(revision)
        service = revision["status"]["serviceName"]
        image = self._image(revision)
        user = given_secrets.variables(plane, revision)
        given = {
            "K_SERVICE": service,
            "K_CONFIGURATION": service,
            "K_REVISION": revision["metadata"]["name"],
            "CLOUD_RUN_TIMEOUT_SECONDS": str(spec["timeoutSeconds"]),
            # The names are google.auth's own, of what is at a fixed address on Google Cloud.
            "GCE_METADATA_HOST": self._metadata_host(account),
            # google.auth looks there whether it is on Google Cloud at all.
            "GCE_METADATA_IP": self._metadata_host(account),
            # Google's certificates, for who checks ID tokens itself, and the other functions; no other host is there.
            **plane.google_by_tls.variables,
            "STORAGE_EMULATOR_HOST": plane.storage.url_of(account),
            "PYTHONUNBUFFERED": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        ours = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR", "OMP_NUM_THREADS") if name in os.environ}
        return {**ours, **image.variables, **user, **given}

    def _metadata_host(self, account: str) -> str:
        with self._lock:
            if account not in self._metadata:
                accounts = self.plane.accounts
                server = FakeMetadataServer(
                    access_token=accounts.access_token(account),
                    id_token=lambda audience: accounts.id_token(account, audience),
                    email=account,
                    project=self.plane.project,
                )
                server.__enter__()
                self._metadata[account] = server
            return self._metadata[account].host


def _programs(service: str) -> Path:
    """Where the functions-framework is that has what the function pins: nothing is installed but for our own."""
    families = {function_name(family): family for family in function_families()}
    if service not in families:
        return Path(sys.executable).parent
    try:
        return environments.programs(families[service])
    except ValueError as exc:
        raise NotStarted(str(exc)) from exc
