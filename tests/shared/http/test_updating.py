"""Real artifacts, a real function and its store; only the clock is turned by hand."""

import logging
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from deploy.publish import publish
from deploy.sources.own_wrapper import load_class
from model_functions.artifact import stream
from model_functions.artifact.manifest import PREDICTIONS_FILE, WRAPPER_FILE, FileEntry, Manifest, MemoryNeed
from model_functions.artifact.signing import Trust, canonical
from model_functions.artifact.signing_key import SigningKey
from model_functions.budget import MemoryBudget
from model_functions.cache import ModelCache
from model_functions.errors import StoreUnavailable
from model_functions.families.tabular import TabularWrapper
from model_functions.http.function import FamilyFunction
from model_functions.http.message import Response
from model_functions.inputs import TextInput
from model_functions.loading import ModelLoader
from model_functions.names import is_model_name
from model_functions.once import Once
from model_functions.repository import Repository
from model_functions.store import Stored
from model_functions.store.folder import FolderStore
from model_functions.updates import Updates
from tests.shared.clocks import Clock
from tests.shared.http.requests import body, get, post
from tests.shared.http.test_function import settings_with

ROW = [0.5, 1.0, 2.0]
REFRESH_S = 30.0
WRITING = Path(__file__).parents[2] / "torture" / "models" / "waiting.py"
COLUMNS = ("length", "width", "weight")


class Store(FolderStore):
    """Can be away."""

    away = False

    def read(self, name: str) -> Stored:
        if self.away:
            raise StoreUnavailable("The store is away.", retry_after=5)
        return super().read(name)

    def list(self, prefix: str = "") -> Iterator[str]:
        if self.away:
            raise StoreUnavailable("The store is away.", retry_after=5)
        return super().list(prefix)


@dataclass
class Served:
    """A function over a store that a test publishes to and spoils."""

    function: FamilyFunction
    repository: Repository
    store: Store
    key: SigningKey
    clock: Clock
    updates: Updates

    def ask(self, target: str = "/predict", **asked: Any) -> Response:
        return self.function.handle(post({"data": ROW} | asked, target))

    def after(self, seconds: float = REFRESH_S) -> Response:
        """The answer then, once a request has had the store looked at."""
        self.clock.now += seconds
        self.ask()
        due = self.function.cache().due
        while not due.empty():
            self.updates.look(due.get())
        return self.ask()

    def manifest(self, name: str = "wine") -> Manifest:
        pointer = self.repository.resolve("tabular", name, "prod")
        return self.repository.manifest("tabular", name, pointer.revision)

    def republish(self, data: bytes | None = None, **changes: Any) -> Manifest:
        """Signs another manifest over the model's bytes, or over others, and moves the alias to it."""
        old = self.manifest()
        held = {file: bytes(self.repository.download(old, file).wait().memory) for file in old.files}
        held |= {} if data is None else {PREDICTIONS_FILE: data}
        files = {file: FileEntry.of(held[file]) for file in held}
        changed = replace(old, **{"files": files} | changes)
        self.repository.add(changed, held, self.key)
        self.repository.point(changed, "prod", self.key)
        return changed

    def path(self, file: str, revision: str = "*") -> Path:
        [found] = (path for path in self.store.root.rglob(file) if revision in (*path.parts, "*"))
        return found


@pytest.fixture
def served(tmp_path: Path, trust: Trust, key: SigningKey, classifier: TabularWrapper, trust_file: Path) -> Served:
    store = Store(tmp_path)
    repository = Repository(store, trust)
    publish(classifier, name="wine", examples=[ROW], repository=repository, key=key)
    function = FamilyFunction(TabularWrapper, settings_with(tmp_path, trust_file))
    function.repository = Once(lambda: repository)
    loader, clock = ModelLoader(repository, TabularWrapper, "prod"), Clock()
    cache = ModelCache(loader, MemoryBudget[Any](2**34, 0), clock, refresh_s=REFRESH_S)
    function.cache = Once(lambda: cache)
    served = Served(function, repository, store, key, clock, Updates(cache, loader, REFRESH_S, clock))
    assert served.ask().status == 200
    return served


def told(response: Response) -> tuple[int, str, bool]:
    return response.status, response.headers.get("X-Model-Revision", ""), "X-Model-Stale" in response.headers


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]


def test_a_new_revision_is_taken_up_and_everything_tells_it(served: Served) -> None:
    first = served.manifest().revision
    second = served.republish(description="newer").revision
    assert told(served.ask()) == (200, first, False)
    [record] = body(served.function.handle(get("/")))["models"]
    assert record["revision"] == first, "the one that serves"
    answer = served.after()
    assert told(answer) == (200, second, False)
    assert body(answer)["revision"] == second
    assert body(served.function.handle(get("/v2/models/wine")))["versions"] == [second]
    [record] = body(served.function.handle(get("/")))["models"]
    assert (record["revision"], record["description"]) == (second, "newer")
    [indexed] = body(served.function.handle(post({}, "/v2/repository/index")))
    assert indexed["version"] == second


