"""The project on Google Cloud: whether it can be asked, and what its parts lack."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from deploy import publisher
from deploy.cloud.configuration import Configuration
from deploy.cloud.foundations import stages
from deploy.cloud.making import AT_ONCE
from deploy.cloud.part import Part
from deploy.cloud.resources import mounted_secrets
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
    mounted = {name for family in configuration.families for name in mounted_secrets(family)}
    kept = [_secret(name) for name in sorted({SIGNING_KEY, *mounted})]
    return findings + _asked(gcloud, configuration, [examine_region, *parts, *kept])


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
    try:
        found = gcloud.read("billing", "projects", "describe", gcloud.project)
    except GcloudFailed as error:
        return [_unread("billing", gcloud, error)]
    if found is None:
        return [Finding("billing", Verdict.UNKNOWN, "nobody says whether it is on")]
    if found.get("billingEnabled"):
        return [Finding("billing", Verdict.OK, f"on, {found.get('billingAccountName', 'by an account')}")]
    command = f"gcloud billing projects link {gcloud.project} --billing-account=ACCOUNT"
    told = "off: nothing can be built or run. ACCOUNT is one of: gcloud billing accounts list"
    return [Finding("billing", Verdict.WRONG, told, (command,))]


def examine_region(gcloud: Gcloud, configuration: Configuration) -> list[Finding]:
    try:
        found = gcloud.read("run", "regions", "list")
    except GcloudFailed as error:
        return [_unread("the region", gcloud, error)]
    regions = [region.get("locationId") for region in found or []]
    if not regions:
        return [Finding("the region", Verdict.UNKNOWN, "nobody says which there are")]
    if configuration.region not in regions:
        there = ", ".join(sorted(regions))
        told = f"Cloud Run has no {configuration.region}. Write into deploy/deploy.yaml one of: {there}"
        return [Finding("the region", Verdict.WRONG, told)]
    return [Finding("the region", Verdict.OK, configuration.region)]


def _part(part: Part, mend: str) -> Question:
    def ask(gcloud: Gcloud, configuration: Configuration) -> list[Finding]:
        try:
            state = part.read(gcloud)
        except GcloudFailed as error:
            return [_unread(part.name, gcloud, error)]
        findings = [Finding(part.name, Verdict.WRONG, note) for note in part.notes(state)]
        if steps := part.steps(state):
            told = "; ".join(f"{step.what}: {step.state}" for step in steps)
            findings.append(Finding(part.name, Verdict.WRONG, told, (mend,)))
        return findings or [Finding(part.name, Verdict.OK, "as it should be")]

    return ask


def _secret(name: str) -> Question:
    return lambda gcloud, _: [examine_secret(name, gcloud)]


def examine_secret(name: str, gcloud: Gcloud) -> Finding:
    """Whether its newest version, which is the one that is read, can be."""
    what = f"what is in the secret {name}"
    try:
        found = gcloud.read("secrets", "versions", "list", name, "--limit=1")
    except GcloudFailed as error:
        return _unread(what, gcloud, error)
    [newest] = found or [{"state": "missing"}]
    version, project = newest.get("name", "").rpartition("/")[2], f"--project={gcloud.project}"
    if newest["state"] == "ENABLED":
        return Finding(what, Verdict.OK, f"version {version}")
    if newest["state"] == "DISABLED":
        enable = f"gcloud secrets versions enable {version} --secret={name} {project}"
        return Finding(what, Verdict.WRONG, f"its newest version, {version}, is switched off", (enable,))
    add = f"gcloud secrets versions add {name} --data-file=%s {project}"
    if name != SIGNING_KEY:
        return Finding(what, Verdict.WRONG, "nothing: the function that mounts it cannot start", (add % "FILE",))
    make = "openssl genpkey -algorithm ed25519 -out release.pem"
    return Finding(what, Verdict.WRONG, "nothing: publishers have no key to sign with", (make, add % "release.pem"))


def _unread(what: str, gcloud: Gcloud, error: GcloudFailed) -> Finding:
    told = f"cannot be read: {error.reason.splitlines()[0]}"
    if error.kind != "permission":
        return Finding(what, Verdict.UNKNOWN, told)
    commands = tuple(
        f"gcloud projects add-iam-policy-binding {gcloud.project} --member=user:YOU --role={role} --condition=None"
        for role in ("roles/viewer", "roles/iam.securityReviewer")
    )
    return Finding(what, Verdict.UNKNOWN, f"{told} An owner of the project may let you:", commands)


def _trust() -> Finding:
    what = "deploy/trust.json"
    keys = Trust.read(publisher.RELEASE_TRUST).keys
    if keys:
        return Finding(what, Verdict.OK, f"lists {len(keys)} release key{'s' * (len(keys) > 1)}")
    told = "lists no release key: functions on Google Cloud would load no model. Publishing with one prints its entry"
    return Finding(what, Verdict.WRONG, told, ("MODEL_SIGNING_KEY=release.pem python -m deploy publish MODEL",))
