"""The list of access keys, changed by one publisher at a time."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from deploy import publisher
from model_functions.access.keys import KEYS_NAME, KIND, KeyList
from model_functions.artifact.signing import Trust, signing_key_id
from model_functions.artifact.signing_key import SigningKey
from model_functions.errors import ConfigurationInvalid, Conflict, ObjectNotFound
from model_functions.repository import first_serial
from model_functions.store import NEW, Store
from model_functions.store.folder import FolderStore

#: Times that a change is made anew because somebody else's was faster.
ATTEMPTS = 20
#: Seconds before that, at most.
PAUSE_S = 0.5


@dataclass(frozen=True)
class KeptList:
    """Where a list is kept, and whose signatures of it count.

    Args:
        release: of the keys that functions on Google Cloud trust.
    """

    store: Store
    name: str
    trust: Trust
    release: Trust

    @classmethod
    def at(cls, file: Path | None) -> Self:
        """In the store, or in a file, whose folder is as good as a store."""
        repository = publisher.open_repository()
        store, name = (repository.store, KEYS_NAME) if file is None else (FolderStore(file.parent), file.name)
        return cls(store, name, repository.trust, Trust.read(publisher.RELEASE_TRUST))

    def read(self) -> KeyList:
        """Raises SignatureRefused, ManifestInvalid."""
        return self._read()[0]

    def change(self, key: SigningKey, changed: Callable[[KeyList], KeyList]) -> KeyList:
        """Writes what ``changed`` makes of the list, of a newer one too if there is one meanwhile; not the same list.

        Raises Conflict, ConfigurationInvalid.
        """
        for _ in range(ATTEMPTS):
            found, generation, signer = self._read()
            wanted = changed(found)
            if wanted == found:
                return found
            self._check_signer(signer, key)
            try:
                self.store.write(self.name, key.sign(KIND, wanted.document()), generation=generation)
            except Conflict:
                time.sleep(random.uniform(0, PAUSE_S))  # noqa: S311 - so that two do not meet again
                continue
            return wanted
        raise Conflict("The key list is written by others all the time. Run the command again.")

    def _read(self) -> tuple[KeyList, int, str | None]:
        try:
            stored = self.store.read(self.name)
        except ObjectNotFound:
            return KeyList(first_serial(), ()), NEW, None
        document = self.trust.verify(KIND, stored.data)
        return KeyList.from_document(document), stored.generation, signing_key_id(KIND, stored.data)

    def _check_signer(self, signer: str | None, key: SigningKey) -> None:
        """Nobody gets in where no function believes the list."""
        if signer in self.release.keys and key.trusted().id not in self.release.keys:
            raise ConfigurationInvalid(
                "The key list is signed for Google Cloud, where this laptop's key does not count: nobody would "
                "be let in. Set MODEL_SIGNING_KEY to the release's key."
            )
