"""Others put through the same: ``python -m tests.torture.peers [SERVER…]`` prints the table of SECURITY.md.

Bad inputs, a herd, an overload and an end, for our function as it is deployed, a bare functions-framework function,
LitServe and BentoML. Their environments are made on first use. Only ever against this machine itself.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from deploy.project import ROOT
from tests.torture.peers import bad_inputs, exercises
from tests.torture.peers.bad_inputs import Found
from tests.torture.peers.exercises import HANG_UP, HERD, IN_FLIGHT, Drain, Herd, Overload
from tests.torture.peers.servers import Server, fetched, servers, slowly
from tests.torture.peers.source import Source, source
from tests.torture.place import FOLDER, Place, opened
from tests.torture.waiting import publish_waiting


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.torture.peers", description=__doc__.partition("\n")[0])
    parser.add_argument("server", nargs="*", help="the beginnings of their names; default: all")
    asked = parser.parse_args().server
    with opened() as place, source() as origin:
        publish_waiting(place)
        chosen = [one for one in servers(place, origin) if not asked or one.name.startswith(tuple(asked))]
        columns = [_put_through(server, place, origin) for server in chosen]
    (FOLDER / "peers.json").write_text(json.dumps([details for _, details in columns], indent=1, ensure_ascii=False))
    table = _table([rows for rows, _ in columns], chosen)
    (FOLDER / "peers.md").write_text(table)
    print(f"\n{table}\nall of it in {FOLDER.relative_to(ROOT) / 'peers.json'}")


def _put_through(server: Server, place: Place, origin: Source) -> tuple[dict[str, str], dict[str, Any]]:
    """The server's column, and what it was made of."""
    print(f"{server.name} …", flush=True)
    with server.started(place) as running:
        found = bad_inputs.ask(running)
    before = fetched(server, place, origin)
    with slowly(server, place, origin), server.started(place, _room(server, HERD)) as running:
        herd = exercises.herd(running)
    loads = fetched(server, place, origin) - before
    with server.started(place) as running:
        overload = exercises.overload(running)
    with server.started(place, _room(server, IN_FLIGHT), contained=True) as running:
        drain = exercises.drain(running)
    details = {"server": server.name, "loads": loads}
    details |= {type(part).__name__: asdict(part) for part in (found, herd, overload, drain)}
    return _of_corpus(found) | _of_herd(herd, loads) | _of_overload(overload) | _of_drain(drain), details


def _room(server: Server, callers: int) -> dict[str, str]:
    """What refuses callers beyond a few is asked here what becomes of those that it lets in."""
    return {server.room: str(callers), "THREADS": str(callers)} if server.room else {}


def _of_corpus(found: Found) -> dict[str, str]:
    return {
        f"{found.asked} bad inputs: answered with 200, though broken or too large": str(len(found.accepted)),
        "… answered with 500": str(len(found.failed)),
        "… no answer within 5 s": str(len(found.silent)),
        "… a process died": str(len(found.died)),
        "… memory grown by": f"{max(0.0, found.grown):.0f} MiB",
    }


def _of_herd(herd: Herd, loads: int) -> dict[str, str]:
    waited = HERD - HANG_UP
    return {
        f"{HERD} callers of a cold one, {HANG_UP} hang up: model fetched": f"{loads} ×",
        "… answered": f"{herd.answered} of {waited}, in {herd.seconds:.1f} s",
    }


def _of_overload(overload: Overload) -> dict[str, str]:
    recovered = "not in 40 s" if overload.recovered is None else f"{overload.recovered:.1f} s"
    refused = f"{overload.refused}, p99 {1000 * overload.refused_p99:.0f} ms" if overload.refused else "0"
    return {
        "8 × what it can do: answers within a second, of those at its own pace": f"{overload.goodput:.0%}",
        "… refused (429, 503)": refused,
        "… answered later; failed": f"{overload.late}; {overload.failed}",
        "… until it answers as before": recovered,
    }


def _of_drain(drain: Drain) -> dict[str, str]:
    ended = "killed after 10 s" if drain.seconds is None else f"{drain.seconds:.1f} s, status {drain.status}"
    return {
        f"SIGTERM with {IN_FLIGHT} requests of 0.2 s each: answered": str(drain.answered),
        "… one that comes a second later": drain.late,
        "… until the process ended": ended,
    }


def _table(columns: Sequence[dict[str, str]], chosen: Sequence[Server]) -> str:
    """In Markdown."""
    lines = ["| | " + " | ".join(server.name for server in chosen) + " |", "| --- |" + " --- |" * len(chosen)]
    lines.append("| its own limits | " + " | ".join(server.options for server in chosen) + " |")
    lines += [f"| {what} | " + " | ".join(column[what] for column in columns) + " |" for what in columns[0]]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
