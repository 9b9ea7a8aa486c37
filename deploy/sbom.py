"""What a function consists of, as CycloneDX's JSON: a scanner reads it, and says what is known against it.

The document is the same for the same packages, as a staged folder is for the same sources.
"""

import json
import uuid
from collections.abc import Iterable, Sequence
from typing import Any

from packaging.utils import canonicalize_name

from deploy.locked import Locked
from model_functions.names import function_name

SPEC = "1.6"


def document(family: str, pinned: Iterable[str], packages: Sequence[Locked]) -> str:
    """Args: packages: all that is installed for what is pinned."""
    name = function_name(family)
    direct = {canonicalize_name(package) for package in pinned}
    said: dict[str, Any] = {
        "metadata": {"component": {"type": "application", "bom-ref": name, "name": name}},
        "components": [_component(package) for package in packages],
        "dependencies": [
            {"ref": name, "dependsOn": [_purl(one) for one in packages if one.name in direct]},
            *({"ref": _purl(package), "dependsOn": _brought_by(package, packages)} for package in packages),
        ],
    }
    # Numbered after what it says: the same each time, and another one where it says something else.
    number = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(said))
    head = {"bomFormat": "CycloneDX", "specVersion": SPEC, "serialNumber": number.urn, "version": 1}
    return json.dumps(head | said, indent=1) + "\n"


def _component(package: Locked) -> dict[str, Any]:
    return {
        "type": "library",
        "bom-ref": _purl(package),
        "name": package.name,
        "version": package.version,
        "purl": _purl(package),
        "externalReferences": [
            {
                "type": "distribution",
                "url": f"https://pypi.org/simple/{package.name}/",
                "comment": "the digest of each file that may be installed",
                "hashes": [{"alg": "SHA-256", "content": digest} for digest in package.digests],
            }
        ],
    }


def _purl(package: Locked) -> str:
    return f"pkg:pypi/{package.name}@{package.version}"


def _brought_by(package: Locked, packages: Iterable[Locked]) -> list[str]:
    return [_purl(other) for other in packages if package.name in other.wanted_by]
