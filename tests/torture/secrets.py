"""What nobody may see: the planted secrets are searched in all that the whole run wrote, answered and counted."""

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

from tests.running import call
from tests.torture.part import Bar
from tests.torture.place import Place
from tests.torture.waiting import publish_waiting

#: Requests with the canary in every place that a request has.
LENGTHS: Mapping[str, float] = {"ci": 5, "short": 20, "full": 200}

FAMILY = "tabular"

#: Pieces of a secret that are too short to be one.
LEAST = 8


def run(length: str, place: Place) -> Sequence[Bar]:
    """Last of all parts: the others have left their logs."""
    for edge in ("asgi", "flask"):
        _plant(place, edge, int(LENGTHS[length]))
    planted = secrets(place)
    files = [path for path in sorted(place.logs.rglob("*")) if path.is_file()]
    found = list(search(files, planted))
    for name, path, line in found:
        print(f"{name} in {path.name}:{line}")
    size = sum(path.stat().st_size for path in files)
    searched = f"{len(found)} in {len(files)} files, {size / 2**20:.1f} MiB"
    return [
        Bar("planted secrets in logs, answers, metrics and crashes", "0", searched, not found and bool(files)),
        Bar("a planted text that was logged on purpose", "found", *_finds(place, planted)),
    ]


def _plant(place: Place, edge: str, count: int) -> None:
    """Asks with the canary where a caller may put one; what is answered is searched too, but for what echoes it."""
    canary, key = place.canary, f"mf_dev_{place.canary[-8:]}_{'x' * 45}"
    answers = []
    publish_waiting(place)
    with place.function(FAMILY, edge) as (url, _):
        for number in range(count):
            told = {
                "X-Api-Key": key,
                "Authorization": f"Bearer {key}",
                "User-Agent": canary,
                "X-Request-Id": str(number),
            }
            for path, data in (
                # What Python says of a text that is no number quotes it.
                ("/predict", json.dumps({"model_name": "waiting", "data": f"wait {canary}"}).encode()),
                ("/predict", json.dumps({"model_name": "writing", "data": f"wait {canary} one"}).encode()),
                ("/predict", json.dumps({"model_name": "waiting", "data": f"say {canary}"}).encode()),
                ("/predict", json.dumps({"data": canary}).encode()),
                ("/predict", json.dumps({"data": [canary], "parameters": {canary: canary}}).encode()),
                ("/predict", f'{{"data": "{canary}'.encode()),
                ("/predict", canary.encode()),
                (f"/v2/models/{canary}/infer", b"{}"),
                (f"/{canary}", b""),
                (f"/predict?data={canary}", b"{}"),
            ):
                answer = call(url + path, data, **told, **{"Content-Type": "application/json"})
                # What a caller did wrong may be told to it in its own words; what fails here may not.
                body = answer.body.decode() if answer.status >= 500 else ""
                answers.append(json.dumps([answer.status, answer.headers, body]))
        answers.append(call(f"{url}/metrics").body.decode())
    place.keep(f"secrets-{edge}-answers", "\n".join(answers))


def secrets(place: Place) -> dict[str, list[bytes]]:
    """In every form in which one may be written, by what it is."""
    texts = {"the canary": place.canary, "the signing key": _private(place)}
    keys = getattr(place, "keys", {})
    for name, text in keys.items():
        texts[f"the access key for {name}"] = text
        # Its secret half alone, without what it is looked up by.
        texts[f"the secret of the access key for {name}"] = text.rpartition("_")[2]
    texts["the bucket"] = "gs://models"
    texts["the trust file's place"] = str(place.trust_file)
    return {name: forms(text) for name, text in texts.items()}


def forms(text: str) -> list[bytes]:
    """Plain, in a URL, in JSON's ASCII, in hexadecimal, in base64 at each of its three offsets, and reversed."""
    data = text.encode()
    found = {data, quote(text, safe="").encode(), json.dumps(text)[1:-1].encode(), data.hex().encode(), data[::-1]}
    for offset in range(3):
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            # Without the characters that hold bits of what stands before or behind.
            whole = encode(b"\0" * offset + data)
            found.add(whole[(offset * 8 + 5) // 6 : len(whole) - 4])
    return [form for form in found if len(form) >= LEAST]


def search(files: Sequence[Path], planted: Mapping[str, Sequence[bytes]]) -> Iterator[tuple[str, Path, int]]:
    """What was found, in which file and line."""
    for path in files:
        data = path.read_bytes()
        for name, texts in planted.items():
            at = next((place for place in map(data.find, texts) if place >= 0), None)
            if at is not None:
                yield name, path, data.count(b"\n", 0, at) + 1


def _finds(place: Place, planted: Mapping[str, Sequence[bytes]]) -> tuple[str, bool]:
    """Whether the search would find what is there: one that finds nothing proves nothing."""
    path = place.folder / "found.log"
    missed = []
    for name, texts in planted.items():
        for text in texts:
            path.write_bytes(b"line\n" + b'{"message": "' + text + b'"}\n')
            if (name, path, 2) not in list(search([path], planted)):
                missed.append(name)
    return f"missed {', '.join(missed)}" if missed else "found in every form", not missed


def _private(place: Place) -> str:
    """The signing key's own bytes, as its PEM file has them."""
    path = place.folder / "signing_key.pem"
    place.key.write(path)
    pem = path.read_text()
    path.unlink()
    return "".join(pem.splitlines()[1:-1])
