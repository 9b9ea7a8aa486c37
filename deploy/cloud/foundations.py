"""All parts of a project that functions stand on, in the order in which they can be made."""

from deploy.cloud.accounts import ServiceAccounts
from deploy.cloud.apis import Apis
from deploy.cloud.bucket import Bucket
from deploy.cloud.configuration import Configuration
from deploy.cloud.federation import Lent, Pool, Provider
from deploy.cloud.images import Images
from deploy.cloud.part import Part
from deploy.cloud.policies import policies
from deploy.cloud.resources import grants, mounted_secrets, read
from deploy.cloud.secrets import Secrets
from deploy.cloud.trigger import BuildTrigger


def stages(configuration: Configuration) -> list[list[Part]]:
    """A part needs those of the stages before it, and none of its own stage."""
    wanted = read()
    trigger = [BuildTrigger(configuration, configuration.github)] if configuration.github else []
    pool: list[Part] = [Pool()] if configuration.ci else []
    federated: list[Part] = []
    if ci := configuration.ci:
        federated = [Provider(ci, wanted["ci"][ci.system]), Lent(configuration, ci, wanted["ci"][ci.system])]
    return [
        [Apis(wanted["apis"])],
        [
            Bucket(configuration.bucket, configuration.region, wanted["bucket"]),
            Bucket(configuration.builds, configuration.region, wanted["builds"]),
            Bucket(configuration.batches, configuration.region, wanted["batches"]),
            Images(configuration, wanted["images"]),
            ServiceAccounts(configuration),
            Secrets(secrets(configuration)),
            *pool,
        ],
        [*policies(configuration, grants(configuration)), *federated, *trigger],
    ]


def secrets(configuration: Configuration) -> list[str]:
    """Those of the project, and those that flags of functions mount."""
    mounted = {name for family in configuration.families for name in mounted_secrets(family)}
    return sorted({*read()["secrets"], *mounted})
