"""A deploy.yaml like the project's own, but for what a test changes."""

from pathlib import Path
from typing import Any

import yaml

from deploy.cloud.configuration import FILE


def write_configuration(path: Path, **changes: Any) -> Path:
    path.write_text(yaml.safe_dump(yaml.safe_load(FILE.read_text()) | {"project": "acme-prod"} | changes))
    return path


def write_functions(folder: Path) -> Path:
    """A folder of functions: the gateway, one that keys open, one that mounts the list of keys and a secret of its own,
    and one that is as most are."""
    for family, flags in {
        "gateway": {"--update-env-vars": {"ACCESS": "keys"}},
        "onnx": {"--update-env-vars": {"ACCESS": "iam, keys"}},
        "pytorch": {
            "--set-env-vars": {"ACCESS": "keys", "ACCESS_KEYS": "/secrets/keys.json"},
            "--set-secrets": {"/secrets/keys.json": "access-keys:latest", "WEBHOOK": "webhook:1"},
        },
        "tabular": {"--update-env-vars": {"ACCESS": "iam"}},
    }.items():
        (folder / family).mkdir(parents=True)
        (folder / family / "main.py").touch()
        (folder / family / "flags.yaml").write_text(yaml.safe_dump(flags))
    return folder
