"""Make, list, revoke and rotate access keys.

A key is shown once, when it is made. The list has its digest, what it may and until when; it is signed, and kept in the
store, where functions with ACCESS=keys read it twice a minute. With --file it is kept in a file, for Secret Manager.
"""

import argparse
import re
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from deploy import output, publisher
from deploy.key_list import KeptList
from deploy.project import store_location
from model_functions.access.keys import (
    AccessKey,
    KeyList,
    is_environment,
    is_key,
    is_scope,
    key_digest,
    key_id,
    new_key,
)
from model_functions.settings import ACTIONS

EXAMPLE = "python -m deploy keys create --scope 'tabular/*' --expires 90d --rate 10 --note 'the billing team'"

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(title="what to do", metavar="create | list | revoke | rotate", required=True)
    create = _verb(verbs, "create", "make a key, and show it once", run_create)
    create.add_argument(
        "--scope",
        action="append",
        metavar="FAMILY/MODEL",
        help="models that it is for, with * for any; may be given several times (default: */*)",
    )
    create.add_argument(
        "--may", default="predict", metavar="WHAT,WHAT", help=f"of {', '.join(ACTIONS)} (default: predict)"
    )
    create.add_argument(
        "--environment", help="a word in the key, to tell keys apart (default: prod, of a folder local)"
    )
    create.add_argument("--not-before", metavar="WHEN", help="from when on it counts (default: now)")
    create.add_argument("--expires", metavar="WHEN", help="as 90d, 12h or 2027-12-31 (default: never)")
    create.add_argument("--rate", type=float, help="requests a second, of each instance (default: any number)")
    create.add_argument("--burst", type=int, help="requests at once (default: those of a second)")
    create.add_argument("--note", default="", help="whose it is, for the list")
    _verb(verbs, "list", "all keys, without the keys themselves", run_list)
    revoke = _verb(verbs, "revoke", "a key counts no more, from a minute on", run_revoke)
    revoke.add_argument("key", nargs="+", help="its id, or the key itself")
    rotate = _verb(verbs, "rotate", "make a key that may the same, and let the old one expire", run_rotate)
    rotate.add_argument("key", help="its id, or the key itself")
    rotate.add_argument("--overlap", default="1d", metavar="TIME", help="for how long both count (default: 1d)")
    rotate.add_argument(
        "--expires", metavar="WHEN", help="of the new one (default: it counts as long as the old one did)"
    )


def run(args: argparse.Namespace) -> None:
    args.do(args)


def run_create(args: argparse.Namespace) -> None:
    now = int(time.time())
    scopes, may = tuple(args.scope or ["*/*"]), tuple(args.may.replace(",", " ").split())
    _check(scopes, may, args.rate, args.burst)
    environment = args.environment or ("prod" if store_location().startswith("gs://") or args.file else "local")
    if not is_environment(environment):
        raise ValueError(f"--environment {environment}: at most 16 of a-z and 0-9.")
    text = new_key(environment)
    key = AccessKey(
        id=key_id(text),
        digest=key_digest(text).hex(),
        environment=environment,
        may=may,
        scopes=scopes,
        not_before=_when(args.not_before, now) if args.not_before else now,
        expires=_when(args.expires, now) if args.expires else None,
        rate=args.rate,
        burst=args.burst,
        note=args.note,
    )
    # A write may succeed without our learning it, and come here again.
    KeptList.at(args.file).change(
        publisher.signing_key(), lambda found: found if found.find(key.id) else found.with_keys(key)
    )
    _tell_made(args, text, key)


def run_list(args: argparse.Namespace) -> None:
    keys = KeptList.at(args.file).read().keys
    lines = [_line(key) for key in keys] or ["There is no key yet. python -m deploy keys create makes one."]
    output.tell(args, [_told(key) for key in keys], "\n".join(lines))


def run_revoke(args: argparse.Namespace) -> None:
    now = int(time.time())
    kept = KeptList.at(args.file)

    def changed(found: KeyList) -> KeyList:
        keys = [_named(found, text) for text in args.key]
        revoked = [replace(key, revoked=now) for key in keys if key.revoked is None]
        return found.with_keys(*revoked) if revoked else found

    found = kept.change(publisher.signing_key(), changed)
    keys = [_named(found, text) for text in args.key]
    output.tell(args, [_told(key) for key in keys], "\n".join([*map(_line, keys), *_command(args)]))


