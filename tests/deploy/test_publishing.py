"""Publishers that race, that die half-way, and whose network fails: what the alias names always loads."""

import re
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from deploy.__main__ import main
from deploy.publish import NotProven, Published, publish
from model_functions.artifact.signing import Trust
from model_functions.artifact.signing_key import SigningKey
from model_functions.errors import Conflict, ServingError, StoreUnavailable
from model_functions.families.tabular import TabularWrapper
from model_functions.loading import ModelLoader
from model_functions.phases import Phases
from model_functions.repository import Repository
from model_functions.store import Store
from model_functions.store.bucket import BucketStore, Patience
from tests.deploy.test_verbs import EXAMPLE
from tests.fakes.bucket import Call, FakeBucket

ROW = [0.5, 1.0, 2.0]
ALIAS = "tabular/wine/aliases/prod.json"
#: A publisher who is told soon.
HASTY = Patience(pause=0.02, connect=0.5, answer=0.3, read=1.0, upload_answer=0.3, upload=1.0)
#: One who gives up at once.
IMPATIENT = Patience(pause=0.05, connect=0.5, answer=0.3, read=0.25, upload_answer=0.3, upload=0.25)
RACES = 4

pytestmark = pytest.mark.slow


@pytest.fixture
def bucket_store(fake_bucket: FakeBucket) -> BucketStore:
    return BucketStore.at("gs://models", HASTY)


@pytest.fixture
def published(bucket_store: BucketStore, trust: Trust, key: SigningKey) -> "Publishers":
    publishers = Publishers(bucket_store, trust, key)
    publishers.publish(0)
    return publishers


class Publishers:
    """Publish models by number, each another one."""

    def __init__(self, store: Store, trust: Trust, key: SigningKey) -> None:
        self.repository = Repository(store, trust)
        self.key = key
        self.made: dict[int, TabularWrapper] = {}

    def publish(self, number: int, repository: Repository | None = None) -> Published:
        wrapper = self.made.setdefault(number, model(number))
        return publish(wrapper, name="wine", examples=[ROW], repository=repository or self.repository, key=self.key)

    def served(self) -> str:
        """The revision that the alias names: it loads, and answers."""
        loader = ModelLoader(self.repository, TabularWrapper, "prod")
        manifest = loader.resolve("wine", Phases())
        assert loader.load(manifest, Phases()).predict(ROW)
        return manifest.revision

    def orphans(self) -> int:
        """Objects that belong to no whole revision."""
        whole = {f"tabular/wine/revisions/{one}/" for one in self.repository.revisions("tabular", "wine")}
        names = self.repository.store.list("tabular/wine/revisions/")
        return len([name for name in names if not any(name.startswith(folder) for folder in whole)])


def model(number: int) -> TabularWrapper:
    rows = np.random.default_rng(number).normal(size=(40, 3))
    return TabularWrapper.from_estimator(LogisticRegression().fit(rows, rows.sum(axis=1) > 0), ROW)


