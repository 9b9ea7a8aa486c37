"""What Google refuses, in words that say what to do."""

import pytest
from google.api_core import exceptions as api

from deploy.batch.dataflow import failures
from deploy.batch.dataflow.failures import DataflowFailed
from deploy.batch.dataflow.machine import Machine
from deploy.batch.dataflow.order import Order

ORDER = Order(
    project="acme-prod",
    region="us-central1",
    account="model-batch@acme-prod.iam.gserviceaccount.com",
    machine=Machine("e2-standard-2", 2, 2),
    workers=3,
    image=None,
    name="batch-wine-1",
    staging="gs://acme-prod-batch/out/_job/staging",
)
ENDING = " No job was started; what is done of the output stays. Then run the same command again."


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        pytest.param(
            api.Forbidden("Dataflow API has not been used in project 1 before or it is disabled"),
            "The Dataflow API is off in acme-prod, or was enabled a moment ago. Run: python -m deploy bootstrap.",
            id="off",
        ),
        pytest.param(
            api.PermissionDenied("denied"),
            "You may not start jobs in acme-prod: denied. Ask an owner for roles/dataflow.developer.",
            id="permission",
        ),
        pytest.param(
            api.Forbidden("Current user cannot act as service account x"),
            "You may not start jobs that run as model-batch@acme-prod.iam.gserviceaccount.com, or there is no such "
            "account: Current user cannot act as service account x. `python -m deploy bootstrap` makes it. Ask an "
            "owner for roles/iam.serviceAccountUser on it.",
            id="account",
        ),
        pytest.param(
            api.ResourceExhausted("CPUS: 24 of 24"),
            "A quota is used up: CPUS: 24 of 24. Wait for other jobs, take fewer machines with --max-workers, or ask "
            "for more: https://console.cloud.google.com/iam-admin/quotas.",
            id="quota",
        ),
        pytest.param(
            api.InvalidArgument("invalid regional endpoint (us-central1)"),
            "Dataflow does not take the region us-central1: invalid regional endpoint (us-central1). Say another "
            "--region.",
            id="region",
        ),
        pytest.param(
            api.Unauthenticated("no token"),
            "Google does not know who asks: no token. Run `gcloud auth application-default login`.",
            id="credentials",
        ),
        pytest.param(api.ServiceUnavailable("later"), "Dataflow did not answer: later.", id="away"),
        pytest.param(api.BadRequest("a label"), "Dataflow refused the job: a label.", id="anything else"),
        pytest.param(
            OSError("Could not upload"),
            "The job cannot be staged at gs://acme-prod-batch/out/_job/staging: Could not upload.",
            id="staging",
        ),
    ],
)
def test_a_refusal_says_what_happened_what_is_left_and_what_to_do(raised: Exception, expected: str) -> None:
    with pytest.raises(DataflowFailed) as told, failures.translated(ORDER):
        raise raised
    assert str(told.value) == expected + ENDING


def test_a_job_that_runs_already_is_named_with_the_command_that_ends_it() -> None:
    said = "There is already active job named batch-wine-1 with id: 2026-01-01_0-1. If you want to submit a second job"
    told = str(failures.already_running(said, ORDER))
    assert told.startswith("Dataflow has the job 2026-01-01_0-1 for this output already")
    assert told.endswith("gcloud dataflow jobs cancel 2026-01-01_0-1 --region=us-central1 --project=acme-prod")
