"""The control plane: one server that gcloud reaches as its proxy, and all APIs behind it."""

import os
import tempfile
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from tests.fakes.control_plane.accounts import Accounts
from tests.fakes.control_plane.artifact_registry import ArtifactRegistry
from tests.fakes.control_plane.billing import Billing
from tests.fakes.control_plane.cloud_build import Builds
from tests.fakes.control_plane.cloud_run import CloudRun
from tests.fakes.control_plane.conditions import Asked
from tests.fakes.control_plane.dataflow import Dataflow
from tests.fakes.control_plane.faults import Faults
from tests.fakes.control_plane.front_end import FrontEnd
from tests.fakes.control_plane.functions import REGIONS, Functions
from tests.fakes.control_plane.instances import Instances
from tests.fakes.control_plane.log_entries import Log
from tests.fakes.control_plane.operations import Operations
from tests.fakes.control_plane.policies import Policies
from tests.fakes.control_plane.projects import Projects
from tests.fakes.control_plane.routing import Answer, Api, ApiError, Request, as_json
from tests.fakes.control_plane.scheduler import Scheduler
from tests.fakes.control_plane.secret_manager import SecretManager
from tests.fakes.control_plane.security_tokens import SecurityTokens
from tests.fakes.control_plane.server import Server
from tests.fakes.control_plane.service_accounts import Credentials, ServiceAccounts
from tests.fakes.control_plane.service_usage import GATED, KNOWN, ServiceUsage
from tests.fakes.control_plane.services import Services
from tests.fakes.control_plane.storage import CloudStorage
from tests.fakes.control_plane.triggers import LogIn
from tests.fakes.id_tokens import FakeGoogle
from tests.fakes.metadata import FakeMetadataServer
from tests.fakes.tls import GoogleByTls

#: No such host: gcloud reaches it through its proxy, which is the fake.
HOST = "gcp.test"

#: The first step of the addresses that source is put to.
UPLOADS = "signed-uploads"

#: gcloud's own names of the APIs.
OVERRIDES = (
    *("cloudfunctions", "run", "cloudbuild", "cloudscheduler", "cloudresourcemanager", "serviceusage", "iam"),
    *("iamcredentials", "secretmanager", "artifactregistry", "logging", "cloudbilling"),
)


