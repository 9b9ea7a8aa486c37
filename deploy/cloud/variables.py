"""The variables that a release sets for a function; what its flags.yaml sets comes before them."""

from deploy.cloud.configuration import Configuration
from deploy.cloud.flags import Flags
from deploy.cloud.sdk import Gcloud
from model_functions.http.upstream import PLACE, function_url
from model_functions.names import function_name


def variables(flags: Flags, configuration: Configuration, functions_url: str) -> dict[str, str]:
    """Args: functions_url: as ``functions_url`` here gives it."""
    found = {"MODEL_STORE": configuration.model_store, "GOOGLE_CLOUD_PROJECT": configuration.project}
    if flags.family == "gateway":
        found["FUNCTIONS_URL"] = functions_url
    given = flags.environment
    if "keys" in given.get("ACCESS", "") and "ACCESS_ACCOUNTS" not in given:
        # Those who come with an ID token and no key: the pings and smoke tests, and the gateway for its callers.
        may = "warm" if flags.family == "gateway" else "warm+predict"
        accounts = [f"{configuration.account(configuration.accounts.warmup)}:{may}"]
        if flags.family != "gateway" and "gateway" in configuration.families:
            accounts.append(f"{configuration.function_account('gateway')}:warm+predict")
        found["ACCESS_ACCOUNTS"] = ",".join(accounts)
    if "keys" in given.get("ACCESS", "") and "ACCESS_AUDIENCE" not in given:
        found["ACCESS_AUDIENCE"] = url_of(flags.family, functions_url)
    return found


def url_of(family: str, functions_url: str) -> str:
    """Where a function is asked."""
    return function_url(functions_url, function_name(family))


def functions_url(gcloud: Gcloud, configuration: Configuration) -> str:
    """What FUNCTIONS_URL has to be: Google makes URLs of names, so that it is known before anything is deployed.

    Raises GcloudFailed, ValueError.
    """
    project, region = configuration.project, configuration.region
    if configuration.backend == "functions":
        return f"https://{region}-{project}.cloudfunctions.net"
    described = gcloud.read("projects", "describe", project)
    if described is None and not gcloud.dry_run:
        raise ValueError(
            f"The project {project} is not there, or its API is off. Its number is in the URLs of functions. Run: "
            "python -m deploy bootstrap"
        )
    return f"https://{PLACE}-{(described or {}).get('projectNumber', 'PROJECTNUMBER')}.{region}.run.app"
