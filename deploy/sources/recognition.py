"""Which family a source belongs to: each family says what it recognises, and the publisher hears why."""

import json
import re
from typing import NamedTuple

from deploy.project import model_families, wrapper_class
from deploy.sources import formats
from model_functions.source import Source

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")


class Recognised(NamedTuple):
    """A family, and what in the source says that it is this one."""

    family: str
    reason: str


def read_source(location: str) -> Source:
    """What stands at a path, or else in the Hub under this id. Raises FileNotFoundError, ValueError."""
    try:
        return formats.read_source(location)
    except FileNotFoundError:
        if not _HUB_ID.fullmatch(location) or re.search(r"\.(?:\w{2,7})$", location):
            raise
        return _hub(location)


def recognise(source: Source) -> Recognised:
    """The one family that recognises the source. Raises ValueError with all that was looked at."""
    families = model_families()
    found = {family: reason for family in families if (reason := wrapper_class(family).recognises(source)) is not None}
    if len(found) != 1 and source.task is not None:
        tagged = [family for family in (found or families) if wrapper_class(family).task == source.task]
        found = dict.fromkeys(tagged, f"its model card says pipeline_tag {source.task}") or found
    if len(found) == 1:
        return Recognised(*next(iter(found.items())))
    looked_at = _looked_at(source)
    if not found:
        raise ValueError(
            f"Nothing tells which family serves {source.location}: {looked_at}. "
            f"Say it with --family: {', '.join(families)}." + _hint(source)
        )
    reasons = "; ".join(f"{family} ({reason})" for family, reason in found.items())
    raise ValueError(f"{source.location} can be served by several families: {reasons}. Say which with --family.")


def _hint(source: Source) -> str:
    if any(name.startswith("dill.") for name in source.names):
        return " If it is a wrapper of your own that was dumped whole, name it with --from-dill."
    return ""


def _looked_at(source: Source) -> str:
    parts = [source.evidence]
    if source.config:
        parts.append(f"its architecture is {source.architecture or 'not named'}")
    if source.task:
        parts.append(f"its model card says pipeline_tag {source.task}")
    return ", ".join(parts)


def _hub(location: str) -> Source:
    """A Hub model by its small documents alone."""
    # Imported here: it is slow, and a path needs none of it.
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, LocalEntryNotFoundError

    texts: dict[str, str] = {}
    for name in ("config.json", "modules.json", "README.md"):
        try:
            with open(hf_hub_download(location, name), encoding="utf-8") as file:
                texts[name] = file.read()
        except LocalEntryNotFoundError as exc:
            if name == "config.json":
                raise FileNotFoundError(
                    f"There is no file or folder {location}, and the Hub cannot be reached to look for a model of that "
                    "name. Download the model's folder, and publish that."
                ) from exc
        except EntryNotFoundError:
            continue
        except (HfHubHTTPError, OSError, ValueError) as exc:
            reason = str(exc).strip().splitlines()[0][:200] if str(exc).strip() else type(exc).__name__
            raise FileNotFoundError(f"{location} is no file or folder, and no model in the Hub: {reason}") from exc
    config = json.loads(texts.get("config.json", "{}"))
    return formats.huggingface(location, config, texts, None)