class ControlPlane:
    """A Google Cloud with one project, for as long as it is entered.

    Args:
        apis: services that are enabled already, as ``run.googleapis.com``; or ``all``.
        owner: a person who may do anything.
        probes: a revision has to start before it serves, as on Cloud Run; else it starts at its first request.
    """

    def __init__(
        self,
        project: str = "demo-project",
        apis: Iterable[str] | Literal["all"] = (),
        owner: str = "owner@example.com",
        *,
        probes: bool = True,
    ) -> None:
        self.project = project
        self.number = "415926535897"
        self.owner = owner
        self.project_name = f"projects/{project}"
        self._folder = tempfile.TemporaryDirectory(prefix="control-plane-", ignore_cleanup_errors=True)
        self._lock = threading.RLock()
        self.faults = Faults()
        self.requests: list[Request] = []
        self.operations = Operations()
        self.google = FakeGoogle()
        self.accounts = Accounts(project, self.number, owner, self.google)
        self.policies = Policies(self.accounts.exists, self.accounts.sets_of)
        self._begin_policy()
        self.storage = CloudStorage(self)
        self.front_end = FrontEnd(self)
        names = ("*.cloudfunctions.net", *(f"*.{region}.run.app" for region in REGIONS))
        self.google_by_tls = GoogleByTls(self.google, self.folder, self.front_end, names)
        self.instances = Instances(self, probes=probes)
        self.services = Services(self)
        self.billing = Billing(self)
        self.service_usage = ServiceUsage(self)
        self.service_usage.enabled.update(KNOWN if apis == "all" else apis)
        self.secrets = SecretManager(self)
        self.artifacts = ArtifactRegistry(self)
        self.builds = Builds(self)
        self.functions = Functions(self)
        self.scheduler = Scheduler(self)
        self.dataflow = Dataflow(self)
        self.log = Log(self)
        self.iam = ServiceAccounts(self)
        listed: list[Api] = [
            self.billing,
            self.service_usage,
            self.secrets,
            self.artifacts,
            self.builds,
            self.functions,
        ]
        listed += [self.scheduler, self.log, CloudRun(self), Projects(self), self.iam, Credentials(self)]
        listed += [self.dataflow, LogIn(self.builds), SecurityTokens(self, self.iam)]
        self._apis = {api.name: api for api in listed}
        self._server = Server(self.answer)

    def _begin_policy(self) -> None:
        compute = f"serviceAccount:{self.number}-compute@developer.gserviceaccount.com"
        owner = {"role": "roles/owner", "members": [f"user:{self.owner}"]}
        self.policies.set(self.project_name, {"bindings": [owner, {"role": "roles/editor", "members": [compute]}]})

    @property
    def folder(self) -> Path:
        return Path(self._folder.name)

    def __enter__(self) -> Self:
        self.google.__enter__()
        self.google_by_tls.__enter__()
        self.storage.__enter__()
        self._server.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.operations.join()
        self.builds.join()
        self.scheduler.join()
        self.dataflow.stop_all()
        self._server.__exit__(kind, error, at)
        self.front_end.stop()
        self.instances.stop_all()
        self.google_by_tls.__exit__(kind, error, at)
        self.google.__exit__(kind, error, at)
        self._folder.cleanup()
        self.storage.__exit__(kind, error, at)

    @property
    def proxy(self) -> str:
        """Where all APIs are, for who asks as through a proxy."""
        return f"http://{self._server.address}"

    @property
    def environment(self) -> dict[str, str]:
        """By which gcloud, our verbs and the storage client reach this place, as the project's owner."""
        return self.environment_of(self.owner)

    def environment_of(self, account: str) -> dict[str, str]:
        """The same, as another account."""
        folder = self.folder / account
        folder.mkdir(exist_ok=True)
        token = folder / "token"
        token.write_text(self.accounts.access_token(account))
        settings = {
            "CLOUDSDK_CONFIG": str(folder),
            "CLOUDSDK_CORE_PROJECT": self.project,
            "CLOUDSDK_CORE_ACCOUNT": account,
            "CLOUDSDK_CORE_DISABLE_PROMPTS": "1",
            "CLOUDSDK_CORE_DISABLE_USAGE_REPORTING": "1",
            "CLOUDSDK_CORE_DISABLE_FILE_LOGGING": "1",
            "CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK": "1",
            "CLOUDSDK_SURVEY_DISABLE_PROMPTS": "1",
            "CLOUDSDK_AUTH_ACCESS_TOKEN_FILE": str(token),
            "http_proxy": self.proxy,
            # The storage fake and the functions are reached without the proxy.
            "no_proxy": "127.0.0.1,localhost",
            "STORAGE_EMULATOR_HOST": self.storage.url_of(account),
            "CLOUDSDK_API_ENDPOINT_OVERRIDES_STORAGE": f"{self.storage.url}/storage/v1/",
        }
        for name in OVERRIDES:
            settings[f"CLOUDSDK_API_ENDPOINT_OVERRIDES_{name.upper()}"] = f"http://{HOST}/{name}/"
        # Beam speaks JSON to hosts that are called so, and gRPC to all others.
        settings["CLOUDSDK_API_ENDPOINT_OVERRIDES_DATAFLOW"] = f"http://sandbox.{HOST}/dataflow/"
        return settings

    def instance(self, account: str = "") -> FakeMetadataServer:
        """The metadata server of a machine that runs as the account: Google's clients find their credentials there."""
        token = self.accounts.access_token(account or self.owner)
        return FakeMetadataServer(access_token=token, email=account or self.owner, project=self.project)

    def variables(self, account: str = "") -> dict[str, str]:
        """The whole environment of a process, with these settings in it."""
        ours = self.environment_of(account or self.owner)
        hidden = {
            "https_proxy",
            "HTTPS_PROXY",
            "HTTP_PROXY",
            "all_proxy",
            "ALL_PROXY",
            "NO_PROXY",
            "GOOGLE_CLOUD_PROJECT",
        }
        kept = {name: value for name, value in os.environ.items() if name not in hidden and "CLOUDSDK" not in name}
        return kept | ours

    def upload_url(self, name: str) -> str:
        """Where source is put; who knows the address needs no token."""
        return f"{self.proxy}/{UPLOADS}/{name}"

    def now(self) -> str:
        return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime()) + f".{time.time_ns() % 10**9 // 1000:06}Z"

    def may(self, account: str, permission: str, resource: str, asked: Asked | None = None) -> bool:
        """Whether the policy of the project, or of the resource, lets the account."""
        places = {self.project_name, resource}
        return any(self.policies.allows(account, permission, place, asked) for place in places)

    def answer(self, request: Request) -> Answer:
        """The answer of the API that the path names first."""
        self.requests.append(request)
        try:
            answer = self._answer(request)
        except ApiError as exc:
            answer = as_json(exc.body(), exc.status)
        request.status = answer.status
        return answer

    def _answer(self, request: Request) -> Answer:
        name, _, path = request.path.lstrip("/").partition("/")
        if name == UPLOADS:
            return self.functions.receive(path, request)
        if name not in self._apis:
            raise ApiError(404, f"There is no API at {request.method} {request.host}{request.path}")
        known, values = self._apis[name].find(request.method, path)
        if not self._apis[name].is_open:
            request.caller = self.accounts.caller(request.headers.get("authorization", ""))
        if name in GATED and GATED[name] not in self.service_usage.enabled:
            raise ApiError(
                403,
                f"{GATED[name]} has not been used in project {self.project} before or it is disabled. Enable it by "
                f"visiting https://console.developers.google.com/apis/api/{GATED[name]}/overview then retry.",
            )
        self.faults.meet(request)
        self._authorize(request, known.permission, path)
        with self._lock:
            answer = known.handler(request, *values)
        return answer if isinstance(answer, Answer) else as_json(answer)

    def _authorize(self, request: Request, permission: str, path: str) -> None:
        """Raises ApiError where no policy on the way to the resource lets the caller."""
        if not permission or self.may(request.caller, permission, self.project_name):
            return
        # An account is found without its project.
        path = path.replace("projects/-/", f"{self.project_name}/")
        nearer = [name for name in list(self.policies.by_resource) if _is_below(path, name)]
        if not any(self.policies.allows(request.caller, permission, name) for name in nearer):
            raise ApiError(403, f"Permission '{permission}' denied on resource '{path}' (or it may not exist).")


def _is_below(path: str, resource: str) -> bool:
    """Whether the path names the resource or what is in it."""
    ending = path.partition(resource)[2]
    return resource in path and not ending[:1].isalnum() and ending[:1] not in ("-", "_", "@")
