"""What ``openai`` sees of a cold start, of a store that is away, of streams, and what we see when it hangs up."""

import os
import time
from typing import Any

import pytest
from openai import APITimeoutError, DefaultHttpxClient, OpenAI

from tests.conformance.place import Place, metric

CHAT: Any = [{"role": "user", "content": "hello"}]
LONG: Any = {"max_tokens": 4000, "temperature": 1, "seed": 1}


def at(place: Place) -> OpenAI:
    return OpenAI(base_url=f"{place.url('text_generation')}/v1", api_key="x")


def test_a_slow_cold_start_is_not_seen() -> None:
    """The bucket takes two seconds for each of its answers."""
    started = time.monotonic()
    with OpenAI(base_url=f"{os.environ['CONFORMANCE_SLOW']}/v1", api_key="x") as client:
        answer = client.chat.completions.create(model="writer", messages=CHAT, max_tokens=4)
    assert answer.choices[0].message.content
    assert time.monotonic() - started > 5


def test_a_store_that_is_away_is_waited_for() -> None:
    """The bucket refuses the first question."""
    answers: list[tuple[float, Any]] = []

    def note(response: Any) -> None:
        answers.append((time.monotonic(), response))

    observed = DefaultHttpxClient(event_hooks={"response": [note]})
    with OpenAI(base_url=f"{os.environ['CONFORMANCE_SHUT']}/v1", api_key="x", http_client=observed) as client:
        answer = client.chat.completions.create(model="writer", messages=CHAT, max_tokens=4)
    assert answer.choices[0].message.content
    (first_at, first), (second_at, second) = answers
    assert (first.status_code, first.headers["x-error-code"], second.status_code) == (503, "store_unavailable", 200)
    assert second_at - first_at >= int(first.headers["retry-after"])


def steps(site: str) -> float:
    """How often the writers' model has run."""
    return metric(Place(site, by_gateway=False).function("text_generation"), "batch_rows_count")


def test_the_first_piece_comes_before_the_last_is_written(place: Place) -> None:
    with at(place) as client:
        client.chat.completions.create(model="writer", messages=CHAT, max_tokens=1)
        before = steps(place.site)
        with client.chat.completions.create(model="writer", messages=CHAT, stream=True, **LONG) as stream:
            next(iter(stream))
            assert steps(place.site) - before < 4000


def test_who_hangs_up_frees_its_slot(place: Place) -> None:
    with at(place) as client:
        before = steps(place.site)
        stream = client.chat.completions.create(model="writer", messages=CHAT, stream=True, **LONG)
        next(iter(stream))
        stream.close()
        ended = settled(place.site)
        assert ended - before < 4000
        assert client.chat.completions.create(model="writer", messages=CHAT, max_tokens=2).choices


def test_who_stops_waiting_frees_its_slot(place: Place) -> None:
    with at(place) as client:
        before = steps(place.site)
        with pytest.raises(APITimeoutError):
            client.with_options(timeout=0.3, max_retries=0).chat.completions.create(
                model="writer", messages=CHAT, **LONG
            )
        assert settled(place.site) - before < 4000


def settled(site: str) -> float:
    """How often the model has run when it runs no more."""
    deadline = time.monotonic() + 20
    seen = steps(site)
    while time.monotonic() < deadline:
        time.sleep(0.3)
        now = steps(site)
        if now == seen:
            return now
        seen = now
    return pytest.fail("The model still runs for a caller who is gone.")
