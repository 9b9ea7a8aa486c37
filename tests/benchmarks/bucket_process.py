"""The fake bucket in a process of its own, which tells what has been read from it."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

from deploy.project import ROOT
from tests.fakes.bucket import FakeBucket

BUCKET = "models"
#: A response may still be on its way out when its reader has all of it.
SETTLING_S = 0.05


@dataclass(frozen=True)
class Read:
    """One object's contents, as they were asked for since the last question.

    Args:
        sent: bytes of its contents, over all requests.
        size: bytes that it has.
    """

    name: str
    requests: int
    sent: int
    size: int


class BucketProcess:
    """The other process, over its pipes."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.url = self._line()

    def reads(self) -> list[Read]:
        """What has been read since the last question."""
        time.sleep(SETTLING_S)
        assert self._process.stdin is not None
        print("reads", file=self._process.stdin, flush=True)
        return [Read(**entry) for entry in json.loads(self._line())]

    def environment(self) -> dict[str, str]:
        return {"STORAGE_EMULATOR_HOST": self.url, "MODEL_STORE": f"gs://{BUCKET}"}

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


@contextmanager
def bucket_process() -> Iterator[BucketProcess]:
    command = [sys.executable, "-m", __name__]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, cwd=ROOT, text=True, env=dict(os.environ), **pipes) as process:  # type: ignore[call-overload]
        try:
            yield BucketProcess(process)
        finally:
            # The end of its input is its end.
            process.stdin.close()


def publish(module: str, bucket: BucketProcess, names: Iterable[str | None]) -> dict[str | None, dict[str, Any]]:
    """What came of each name. In a process of its own, whose memory is free again afterwards.

    Args:
        module: that publishes the names that it is given.
    """
    command = [sys.executable, "-m", module, *(name for name in names if name)]
    environment = dict(os.environ) | bucket.environment()
    output = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True).stdout
    records = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
    return {record["name"]: record for record in records}


def main() -> None:
    with FakeBucket(BUCKET) as bucket:
        print(bucket.url, flush=True)
        for _ in sys.stdin:
            print(json.dumps([asdict(read) for read in _reads(bucket)]), flush=True)
            bucket.calls.clear()


def _reads(bucket: FakeBucket) -> list[Read]:
    calls = [call for call in bucket.calls if call.method == "GET" and call.query.get("alt") == "media"]
    names = sorted({call.object for call in calls if call.status in (200, 206)})
    return [
        Read(
            name,
            sum(call.object == name for call in calls),
            sum(call.sent for call in calls if call.object == name),
            len(bucket.data(name)),
        )
        for name in names
    ]


if __name__ == "__main__":
    main()
