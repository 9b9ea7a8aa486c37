"""The project on Google Cloud: whether it can be asked, and what its parts lack."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from deploy import publisher
from deploy.cloud.configuration import Configuration
from deploy.cloud.foundations import stages
from deploy.cloud.making import AT_ONCE
from deploy.cloud.part import Part
from deploy.cloud.sdk import Gcloud, GcloudFailed
from deploy.examination.finding import Finding, Verdict
from model_functions.artifact.signing import Trust

SIGNING_KEY = "model-signing-key"

Question = Callable[[Gcloud, Configuration], Sequence[Finding]]


def examine_project(gcloud: Gcloud, configuration: Configuration, mend: str) -> list[Finding]:
    """Args: mend: the command that makes what is missing of the project's parts."""
    reached = _reached(gcloud)
    findings = [_trust(), reached]
    if reached.verdict != Verdict.OK:
        return [*findings, Finding("the rest of the project", Verdict.UNKNOWN, "not asked, because of the line above")]
    apis, *others = stages(configuration)
    findings += _asked(gcloud, configuration, [_billing, *(_part(part, mend) for part in apis)])
    if findings[-1].verdict == Verdict.WRONG:
        told = "cannot be asked before the APIs are on"
        return [*findings, Finding("the rest of the project", Verdict.UNKNOWN, told)]
    parts = [_part(part, mend) for stage in others for part in stage]
    return findings + _asked(gcloud, configuration, [_region, *parts, _signing_key])


def _asked(gcloud: Gcloud, configuration: Configuration, questions: Sequence[Question]) -> list[Finding]:
    with ThreadPoolExecutor(AT_ONCE) as asking:
        answers = asking.map(lambda question: question(gcloud, configuration), questions)
        return [finding for found in answers for finding in found]


def _reached(gcloud: Gcloud) -> Finding:
    what = f"the project {gcloud.project}"
    try:
        found = gcloud.read("projects", "describe", gcloud.project)
    except GcloudFailed as error:
        if error.kind == "credentials":
            return Finding(what, Verdict.WRONG, "nobody is logged in to gcloud", ("gcloud auth login",))
        if error.kind == "permission":
            told = f"is not there, or not yours to see: {error.reason.splitlines()[0]}"
            return Finding(what, Verdict.WRONG, told, (f"gcloud projects create {gcloud.project}", "gcloud auth login"))
        return Finding(what, Verdict.UNKNOWN, f"cannot be asked: {error.reason.splitlines()[0]}")
    if found is None:
        return Finding(what, Verdict.WRONG, "is not there", (f"gcloud projects create {gcloud.project}",))
    if found.get("lifecycleState", "ACTIVE") != "ACTIVE":
        return Finding(what, Verdict.WRONG, "is being deleted", (f"gcloud projects undelete {gcloud.project}",))
    return Finding(what, Verdict.OK, f"there, number {found.get('projectNumber', 'unknown')}")


def _billing(gcloud: Gcloud, configuration: Configuration) -> list[Finding]:
    unknown = Finding("billing", Verdict.UNKNOWN, "cannot be read: its API is off, or you may not see it")
    try:
        found = gcloud.read("billing", "projects", "describe", gcloud.project)
    except GcloudFailed:
        return [unknown]
    if found is None:
        return [unknown]
    if found.get("billingEnabled"):
        return [Finding("billing", Verdict.OK, f"on, {found.get('billingAccountName', 'by an account')}")]
    command = f"gcloud billing projects link {gcloud.project} --billing-account=ACCOUNT"
    return [Finding("billing", Verdict.WRONG, "off: nothing can be built or run", (command,))]


def _region(gcloud: Gcloud, configuration: Configuration) -> list[Finding]:
    try:
        found = gcloud.read("run", "regions", "list")
    except GcloudFailed as error:
        return [Finding("the region", Verdict.UNKNOWN, f"cannot be read: {error.reason.splitlines()[0]}")]
    regions = [region.get("locationId") for region in found or []]
    if not regions:
        return [Finding("the region", Verdict.UNKNOWN, "nobody says which there are")]
    if configuration.region not in regions:
        told = f"Cloud Run has no {configuration.region}. It has: {', '.join(sorted(regions))}"
        return [Finding("the region", Verdict.WRONG, told)]
    return [Finding("the region", Verdict.OK, configuration.region)]


def _part(part: Part, mend: str) -> Question:
    def ask(gcloud: Gcloud, configuration: Configuration) -> list[Finding]:
        try:
            state = part.read(gcloud)
        except GcloudFailed as error:
            return [Finding(part.name, Verdict.UNKNOWN, f"cannot be read: {error.reason.splitlines()[0]}")]
        findings = [Finding(part.name, Verdict.WRONG, note) for note in part.notes(state)]
        if steps := part.steps(state):
            told = "; ".join(f"{step.what}: {step.state}" for step in steps)
            findings.append(Finding(part.name, Verdict.WRONG, told, (mend,)))
        return findings or [Finding(part.name, Verdict.OK, "as it should be")]

    return ask


def _signing_key(gcloud: Gcloud, configuration: Configuration) -> list[Finding]:
    what = f"what is in the secret {SIGNING_KEY}"
    try:
        found = gcloud.read("secrets", "versions", "list", SIGNING_KEY, "--filter=state=ENABLED", "--limit=1")
    except GcloudFailed as error:
        return [Finding(what, Verdict.UNKNOWN, f"cannot be read: {error.reason.splitlines()[0]}")]
    if found:
        return [Finding(what, Verdict.OK, "a version")]
    commands = (
        "openssl genpkey -algorithm ed25519 -out release.pem",
        f"gcloud secrets versions add {SIGNING_KEY} --data-file=release.pem --project={gcloud.project}",
    )
    return [Finding(what, Verdict.WRONG, "nothing: publishers have no key to sign with", commands)]


def _trust() -> Finding:
    what = "deploy/trust.json"
    keys = Trust.read(publisher.RELEASE_TRUST).keys
    if keys:
        return Finding(what, Verdict.OK, f"lists {len(keys)} release key{'s' * (len(keys) > 1)}")
    told = "lists no release key: functions on Google Cloud would load no model. Publishing with one prints its entry"
    return Finding(what, Verdict.WRONG, told, ("MODEL_SIGNING_KEY=release.pem python -m deploy publish MODEL",))
