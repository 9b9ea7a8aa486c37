"""An exception's stack trace, in the form that Error Reporting groups by, without the words of the exception.

What a model raises may quote its input, and no log shows a caller's input unless it is asked to.
"""

import hashlib
import traceback
from collections.abc import Iterator

#: Frames of one exception that are shown: those of its ends.
FRAMES = 40

_CAUSE = "\nThe above exception was the direct cause of the following exception:\n\n"
_CONTEXT = "\nDuring handling of the above exception, another exception occurred:\n\n"


def stack_trace(exc: BaseException, *, words: bool) -> str:
    """As Python would write it.

    Args:
        words: whether to show what the exceptions say, too.
    """
    return "".join(_lines(exc, words, set())).rstrip("\n")


def _lines(exc: BaseException, words: bool, seen: set[int]) -> Iterator[str]:
    seen.add(id(exc))
    before = exc.__cause__ or (None if exc.__suppress_context__ else exc.__context__)
    if before is not None and id(before) not in seen:
        yield from _lines(before, words, seen)
        yield _CAUSE if exc.__cause__ is not None else _CONTEXT
    frames = traceback.extract_tb(exc.__traceback__)
    if frames:
        yield "Traceback (most recent call last):\n"
        half = FRAMES // 2
        if len(frames) > FRAMES:
            yield from traceback.format_list(frames[:half])
            yield f"  ... {len(frames) - FRAMES} frames ...\n"
            frames = traceback.StackSummary.from_list(frames[-half:])
        yield from traceback.format_list(frames)
    yield f"{_name(type(exc))}: {said(exc, words=words)}\n"


def said(exc: BaseException, *, words: bool) -> str:
    """What the exception says, or how long that is and its digest."""
    try:
        text = str(exc)
    except Exception:  # noqa: BLE001 - it is somebody else's, and may raise anything
        return "(cannot be told)"
    if words or not text:
        return text
    digest = hashlib.sha256(text.encode(errors="replace")).hexdigest()[:8]
    return f"({len(text)} characters, digest {digest}; LOG_INPUTS=true shows them)"


def _name(kind: type[BaseException]) -> str:
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
