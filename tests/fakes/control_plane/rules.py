"""What Google's servers refuse: names, labels, memory and CPU, times."""

import re
from collections.abc import Mapping
from typing import Any

from tests.fakes.control_plane.routing import ApiError

_LABEL_KEY = re.compile(r"[a-z][a-z0-9_-]{0,62}")
_LABEL_VALUE = re.compile(r"[a-z0-9_-]{0,63}")
_SIZE = re.compile(r"(\d+(?:\.\d+)?)(Ki|Mi|Gi|K|M|G|k)?")
_UNITS = {"": 1, "k": 1000, "K": 1000, "M": 10**6, "G": 10**9, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30}

#: vCPUs that a function gets with so much memory, where it names none.
DEFAULT_CPU = {2**27: ".0833", 2**28: ".1666", 2**29: ".3333", 2**30: ".5833", 2**31: "1", 2**32: "2", 2**33: "2"}

#: The least and the most memory with so many CPUs, in MiB.
_MEMORY = {1: (128, 4096), 2: (128, 8192), 4: (2048, 16384), 6: (4096, 24576), 8: (4096, 32768)}


def check_labels(labels: Mapping[str, str]) -> None:
    if len(labels) > 64:
        raise ApiError(400, f"Labels: {len(labels)} are more than 64.")
    for key, value in labels.items():
        if not _LABEL_KEY.fullmatch(key.removeprefix("goog-")):
            raise ApiError(400, f"Invalid label key: '{key}'. It must begin with a-z and hold a-z, 0-9, _ and -.")
        if not _LABEL_VALUE.fullmatch(value):
            raise ApiError(400, f"Invalid label value '{value}' of '{key}': at most 63 of a-z, 0-9, _ and -.")


def check_name(what: str, name: str, pattern: str) -> None:
    if not re.fullmatch(pattern, name):
        raise ApiError(400, f"Invalid {what}: '{name}'. It must match {pattern}.")


def memory_bytes(text: str) -> int:
    match = _SIZE.fullmatch(text)
    if match is None:
        raise ApiError(400, f"Invalid memory: {text}.")
    return int(float(match[1]) * _UNITS[match[2] or ""])


def cpus(text: str) -> float:
    try:
        return float(text.removesuffix("m")) / (1000 if text.endswith("m") else 1)
    except ValueError:
        raise ApiError(400, f"Invalid cpu: {text}.") from None


def default_cpu(memory: str) -> str:
    wanted = memory_bytes(memory)
    sizes = [size for size in sorted(DEFAULT_CPU) if size >= wanted]
    if sizes:
        return DEFAULT_CPU[sizes[0]]
    return "4" if wanted <= 2**34 else "8"


def check_resources(memory: str, cpu: str, concurrency: int) -> None:
    """Raises ApiError for a pair that no instance has."""
    count, mebibytes = cpus(cpu), memory_bytes(memory) / 2**20
    if count < 1:
        if count < 0.08:
            raise ApiError(400, f"Invalid value specified for cpu. The minimum is 0.08, not {cpu}.")
        if mebibytes < 128 or (mebibytes > 512 and count < 0.5) or mebibytes > 1024:
            raise ApiError(400, f"Invalid value specified for cpu. {cpu} is too little for {memory} of memory.")
        if concurrency > 1:
            raise ApiError(400, "Invalid value specified for cpu. Total cpu < 1 is not supported with concurrency > 1.")
    elif count not in _MEMORY:
        raise ApiError(400, f"Invalid value specified for cpu. {cpu} is none of 1, 2, 4, 6, 8.")
    else:
        least, most = _MEMORY[int(count)]
        if not least <= mebibytes <= most:
            raise ApiError(
                400,
                f"Invalid value specified for memory. For {cpu} cpu it must be {least}Mi to {most}Mi, not {memory}.",
            )
    if not 1 <= concurrency <= 1000:
        raise ApiError(400, f"Invalid value specified for container_concurrency: {concurrency}. It must be 1 to 1000.")


def check_timeout(seconds: int) -> None:
    if not 1 <= seconds <= 3600:
        raise ApiError(400, f"Invalid value for timeout: {seconds}s. It must be between 1s and 3600s.")


def check_instances(least: int, most: int) -> None:
    if not 0 <= least <= 1000 or not 1 <= most <= 1000:
        raise ApiError(400, f"Invalid instance count: {least} to {most}. The maximum is 1000.")
    if least > most:
        raise ApiError(400, f"min_instances ({least}) must be less than or equal to max_instances ({most}).")


def check_environment(variables: Mapping[str, Any]) -> None:
    reserved = {"PORT", "K_SERVICE", "K_REVISION", "K_CONFIGURATION"}
    for name, value in variables.items():
        if name in reserved or name.startswith("X_GOOGLE_"):
            raise ApiError(400, f"The following reserved env names were provided: {name}. They are set by the system.")
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.-]*", name) or not isinstance(value, str):
            raise ApiError(400, f"Invalid environment variable: {name}.")
    if sum(len(name) + len(value) for name, value in variables.items()) > 32 * 1024:
        raise ApiError(400, "The environment variables are larger than 32 KiB.")
