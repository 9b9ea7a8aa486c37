"""Questions to a deployed function over HTTP: what a smoke test and a canary's probes ask."""

import http.client
import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from deploy.cloud.identity_tokens import IdTokens
from model_functions.artifact.manifest import Manifest

#: Seconds for an answer: a cold instance starts and loads its model meanwhile.
PATIENCE_S = 300


@dataclass(frozen=True)
class Question:
    """A request; without a body it is a GET."""

    path: str
    body: dict[str, Any] | None = None

    def __str__(self) -> str:
        model = f" of {self.body['model_name']}" if self.body else ""
        return f"{'GET' if self.body is None else 'POST'} {self.path}{model}"


@dataclass(frozen=True)
class Answer:
    """Args: ours: whether our code gave it, and not what stands before it."""

    status: int
    seconds: float
    ours: bool
    text: str


def questions(models: Iterable[Manifest]) -> list[Question]:
    """Whether it lives, and of every model whether it loads and answers its sample."""
    found = [Question("/health")]
    for manifest in models:
        found.append(Question("/warmup", {"model_name": manifest.name}))
        found.append(Question("/predict", {"model_name": manifest.name, "data": manifest.examples[0]}))
    return found


def probe(asked: Sequence[Question]) -> Question:
    """The one that is asked again and again while a canary is watched: a prediction, where there is a model."""
    return asked[-1]


class Function:
    """A function that can be asked.

    Args:
        audience: for whom it wants ID tokens to be.
    """

    def __init__(self, url: str, audience: str, tokens: IdTokens) -> None:
        self.url = url.rstrip("/")
        self._audience = audience
        self._tokens = tokens

    def ask(self, question: Question, patience_s: float = PATIENCE_S) -> Answer:
        """Its answer; status 0 where there was none."""
        body = None if question.body is None else json.dumps(question.body).encode()
        headers = {"Authorization": f"Bearer {self._tokens.token(self._audience)}"}
        headers |= {"Content-Type": "application/json"} if body else {}
        request = urllib.request.Request(self.url + question.path, body, headers)  # noqa: S310 - Google told the URL
        started = time.monotonic()
        try:
            # An opener of its own: urlopen's keeps to the proxy that there was when somebody used it first.
            with urllib.request.build_opener().open(request, timeout=patience_s) as answer:
                status, told, text = answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as exc:
            status, told, text = exc.code, exc.headers, exc.read()
        except (OSError, http.client.HTTPException) as exc:
            return Answer(0, time.monotonic() - started, ours=False, text=f"{type(exc).__name__}: {exc}")
        ours = "X-Request-Id" in told
        return Answer(status, time.monotonic() - started, ours, text.decode(errors="replace"))