def run_rotate(args: argparse.Namespace) -> None:
    now = int(time.time())
    kept = KeptList.at(args.file)
    text = new_key(_named(kept.read(), args.key).environment)

    def changed(found: KeyList) -> KeyList:
        if found.find(key_id(text)):
            # A write may succeed without our learning it, and come here again.
            return found
        old = _named(found, args.key)
        if old.revoked is not None:
            raise ValueError(f"{old.id} is revoked. Make a new key: python -m deploy keys create")
        until = None if old.expires is None else now + old.expires - old.not_before
        until = _when(args.expires, now) if args.expires else until
        ends = now + _seconds(args.overlap)
        new = replace(old, id=key_id(text), digest=key_digest(text).hex(), not_before=now, expires=until)
        return found.with_keys(replace(old, expires=min(ends, old.expires or ends)), new)

    found = kept.change(publisher.signing_key(), changed)
    _tell_made(args, text, _named(found, text), _named(found, args.key))


def _verb(verbs: Any, name: str, text: str, do: Any) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = verbs.add_parser(name, help=text, description=f"{text.capitalize()}.")
    parser.add_argument("--file", type=Path, help="the list is this file, for Secret Manager, and not in the store")
    parser.add_argument(
        "--secret", default="access-keys", help="the secret that the file is for (default: access-keys)"
    )
    output.add_json_argument(parser)
    parser.set_defaults(do=do)
    return parser


def _check(scopes: Sequence[str], may: Sequence[str], rate: float | None, burst: int | None) -> None:
    for scope in scopes:
        if not is_scope(scope):
            raise ValueError(f'--scope {scope}: write FAMILY/MODEL, as "tabular/*" or "*/wine_model".')
    if not may or set(may) - set(ACTIONS):
        raise ValueError(f"--may {','.join(may)}: there are {', '.join(ACTIONS)}.")
    if rate is not None and not 0 < rate < 1_000_000:
        raise ValueError(f"--rate {rate:g}: write a positive number of requests a second.")
    if burst is not None and (rate is None or burst < 1):
        raise ValueError(f"--burst {burst}: write a positive number, beside --rate.")


def _named(found: KeyList, text: str) -> AccessKey:
    key = found.find(key_id(text) if is_key(text) else text)
    if key is None:
        known = ", ".join(key.id for key in found.keys) or "none"
        raise ValueError(f'"{text[:12]}" is the id of no key. There are: {known}.')
    return key


def _tell_made(args: argparse.Namespace, text: str, key: AccessKey, old: AccessKey | None = None) -> None:
    lines = [f"{_line(key)}\nIt is shown this once, and kept nowhere:\n\n    {text}\n", *_command(args)]
    if old is not None:
        lines.insert(1, f"{old.id} counts for {args.overlap} more, so that whoever has it can change to the new one.")
    output.tell(args, {"key": text, **_told(key)}, "\n".join(lines))


def _command(args: argparse.Namespace) -> list[str]:
    """How the file becomes the secret's newest version."""
    if args.file is None:
        return []
    return [f"gcloud secrets versions add {args.secret} --data-file={args.file}"]


def _told(key: AccessKey) -> dict[str, Any]:
    record = asdict(key) | {"state": _state(key)}
    del record["digest"]
    return record


def _line(key: AccessKey) -> str:
    quota = "" if key.rate is None else f", {key.rate:g} a second"
    note = f" ({key.note})" if key.note else ""
    return f"{key.id}{note}: {_state(key)}, may {', '.join(key.may)} of {' '.join(key.scopes)}{quota}"


def _state(key: AccessKey) -> str:
    now = time.time()
    if key.revoked is not None:
        return f"revoked {_date(key.revoked)}"
    if key.expires is not None and key.expires <= now:
        return f"expired {_date(key.expires)}"
    until = "" if key.expires is None else f" until {_date(key.expires)}"
    return f"counts from {_date(key.not_before)}{until}" if key.not_before > now else f"counts{until}"


def _date(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _when(text: str, now: int) -> int:
    """A moment: so far from now, or a date, as UTC has it."""
    if text[-1:] in _UNITS:
        return now + _seconds(text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as exc:
        raise ValueError(f'"{text}" is no time. Write 90d, 12h, 2027-12-31 or 2027-12-31T18:00.') from exc
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


def _seconds(text: str) -> int:
    match = re.fullmatch(r"([0-9]{1,9})([smhd])", text)
    if match is None:
        raise ValueError(f'"{text}" is no length of time. Write a number with s, m, h or d, as 12h.')
    return int(match[1]) * _UNITS[match[2]]
