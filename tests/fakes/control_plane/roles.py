"""What each of Google's predefined roles that we use lets an account do, as patterns of permissions.

After https://cloud.google.com/iam/docs/roles-permissions; of each role only what the fake's routes ask for.
"""

from fnmatch import fnmatchcase

_READ_PROJECT = ("resourcemanager.projects.get", "serviceusage.services.get", "serviceusage.services.list")
_STORAGE_READ = ("storage.objects.get", "storage.objects.list")
_STORAGE_WRITE = ("storage.objects.create", "storage.objects.delete", "storage.objects.update")

ROLES: dict[str, tuple[str, ...]] = {
    "roles/owner": ("*",),
    "roles/editor": ("*",),
    "roles/viewer": ("*.get", "*.list"),
    "roles/browser": ("resourcemanager.projects.get", "resourcemanager.projects.getIamPolicy"),
    # Storage.
    "roles/storage.admin": ("storage.*",),
    "roles/storage.objectViewer": _STORAGE_READ,
    "roles/storage.objectCreator": ("storage.objects.create",),
    "roles/storage.objectUser": (*_STORAGE_READ, *_STORAGE_WRITE),
    "roles/storage.objectAdmin": ("storage.objects.*",),
    "roles/storage.bucketViewer": ("storage.buckets.get", "storage.buckets.list"),
    "roles/storage.legacyBucketReader": ("storage.buckets.get", "storage.objects.list"),
    "roles/storage.insightsCollectorService": ("storage.buckets.get", "storage.buckets.getObjectInsights"),
    # Who may be whom.
    "roles/iam.serviceAccountUser": (
        "iam.serviceAccounts.actAs",
        "iam.serviceAccounts.get",
        "iam.serviceAccounts.list",
    ),
    "roles/iam.serviceAccountTokenCreator": (
        "iam.serviceAccounts.getAccessToken",
        "iam.serviceAccounts.getOpenIdToken",
        "iam.serviceAccounts.get",
        "iam.serviceAccounts.list",
    ),
    "roles/iam.serviceAccountOpenIdTokenCreator": ("iam.serviceAccounts.getOpenIdToken",),
    "roles/iam.serviceAccountAdmin": ("iam.serviceAccounts.*",),
    "roles/iam.serviceAccountViewer": ("iam.serviceAccounts.get", "iam.serviceAccounts.list"),
    "roles/iam.workloadIdentityUser": ("iam.serviceAccounts.getAccessToken", "iam.serviceAccounts.getOpenIdToken"),
    "roles/iam.securityReviewer": ("*.getIamPolicy", "*.list"),
    "roles/resourcemanager.projectIamAdmin": ("resourcemanager.projects.*",),
    # Functions and services.
    "roles/cloudfunctions.admin": ("cloudfunctions.*", "run.*", *_READ_PROJECT),
    "roles/cloudfunctions.developer": (
        *("cloudfunctions.functions.call", "cloudfunctions.functions.get", "cloudfunctions.functions.list"),
        *("cloudfunctions.functions.create", "cloudfunctions.functions.update", "cloudfunctions.functions.delete"),
        *("cloudfunctions.functions.sourceCodeSet", "cloudfunctions.functions.sourceCodeGet"),
        *(
            "cloudfunctions.operations.*",
            "cloudfunctions.runtimes.*",
            "cloudbuild.builds.get",
            "cloudbuild.builds.list",
        ),
        *("run.services.get", "run.services.list", "run.services.create", "run.services.update", "run.services.delete"),
        *("run.revisions.get", "run.revisions.list", "run.services.getIamPolicy", "run.operations.get"),
        *_READ_PROJECT,
    ),
    "roles/cloudfunctions.viewer": ("cloudfunctions.*.get", "cloudfunctions.*.list", *_READ_PROJECT),
    "roles/run.admin": ("run.*", *_READ_PROJECT),
    "roles/run.developer": (
        *("run.services.get", "run.services.list", "run.services.create", "run.services.update", "run.services.delete"),
        *("run.revisions.*", "run.services.getIamPolicy", "run.operations.get", "resourcemanager.projects.get"),
    ),
    "roles/run.sourceDeveloper": (
        *("run.services.*", "run.revisions.*", "run.builds.create", "cloudbuild.builds.*", "run.operations.get"),
        *("artifactregistry.repositories.get", "artifactregistry.repositories.create", "storage.buckets.get"),
        *("storage.buckets.create", "storage.buckets.list", "storage.objects.get", "storage.objects.create"),
        *("storage.objects.list", "iam.serviceAccounts.get", *_READ_PROJECT),
    ),
    "roles/run.invoker": ("run.routes.invoke",),
    "roles/run.viewer": ("run.*.get", "run.*.list", "run.services.getIamPolicy"),
    "roles/run.builder": (
        *("artifactregistry.repositories.get", "artifactregistry.repositories.uploadArtifacts"),
        *("logging.logEntries.create", "storage.objects.get", "source.repos.get"),
    ),
    # What builds, and what is built.
    "roles/cloudbuild.builds.builder": (
        *("cloudbuild.builds.*", "artifactregistry.repositories.get", "artifactregistry.repositories.uploadArtifacts"),
        *("logging.logEntries.create", "storage.objects.*", "storage.buckets.get"),
    ),
    "roles/cloudbuild.builds.editor": ("cloudbuild.*", *_READ_PROJECT),
    "roles/cloudbuild.builds.viewer": ("cloudbuild.builds.get", "cloudbuild.builds.list"),
    "roles/cloudbuild.connectionViewer": ("cloudbuild.connections.get", "cloudbuild.connections.list"),
    "roles/artifactregistry.admin": ("artifactregistry.*",),
    "roles/artifactregistry.writer": (
        *("artifactregistry.repositories.get", "artifactregistry.repositories.list"),
        *("artifactregistry.repositories.uploadArtifacts", "artifactregistry.repositories.downloadArtifacts"),
    ),
    "roles/artifactregistry.reader": (
        *("artifactregistry.repositories.get", "artifactregistry.repositories.list"),
        "artifactregistry.repositories.downloadArtifacts",
    ),
    # Batch jobs.
    "roles/dataflow.admin": ("dataflow.*", "storage.buckets.get", *_STORAGE_READ, "storage.objects.create"),
    "roles/dataflow.developer": ("dataflow.*", "resourcemanager.projects.get"),
    "roles/dataflow.viewer": ("dataflow.*.get", "dataflow.*.list", "resourcemanager.projects.get"),
    "roles/dataflow.worker": (
        *("dataflow.jobs.get", "dataflow.workItems.lease", "dataflow.workItems.sendMessage"),
        *("dataflow.workItems.update", "logging.logEntries.create", "monitoring.timeSeries.create"),
        *("storage.buckets.get", "storage.objects.create", "storage.objects.get"),
    ),
    # The rest.
    "roles/cloudscheduler.admin": ("cloudscheduler.*", *_READ_PROJECT),
    "roles/cloudscheduler.viewer": ("cloudscheduler.jobs.get", "cloudscheduler.jobs.list"),
    "roles/cloudscheduler.jobRunner": ("cloudscheduler.jobs.run", "cloudscheduler.jobs.fullView"),
    "roles/secretmanager.admin": ("secretmanager.*",),
    "roles/secretmanager.viewer": ("secretmanager.*.get", "secretmanager.*.list"),
    "roles/secretmanager.secretAccessor": ("secretmanager.versions.access",),
    "roles/secretmanager.secretVersionAdder": ("secretmanager.versions.add",),
    "roles/logging.logWriter": ("logging.logEntries.create",),
    "roles/logging.viewer": ("logging.logEntries.list",),
    "roles/monitoring.metricWriter": ("monitoring.timeSeries.create",),
    "roles/cloudtrace.agent": ("cloudtrace.traces.patch",),
    "roles/serviceusage.serviceUsageConsumer": ("serviceusage.services.use", *_READ_PROJECT),
    "roles/serviceusage.serviceUsageAdmin": ("serviceusage.*",),
    "roles/serviceusage.serviceUsageViewer": _READ_PROJECT,
}


#: What an editor may not, of all that an owner may.
_OWNERS_ALONE = (
    *("*.setIamPolicy", "iam.serviceAccounts.getAccessToken", "iam.serviceAccounts.getOpenIdToken"),
    *("secretmanager.versions.access", "resourcemanager.projects.delete"),
)


def grants(role: str, permission: str) -> bool:
    if role == "roles/editor" and any(fnmatchcase(permission, pattern) for pattern in _OWNERS_ALONE):
        return False
    return any(fnmatchcase(permission, pattern) for pattern in ROLES.get(role, ()))
