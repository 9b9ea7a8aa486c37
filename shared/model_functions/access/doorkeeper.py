"""The guard of a function that is not open to everybody: by access keys, by ID tokens, or by either."""

import hmac
import secrets
from collections.abc import Mapping

from model_functions.access import Identity
from model_functions.access.identity import KeyHolder, unauthenticated
from model_functions.access.keyring import Keyring, keyring
from model_functions.access.keys import KEYS_NAME, KIND, KeyList, key_digest, key_id
from model_functions.access.renewal import Renewal
from model_functions.access.tokens import IdTokens
from model_functions.once import Once
from model_functions.repository import Repository
from model_functions.settings import Settings

#: What a key is compared with that is on no list: it is refused as slowly as one whose secret is wrong.
_NOBODYS = secrets.token_bytes(32)


class Doorkeeper:
    """Lets in who has a key or a token that counts.

    Args:
        keys: None where none count.
        tokens: None where none count.
        platform_first: whether the platform itself reads the callers' tokens, and where it looks first.
    """

    def __init__(self, keys: Renewal[Keyring] | None, tokens: IdTokens | None, *, platform_first: bool = False) -> None:
        self._keys = keys
        self._tokens = tokens
        self._platform_first = platform_first

    def is_fresh(self, headers: Mapping[str, str]) -> bool:
        if self._tokens is not None:
            token = self._presented(headers)[1]
            if token is not None:
                return self._tokens.is_fresh(token)
        return self._keys is None or self._keys.is_fresh

    def admit(self, headers: Mapping[str, str], action: str) -> Identity:
        key, token = self._presented(headers)
        if token is not None and self._tokens is not None:
            caller = self._tokens.caller(token)
            caller.check_may(action)
            return caller
        if self._keys is None:
            raise unauthenticated()
        holder = _holder(self._keys.value(), key or "")
        holder.check_time()
        holder.check_may(action)
        return holder

    def check(self) -> None:
        """Raises AuthUnavailable where nobody with a key can be let in."""
        if self._keys is not None:
            self._keys.value()

    def prepare(self) -> None:
        """Begins to find out who may come in, before anybody asks."""
        if self._keys is not None:
            self._keys.start()

    def _presented(self, headers: Mapping[str, str]) -> tuple[str | None, str | None]:
        """A key or a token, or neither."""
        key = headers.get("x-api-key")
        if key is not None and self._keys is not None:
            return key, None
        proof = headers.get("authorization", "")
        if self._platform_first:
            # Where both are, the platform has looked at this one alone.
            proof = headers.get("x-serverless-authorization", proof)
        scheme, _, text = proof.partition(" ")
        if scheme.lower() != "bearer":
            return None, None
        return (text, None) if text.startswith("mf_") else (None, text)


def _holder(keys: Keyring, presented: str) -> KeyHolder:
    """Whose key it is. Takes as long for any that is wrong. Raises Unauthenticated."""
    holder = keys.holders.get(key_id(presented))
    expected = _NOBODYS if holder is None else holder.digest
    if not hmac.compare_digest(key_digest(presented), expected) or holder is None:
        raise unauthenticated()
    return holder


def open_guard(settings: Settings, repository: Once[Repository]) -> Doorkeeper:
    """As the settings say.

    Args:
        repository: for the list of keys, and for whose signature of it counts.
    """

    def read() -> KeyList:
        path = settings.access_keys
        data = repository().store.read(KEYS_NAME).data if path is None else path.read_bytes()
        return KeyList.from_document(repository().trust.verify(KIND, data))

    by_key, by_token = "keys" in settings.access, "iam" in settings.access
    tokens = None
    if by_token or settings.access_accounts:
        tokens = IdTokens(settings.access_accounts, settings.access_audience, believed=by_token and not by_key)
    keys = keyring(read, settings.access_refresh_s) if by_key else None
    return Doorkeeper(keys, tokens, platform_first=not by_key)