def test_a_version_that_a_path_asks_for_is_the_one_that_serves(served: Served) -> None:
    asked = {"inputs": [{"name": name, "datatype": "FP64", "shape": [1], "data": [0.5]} for name in COLUMNS]}
    first, second = served.manifest().revision, served.republish(description="newer").revision

    def status(version: str) -> int:
        return served.function.handle(post(asked, f"/v2/models/wine/versions/{version}/infer")).status

    assert [status(first), status(second)] == [200, 404]
    served.after()
    assert [status(first), status(second)] == [404, 200]
    label = served.function.handle(post({"instances": [ROW]}, "/v1/models/wine/labels/prod:predict"))
    assert (label.status, label.headers["X-Model-Revision"]) == (200, second)


def test_rolling_back_works_on_a_warm_instance_whose_newest_artifact_is_deleted(served: Served) -> None:
    first, second = served.manifest().revision, served.republish(description="newer").revision
    assert told(served.after()) == (200, second, False)
    shutil.rmtree(served.path("manifest.json", second).parent)
    served.repository.roll_back("tabular", "wine", "prod", served.key)
    assert told(served.after()) == (200, first, False)


def test_a_revision_whose_files_are_gone_is_refused(served: Served, caplog: pytest.LogCaptureFixture) -> None:
    first, second = served.manifest().revision, served.republish(description="newer").revision
    served.path(WRAPPER_FILE, second).unlink()
    assert told(served.after()) == (200, first, True)
    assert len(errors(caplog)) == 1


def damage(change: Callable[[bytes], bytes], file: str = WRAPPER_FILE) -> Callable[[Served, Manifest], None]:
    """Changes a file of the second revision, and not what is signed of it."""

    def apply(served: Served, first: Manifest) -> None:
        second = served.republish(description="newer")
        path = served.path(file, second.revision)
        path.write_bytes(change(path.read_bytes()))

    return apply


def chunks(data: bytes) -> list[bytes]:
    half = len(data) // 2
    return [data[:half], data[half : 2 * half], data[2 * half :]]


def sized(**changes: Any) -> Callable[[Served, Manifest], None]:
    """Signs the second revision with an entry that does not fit its bytes."""

    def apply(served: Served, first: Manifest) -> None:
        entry = first.files[WRAPPER_FILE]
        wrong = replace(entry, **{name: change(entry) for name, change in changes.items()})
        served.republish(files=first.files | {WRAPPER_FILE: wrong})

    return apply


def foreign(**changes: Any) -> Callable[[Served, Manifest], None]:
    """Puts the signed manifest of another model into the place of the second revision's."""

    def apply(served: Served, first: Manifest) -> None:
        second = served.republish(description="newer")
        document = served.key.sign("manifest", replace(first, **changes).document())
        served.path("manifest.json", second.revision).write_bytes(document)

    return apply


def older_serial(served: Served, first: Manifest) -> None:
    alias = served.path("prod.json")
    old = alias.read_bytes()
    served.republish(description="newer")
    served.updates._loader.aimed("wine")
    alias.write_bytes(old)


def by_a_stranger(served: Served, first: Manifest) -> None:
    stranger = SigningKey.generate()
    second = replace(first, description="newer")
    repository = Repository(served.store, Trust([stranger.trusted(), served.key.trusted()]))
    repository.add(second, {}, stranger)
    repository.point(second, "prod", stranger)


def pointer_changed(served: Served, first: Manifest) -> None:
    served.republish(description="newer")
    alias = served.path("prod.json")
    alias.write_bytes(alias.read_bytes().replace(b'"serial":', b'"serial":9'))