def together(*calls: Callable[[], Any]) -> list[Any]:
    """What each call returns or raises, all at once."""
    outcomes: list[Any] = []

    def run(call: Callable[[], Any]) -> None:
        try:
            outcomes.append(call())
        except ServingError as error:
            outcomes.append(error)

    threads = [threading.Thread(target=run, args=[call]) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return outcomes


class Start:
    """Lets requests for the alias through once so many publishers have asked for it."""

    def __init__(self, bucket: FakeBucket, count: int) -> None:
        self._barrier, self._left = threading.Barrier(count), count
        self._lock = threading.Lock()
        bucket.on_call = self

    def __call__(self, call: Call) -> None:
        with self._lock:
            is_first = call.operation == "read" and call.object == ALIAS and self._left > 0
            self._left -= is_first
        if is_first:
            self._barrier.wait(30)


# Races.


def test_of_two_publishers_exactly_one_wins_and_the_other_is_told(
    published: Publishers, fake_bucket: FakeBucket
) -> None:
    for race in range(RACES):
        Start(fake_bucket, 2)
        before = fake_bucket.data(ALIAS)
        outcomes = together(partial(published.publish, 2 * race + 1), partial(published.publish, 2 * race + 2))
        [won] = [outcome for outcome in outcomes if isinstance(outcome, Published)]
        [lost] = [outcome for outcome in outcomes if isinstance(outcome, Conflict)]
        assert published.served() == won.manifest.revision
        assert fake_bucket.data(ALIAS) != before
        assert f"was moved to revision {won.manifest.revision} by somebody else" in lost.message or (
            "has been written by somebody else meanwhile" in lost.message
        )
    assert published.orphans() == 0


def test_two_publishers_of_the_same_model_both_succeed(published: Publishers, fake_bucket: FakeBucket) -> None:
    Start(fake_bucket, 2)
    one, other = together(lambda: published.publish(1), lambda: published.publish(1))
    if isinstance(one, Conflict) or isinstance(other, Conflict):  # the store's own, in the last moment
        one = other = one if isinstance(other, Conflict) else other
        assert isinstance(published.publish(1), Published)
    assert one.manifest.revision == other.manifest.revision == published.served()


@pytest.mark.parametrize("rival", ["promote", "roll back"])
def test_whoever_moves_the_alias_while_another_publishes_wins(
    published: Publishers, fake_bucket: FakeBucket, rival: str
) -> None:
    first = published.served()
    second = published.publish(1).manifest
    third = publish(
        model(2), name="wine", examples=[ROW], repository=published.repository, key=published.key, alias=None
    ).manifest
    moved: list[str] = []

    def move(call: Call) -> None:
        if call.operation == "write" and not moved:
            moved.append(rival)
            if rival == "promote":
                published.repository.point(third, "prod", published.key)
            else:
                published.repository.roll_back("tabular", "wine", "prod", published.key)

    fake_bucket.on_call = move
    with pytest.raises(Conflict, match="by somebody else meanwhile, and stays there"):
        published.publish(3)
    assert published.served() == {"promote": third.revision, "roll back": first}[rival] != second.revision


def test_a_promotion_that_is_overtaken_is_told(published: Publishers, fake_bucket: FakeBucket) -> None:
    second, third = published.publish(1).manifest, published.publish(2).manifest
    first = published.repository.resolve("tabular", "wine", "prod").previous[-1]
    moved: list[int] = []

    def move(call: Call) -> None:
        if call.operation == "write" and call.object == ALIAS and not moved:
            moved.append(1)
            published.repository.roll_back("tabular", "wine", "prod", published.key)

    fake_bucket.on_call = move
    manifest = published.repository.manifest("tabular", "wine", first)
    with pytest.raises(Conflict):
        published.repository.point(manifest, "prod", published.key)
    assert published.served() == second.revision != third.revision


def test_the_loser_of_a_race_ends_with_a_status_and_the_word(
    workshop: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import joblib

    from tests.tiny_models import classifier

    joblib.dump(classifier(), workshop / "model.joblib")
    arguments = ["publish", str(workshop / "model.joblib"), "--name", "wine", "--example", EXAMPLE, "--trust"]
    monkeypatch.setattr(Repository, "generation", lambda *_: 12345)
    assert main([*arguments, "--family", "tabular"]) == 1
    assert capsys.readouterr().err.startswith('conflict: "prod" of tabular/wine is gone by somebody else meanwhile')


# Death.


class Killed(BaseException):
    """What ends a publisher at once: nothing of ours catches it."""


class DyingStore:
    """Ends its publisher at a step: before it, or after it has been done."""

    def __init__(self, store: Store, step: int, *, done: bool) -> None:
        self._store, self._left, self._done = store, step, done
        self.location, self.open = store.location, store.open
        self.read, self.list = self._dying(store.read), self._dying(store.list)
        self.write = self._dying(store.write)
        self.steps = 0

    def _dying(self, operation: Callable[..., Any]) -> Callable[..., Any]:
        def step(*given: Any, **named: Any) -> Any:
            self.steps += 1
            self._left -= 1
            if self._left < 0 and not self._done:
                raise Killed
            found = operation(*given, **named)
            if self._left < 0:
                raise Killed
            return found

        return step


def test_a_publisher_that_dies_at_any_step_leaves_what_is_served_and_the_next_succeeds(
    published: Publishers, trust: Trust
) -> None:
    counting = DyingStore(published.repository.store, 1000, done=True)
    published.publish(1, Repository(counting, trust))
    assert counting.steps >= 8
    number = 2
    for step in range(counting.steps):
        before = published.served()
        # Each is after one step and before the next.
        dying = DyingStore(published.repository.store, step, done=True)
        with pytest.raises(Killed):
            published.publish(number, Repository(dying, trust))
        assert published.served() == before or step == counting.steps - 1
        assert published.orphans() <= 2, "files of one revision"
        assert published.publish(number).manifest.revision == published.served()
        assert published.orphans() == 0
        number += 1


# A network that fails.

#: A write whose answer is cut has been done.
PASSING: list[dict[str, Any]] = [{"cut": 0}, {"status": 503}, {"cut": 0}, {"status": 429}, {"latency": 0.5}]


def test_a_network_that_fails_once_at_any_request_costs_a_publish_nothing(
    published: Publishers, fake_bucket: FakeBucket
) -> None:
    before = len(fake_bucket.calls)
    published.publish(1)
    requests = len(fake_bucket.calls) - before
    for number in range(requests):
        fake_bucket.fault(after=number, **PASSING[number % len(PASSING)])
        assert published.publish(number + 2).manifest.revision == published.served()
        fake_bucket.heal()
    assert published.orphans() == 0


def test_a_network_that_ends_at_any_request_tells_and_changes_nothing(
    published: Publishers, fake_bucket: FakeBucket, trust: Trust
) -> None:
    first = published.served()
    impatient = Repository(BucketStore.at("gs://models", IMPATIENT), trust)
    requests = 0
    for number in range(0, 100, 4):
        fake_bucket.fault(after=number, times=None, status=503)
        try:
            published.publish(1, impatient)
        except (StoreUnavailable, NotProven) as error:
            assert re.search("The store (answers 503|gives no whole answer) for", str(error))  # noqa: PT017 - most end so
            fake_bucket.heal()
            assert published.served() == first
            requests += 1
        else:
            break
    fake_bucket.heal()
    assert requests >= 4
    assert published.publish(1).manifest.revision == published.served()
    assert published.orphans() == 0
