"""Who may call a function: roles/run.invoker for those who need it, and for nobody else by mistake."""

from collections.abc import Iterator

from deploy.cloud.configuration import Configuration
from deploy.cloud.flags import Flags
from deploy.cloud.sdk import Gcloud

ROLE = "roles/run.invoker"
EVERYBODY = "allUsers"


def wanted(flags: Flags, configuration: Configuration) -> list[str]:
    """Whom the function has to let in."""
    # The pings, the smoke tests and the probes of canaries come from it.
    members = [f"serviceAccount:{configuration.account(configuration.accounts.warmup)}"]
    if flags.family != "gateway" and "gateway" in configuration.families:
        members.append(f"serviceAccount:{configuration.function_account('gateway')}")
    return members + ([EVERYBODY] if flags.is_public else [])


def bind(gcloud: Gcloud, configuration: Configuration, flags: Flags) -> int:
    """Lets in who is missing, and shuts out everybody where the function is private; returns how many were changed."""
    place = (flags.name, f"--region={configuration.region}")
    policy = gcloud.read("run", "services", "get-iam-policy", *place) or {}
    there = {
        member for binding in policy.get("bindings", []) if binding["role"] == ROLE for member in binding["members"]
    }
    changes = list(_changes(there, wanted(flags, configuration), is_public=flags.is_public))
    # One after the other: each reads the policy, and writes it whole.
    for verb, member in changes:
        gcloud.change("run", "services", verb, *place, f"--member={member}", f"--role={ROLE}")
    return len(changes)


def _changes(there: set[str], members: list[str], *, is_public: bool) -> Iterator[tuple[str, str]]:
    for member in members:
        if member not in there:
            yield "add-iam-policy-binding", member
    if EVERYBODY in there and not is_public:
        yield "remove-iam-policy-binding", EVERYBODY
