"""The smoke test: whether a new revision lives, loads each published model, and answers its sample."""

import json
import threading
from collections.abc import Sequence

from deploy.cloud.asking import Answer, Function, Question

#: Seconds within which a new binding, and a new tag's host, are known everywhere at Google.
SETTLING_S = 120
_PAUSE_S = 3.0


class SmokeFailed(ValueError):
    """A new revision does not answer as it should."""


def check(
    function: Function, asked: Sequence[Question], stopped: threading.Event, settling_s: float = SETTLING_S
) -> None:
    """Asks each question. Raises SmokeFailed at the first wrong answer; looks no further where somebody ends it."""
    for question in asked:
        if stopped.is_set():
            return
        answer = function.ask(question)
        waited = 0.0
        while _is_settling(answer) and waited < settling_s and not stopped.wait(_PAUSE_S):
            waited += _PAUSE_S
            answer = function.ask(question)
        if answer.status != 200 and not stopped.is_set():
            raise SmokeFailed(f"{question} was answered {_told(answer)}")


def _is_settling(answer: Answer) -> bool:
    """Whether it is what stands before a function that refuses, or a function that is not ready yet."""
    return answer.status == 503 or (not answer.ours and answer.status in (0, 401, 403, 404))


def _told(answer: Answer) -> str:
    if answer.status == 0:
        return f"by nobody: {answer.text}"
    try:
        error = json.loads(answer.text)["error"]
        return f"{answer.status} ({error['code']}): {error['message']}"
    except (ValueError, KeyError, TypeError):
        who = "" if answer.ours else ", by Google and not by the function"
        return f"{answer.status}{who}: {' '.join(answer.text.split())[:200]}"
