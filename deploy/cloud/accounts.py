"""The service accounts: one for each function, one for each of the project's offices."""

from typing import Any

from deploy.cloud.configuration import Configuration, function_account_name
from deploy.cloud.part import Part, Step
from deploy.cloud.sdk import Gcloud
from model_functions.names import function_name

#: Letters that the name of an account may have.
LONGEST = 30

_OFFICES = {
    "publisher": "Writes models to the bucket",
    "deployer": "Releases functions",
    "builder": "Builds functions into images",
    "warmup": "Asks functions to warm up",
    "batch": "Runs batch jobs on Dataflow",
}


class ServiceAccounts(Part):
    """Args: wanted: by name, what they are shown as."""

    name = "the service accounts"
    is_ordered = False

    def __init__(self, configuration: Configuration) -> None:
        self.address = configuration.account
        self.wanted = accounts(configuration)

    def read(self, gcloud: Gcloud) -> Any:
        return gcloud.read("iam", "service-accounts", "list")

    def steps(self, state: Any) -> list[Step]:
        found = {account["email"]: account for account in state or []}
        return [step for name, shown in self.wanted.items() for step in self._steps(name, shown, found)]

    def _steps(self, name: str, shown: str, found: dict[str, Any]) -> list[Step]:
        address = self.address(name)
        what = f"the account {address}"
        if address not in found:
            command = ("iam", "service-accounts", "create", name, f"--display-name={shown}")
            return [Step(what, "missing", command)]
        if found[address].get("disabled"):
            return [Step(what, "disabled", ("iam", "service-accounts", "enable", address))]
        return []


def accounts(configuration: Configuration) -> dict[str, str]:
    """What each account is shown as, by its name. Raises ValueError for a name that Google does not take."""
    names = {getattr(configuration.accounts, office): shown for office, shown in _OFFICES.items()}
    for family in configuration.families:
        name = function_account_name(family)
        if len(name) > LONGEST:
            raise ValueError(
                f'The account of {family} would be "{name}": {len(name)} letters, and Google takes {LONGEST}. '
                f"Call the family something shorter."
            )
        names[name] = f"Runs the function {function_name(family)}"
    return names
