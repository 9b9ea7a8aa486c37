"""What is told of a job while it runs: its state, what its machines count, and what they complain of."""

from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest

from deploy.batch.dataflow import following
from deploy.batch.dataflow.following import Followed
from deploy.batch.dataflow.record import Record

BEGAN = datetime(2026, 1, 1)


class Client:
    """A job that is in one state after the other, one each time that somebody looks."""

    def __init__(self, *states: str) -> None:
        self.states = list(states)
        self.metrics: list[Any] = []
        self.messages: list[list[tuple[str, str]]] = [[]]

    def get_job(self, _: str) -> Any:
        state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        named = SimpleNamespace(name=f"JOB_STATE_{state}")
        return SimpleNamespace(current_state=named, create_time=BEGAN, current_state_time=BEGAN + timedelta(seconds=90))

    def get_job_metrics(self, _: str) -> Any:
        return SimpleNamespace(metrics=self.metrics)

    def list_messages(self, _: str, page_token: str | None, minimum_importance: str) -> tuple[list[Any], str]:
        """A page for each list."""
        assert minimum_importance == "JOB_MESSAGE_WARNING"
        page = int(page_token or 0)
        found = [
            SimpleNamespace(
                time=f"{page}.{place}",
                message_importance=SimpleNamespace(name=f"JOB_MESSAGE_{name}"),
                message_text=text,
            )
            for place, (name, text) in enumerate(self.messages[page])
        ]
        return found, str(page + 1) if page + 1 < len(self.messages) else ""


def metric(name: str, value: float, origin: str = "user", **context: str) -> Any:
    named = SimpleNamespace(name=name, origin=origin, context={"namespace": "batch"} | context)
    return SimpleNamespace(name=named, scalar=value)


def followed(client: Client) -> Followed:
    return Followed(cast(Any, client), Record("2026-01-01_0-1", "acme-prod", "us-east1"), 30)


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "LOOK_S", 0)


def test_each_state_is_told_once_until_the_last(capsys: pytest.CaptureFixture[str]) -> None:
    job = followed(Client("PENDING", "RUNNING", "RUNNING", "RESOURCE_CLEANING_UP", "DONE"))
    assert job.to_the_end() == "DONE"
    states = [line.rpartition(" is ")[2] for line in capsys.readouterr().err.splitlines()]
    assert states == ["pending", "running", "resource cleaning up", "done"]
    assert (job.is_active, job.seconds) == (False, 90.0)


@pytest.mark.parametrize("state", ["DONE", "FAILED", "CANCELLED", "DRAINED", "UPDATED"])
def test_a_job_that_has_ended_writes_no_more(state: str) -> None:
    job = followed(Client("RUNNING", state))
    job.look()
    assert job.is_active
    job.look()
    assert not job.is_active


def test_rows_are_what_the_machines_have_done_and_not_what_they_are_about_to_do() -> None:
    client = Client("RUNNING")
    client.metrics = [
        metric("rows", 20.0, step="write"),
        metric("rows", 28.0, step="write", tentative="true"),
        metric("dead_letters", 2.0, step="write"),
        metric("rows", 7.0, namespace="somebody else"),
        metric("rows", 7.0, origin="dataflow/v1b3"),
        metric("CurrentVcpuCount", 4.0, origin="dataflow/v1b3"),
    ]
    assert followed(client).counted() == (20, 2)


def test_a_complaint_is_told_once_by_its_last_line_from_all_pages(capsys: pytest.CaptureFixture[str]) -> None:
    client = Client("RUNNING", "RUNNING", "FAILED")
    trace = "Traceback (most recent call last):\n  File x\nOSError: gs://b/x is denied. [while running 'write']\n"
    client.messages = [[("WARNING", "slow"), ("ERROR", trace)], [("ERROR", trace), ("ERROR", "Workflow failed.")]]
    job = followed(client)
    assert job.to_the_end() == "FAILED"
    told = capsys.readouterr().err.splitlines()
    assert told.count("warning: slow") == 1
    assert told.count("error: Workflow failed.") == 1
    assert job.errors() == ["OSError: gs://b/x is denied.", "Workflow failed."]
