"""Security Token Service: takes a token from elsewhere for one of ours, where a provider vouches for it."""

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from tests.fakes.control_plane import conditions
from tests.fakes.control_plane.conditions import Asked
from tests.fakes.control_plane.routing import Api, ApiError, Request, required, route
from tests.fakes.control_plane.workload_identity import WorkloadIdentity

if TYPE_CHECKING:
    from tests.fakes.control_plane.plane import ControlPlane

_AUDIENCE = re.compile(r"//iam\.googleapis\.com/(.+/workloadIdentityPools/([^/]+))/providers/([^/]+)")
_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
_ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"


class SecurityTokens(Api):
    """All issuers sign with the one key that the plane's Google signs with."""

    name = "sts"
    is_open = True

    def __init__(self, plane: "ControlPlane", iam: WorkloadIdentity) -> None:
        super().__init__()
        self.plane = plane
        self.iam = iam

    @route("POST", "v1/token")
    def exchange(self, request: Request) -> dict[str, Any]:
        asked = dict(parse_qsl(request.body.decode()))
        required(asked, "audience", "scope", "subject_token", "subject_token_type")
        if asked.get("grant_type") != _EXCHANGE or asked.get("requested_token_type") != _ACCESS_TOKEN:
            raise ApiError(400, "Unsupported grant_type or requested_token_type.")
        place = _AUDIENCE.fullmatch(asked["audience"])
        if place is None:
            raise ApiError(400, f"Invalid value for audience: {asked['audience']}.")
        provider = self._active(place[2], place[3], place[1])
        claims = self._claims(provider, asked["subject_token"])
        mapped = {
            name: str(conditions.value_of(expression, Asked(claims=claims)))
            for name, expression in provider["attributeMapping"].items()
        }
        pool = f"iam.googleapis.com/{place[1]}"
        sets = {f"principalSet://{pool}/{name}/{value}" for name, value in mapped.items()}
        principal = f"principal://{pool}/subject/{mapped['google.subject']}"
        token = self.plane.accounts.federate(principal, sets | {f"principalSet://{pool}/*"})
        return {
            "access_token": token,
            "issued_token_type": _ACCESS_TOKEN,
            "token_type": "Bearer",
            "expires_in": 3600,
        }

    def _active(self, pool: str, provider: str, full: str) -> dict[str, Any]:
        ours, known = self.iam.pools.get(pool), self.iam.providers.get((pool, provider))
        if ours is None or known is None or ours["name"] != full:
            raise ApiError(400, "The target service indicated by the audience parameters is invalid.")
        for one in (ours, known):
            if one["state"] != "ACTIVE" or one.get("disabled"):
                raise ApiError(400, f"{one['name']} is disabled or deleted.")
        return known

    def _claims(self, provider: dict[str, Any], token: str) -> dict[str, str]:
        """What the token says, if the provider vouches for it. Raises ApiError."""
        claims = self.plane.accounts.claims(token)
        if claims is None:
            raise ApiError(400, "Error connecting to the given credential's issuer: the signature does not verify.")
        if claims["iss"] != provider["oidc"]["issuerUri"]:
            raise ApiError(400, f"The issuer in ID Token {claims['iss']} does not match the expected ones.")
        own = f"iam.googleapis.com/{provider['name']}"
        allowed = provider["oidc"].get("allowedAudiences") or [f"https://{own}", f"//{own}"]
        if claims["aud"] not in allowed:
            raise ApiError(400, f"The audience in ID Token {claims['aud']} does not match the expected audience.")
        told = {name: str(value) for name, value in claims.items()}
        condition = provider.get("attributeCondition", "")
        if condition and not conditions.holds(condition, Asked(claims=told)):
            raise ApiError(400, "The given credential is rejected by the attribute condition.", "UNAUTHENTICATED")
        return told