TAMPERED: dict[str, Callable[[Served, Manifest], object]] = {
    "truncated": damage(lambda data: data[:-1]),
    "a byte more": damage(lambda data: data + b"x"),
    "two halves swapped": damage(lambda data: b"".join([chunks(data)[1], chunks(data)[0], chunks(data)[2]])),
    "a half twice": damage(lambda data: chunks(data)[0] * 2 + chunks(data)[2]),
    "empty": damage(lambda data: b""),
    "wrong size": sized(size=lambda entry: entry.size + 1),
    "wrong chunk size": sized(chunk_size=lambda entry: entry.size // 2),
    "manifest of another model": foreign(name="beer"),
    "manifest of another family": foreign(family="translation"),
    "older serial": older_serial,
    "unknown key": by_a_stranger,
    "pointer changed": pointer_changed,
    "manifest changed": damage(lambda data: data.replace(b"newer", b"never"), "manifest.json"),
    "wrong Python": lambda served, first: served.republish(python="3.9"),
    "missing package": lambda served, first: served.republish(packages={"no-such-package": "9.9.9"}),
    "too large": lambda served, first: served.republish(memory=MemoryNeed(2**33, 2**40, 2**40)),
    "an import that is not listed": lambda served, first: served.republish(globals=first.globals[:1]),
    "answers otherwise": lambda served, first: served.republish(canonical([{"prediction": {"prediction": "other"}}])),
    "fails on its sample": lambda served, first: served.republish(examples=[["a", "b", "c"]]),
}


@pytest.mark.parametrize("kind", TAMPERED)
def test_a_bad_revision_is_refused_and_the_next_good_one_is_taken(
    served: Served, kind: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = served.manifest()
    alias = served.path("prod.json")
    TAMPERED[kind](served, first)
    loads: list[Any] = []
    unpickle = stream.load

    def load(*given: Any) -> Any:
        loads.append(given)
        return unpickle(*given)

    monkeypatch.setattr(stream, "load", load)
    for _ in range(3):
        assert told(served.after(REFRESH_S / 2)) in ((200, first.revision, False), (200, first.revision, True))
    assert told(served.after(REFRESH_S / 2)) == (200, first.revision, True)
    [line] = errors(caplog)
    assert line.startswith("wine is not updated to ")
    assert is_model_name(line.removeprefix("wine is not updated to ").partition(":")[0].replace("?", "unknown"))
    signed = kind in ("an import that is not listed", "answers otherwise", "fails on its sample")
    assert bool(loads) == signed, "nothing was unpickled that is not signed and whole"
    assert (served.updates.updates, served.updates.failures) == (0, 1)
    if kind in ("unknown key", "pointer changed", "older serial"):
        # What it says cannot be moved on from: it is made anew, and is newer than it ever was.
        alias.unlink()
    served.repository.point(first, "prod", served.key)
    assert told(served.after()) == (200, first.revision, False)
    answer = canonical([{"prediction": body(served.ask())["body"]}])
    third = served.republish(answer, description="third", examples=[ROW], python=first.python)
    assert told(served.after()) == (200, third.revision, False)


# Without the store, and without the alias.


def test_a_store_that_is_away_hurts_no_warm_instance(served: Served) -> None:
    first = served.manifest().revision
    served.store.away = True
    assert told(served.after()) == (200, first, True)
    assert told(served.ask(model_name="wine")) == (200, first, True)
    for target in ("/", "/v2/models/wine", "/v2/models/wine/ready", "/v1/models/wine", "/v2/models", "/ready"):
        assert served.function.handle(get(target)).status == 200, target
    unknown = served.ask(model_name="beer")
    assert (unknown.status, unknown.headers["X-Error-Code"]) == (503, "store_unavailable")
    assert unknown.headers["Retry-After"] == "5"
    served.store.away = False
    assert told(served.after()) == (200, first, False)


def test_a_model_whose_alias_was_deleted_is_served_on(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    first = served.manifest().revision
    served.path("prod.json").unlink()
    monkeypatch.setattr("model_functions.directory.TTL_S", 0)
    for _ in range(3):
        assert told(served.after()) == (200, first, True)
    [record] = body(served.function.handle(get("/")))["models"]
    assert record["revision"] == first


def test_a_model_that_is_unloaded_comes_back_as_what_its_alias_names(served: Served) -> None:
    second = served.republish(description="newer").revision
    served.function.unload("wine")
    assert told(served.ask()) == (200, second, False)


def test_metrics_count_updates_and_refusals(served: Served, trust_file: Path) -> None:
    function = FamilyFunction(TabularWrapper, settings_with(served.store.root, trust_file))
    function.handle(post({"data": ROW}))
    text = function.handle(get("/metrics")).body.decode()
    for line in ("updates_total 0", "update_failures_total 0", "models_stale 0"):
        assert f"model_functions_{line}\n" in text


# Streams.


def test_a_stream_ends_as_the_revision_that_began_it(served: Served) -> None:
    def publish_as(description: str) -> str:
        made: Any = load_class(f"{WRITING}:Writing")(TextInput())
        options: dict[str, Any] = {"examples": ["wait 0 one"], "engine": "python", "description": description}
        return publish(made, name="writing", repository=served.repository, key=served.key, **options).manifest.revision

    first, ask = publish_as("older"), {"model_name": "writing", "data": "wait 0 one two three"}
    response = served.function.handle(post(ask | {"parameters": {"stream": True}}))
    assert (response.status, response.headers["X-Model-Revision"]) == (200, first)
    chunks: Iterator[bytes] = iter(response.chunks or ())
    events = [next(chunks)]
    second = publish_as("newer")
    served.clock.now += REFRESH_S
    served.ask(**ask)
    served.updates.look(served.function.cache().due.get())
    assert served.ask(**ask).headers["X-Model-Revision"] == second
    text = b"".join([*events, *chunks]).decode()
    assert all(f'"{word}"' in text for word in ("one", "two", "three"))
    assert first in text
    assert second not in text
