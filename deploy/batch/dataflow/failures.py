"""What Dataflow refuses or cannot do, in our words: what happened, what that leaves, and what to do."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager

import google.auth
from google.api_core import exceptions as api
from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError

from deploy.batch.dataflow.order import Order
from deploy.batch.dataflow.record import Record
from model_functions.errors import Conflict
from model_functions.store.upload import client

#: After every refusal.
_LEFT = "No job was started; what is done of the output stays. Then run the same command again."


class DataflowFailed(ValueError):
    """Dataflow did not take the job, or did not bring it to its end."""


def check_credentials() -> None:
    """Raises DataflowFailed where there are none: Beam would go on without, and be refused minutes later."""
    try:
        google.auth.default()
    except DefaultCredentialsError as exc:
        raise DataflowFailed(
            f"There are no credentials for Dataflow. Run `gcloud auth application-default login`. {_LEFT}"
        ) from exc


def check_bucket(order: Order) -> None:
    """Raises DataflowFailed where code cannot be staged: Beam would try for minutes."""
    name = order.staging.split("/")[2]
    try:
        client(os.environ.get("STORAGE_EMULATOR_HOST")).get_bucket(name)
    except api.NotFound as exc:
        raise DataflowFailed(f"There is no bucket {name}, where the job would be staged. {_LEFT}") from exc
    except api.GoogleAPICallError as exc:
        raise DataflowFailed(
            f"The job cannot be staged in gs://{name}: {_line(exc)} Ask its owner for roles/storage.objectUser and "
            f"roles/storage.legacyBucketReader. {_LEFT}"
        ) from exc


def already_running(said: str, order: Order) -> Conflict:
    """Args: said: by Beam, of another job of the same name."""
    found = re.search(r"id: (\S+?)\.", said)
    record = Record(found[1] if found else "ID", order.project, order.region)
    return Conflict(
        f"Dataflow has the job {record.id} for this output already, and two would write the same files. Wait for it, "
        f"or end it: {record.cancelling}"
    )


@contextmanager
def translated(order: Order) -> Iterator[None]:
    """Raises DataflowFailed for whatever Beam and Google's clients raise."""
    try:
        yield
    except api.GoogleAPICallError as exc:
        raise DataflowFailed(f"{_told(exc, order)} {_LEFT}") from exc
    except (OSError, GoogleAuthError) as exc:
        raise DataflowFailed(f"The job cannot be staged at {order.staging}: {_line(exc)} {_LEFT}") from exc


def _told(exc: api.GoogleAPICallError, order: Order) -> str:
    said = _line(exc)
    if "SERVICE_DISABLED" in str(exc) or "has not been used in project" in said:
        return (
            f"The Dataflow API is off in {order.project}, or was enabled a moment ago. Run: python -m deploy bootstrap."
        )
    match exc:
        case api.Unauthorized():
            return f"Google does not know who asks: {said} Run `gcloud auth application-default login`."
        case api.Forbidden() if "act as" in said or "actAs" in said:
            return (
                f"You may not start jobs that run as {order.account}, or there is no such account: {said} "
                "`python -m deploy bootstrap` makes it. Ask an owner for roles/iam.serviceAccountUser on it."
            )
        case api.Forbidden():
            return f"You may not start jobs in {order.project}: {said} Ask an owner for roles/dataflow.developer."
        case api.TooManyRequests():
            return (
                f"A quota is used up: {said} Wait for other jobs, take fewer machines with --max-workers, or ask for "
                "more: https://console.cloud.google.com/iam-admin/quotas."
            )
        case api.NotFound() | api.BadRequest() if order.region in said:
            return f"Dataflow does not take the region {order.region}: {said} Say another --region."
        case api.ServerError():
            return f"Dataflow did not answer: {said}"
    return f"Dataflow refused the job: {said}"


def _line(exc: BaseException) -> str:
    text = exc.message if isinstance(exc, api.GoogleAPICallError) else str(exc)
    line = " ".join(text.split())[:500]
    return line if line.endswith(".") else line + "."
