"""Which trace a request belongs to: read off its headers, for the log and for whom we ask on its behalf."""

import os
import random
import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

#: W3C's header; a later version may say more behind what this one knows.
TRACEPARENT = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]([0-9a-f])(?:-.*)?"
)
#: The last digit of its flags, where the caller exports the trace.
SAMPLED = frozenset("13579bdf")

#: Google's older one, its span in decimal.
_CLOUD = re.compile(r"([0-9a-f]{32})/([0-9]{1,20})(?:;o=([0-9]))?")

#: Characters of ``tracestate`` that are passed on.
_STATE = 512


class Trace(NamedTuple):
    """A request's place in a trace.

    Args:
        span: that what we log, and what we ask others, belongs to: the request's own where spans are exported, else
            the caller's.
        parent: the caller's span; empty where the trace begins here.
        state: what the caller's tools have added (``tracestate``).
    """

    id: str
    span: str
    parent: str
    sampled: bool
    state: str = ""

    def headers(self) -> dict[str, str]:
        """For whom we ask on its behalf."""
        told = {"traceparent": f"00-{self.id}-{self.span}-0{int(self.sampled)}"}
        return told | {"tracestate": self.state} if self.state else told


#: Whether a trace is exported, by its id and by whether the caller exports it (None: there is no caller's trace).
Sampler = Callable[[str, bool | None], bool]

_samplers: list[Sampler] = []


def export(sampler: Sampler) -> None:
    """From now on each request is a span of its own."""
    _samplers[:] = [sampler]


def exported() -> bool:
    """Whether requests are spans here."""
    return bool(_samplers)


def begun(headers: Mapping[str, str]) -> Trace:
    """A span of a request, within its caller's if there is one."""
    told = trace_of(headers)
    if told is not None:
        return told._replace(span=_span(), sampled=_samplers[0](told.id, told.sampled))
    trace = f"{random.getrandbits(128) or 1:032x}"
    return Trace(trace, _span(), "", _samplers[0](trace, None))


def trace_of(headers: Mapping[str, str]) -> Trace | None:
    """What a request says of itself."""
    parent = headers.get("traceparent")
    if parent is not None and (found := TRACEPARENT.fullmatch(parent)) is not None:
        trace, span, flags = found.groups()
        return Trace(trace, span, span, flags in SAMPLED, headers.get("tracestate", "")[:_STATE])
    cloud = headers.get("x-cloud-trace-context")
    if cloud is not None and (found := _CLOUD.fullmatch(cloud)) is not None:
        span = f"{int(found[2]) & (2**64 - 1):016x}"
        return Trace(found[1], span, span, found[3] == "1")
    return None


def _span() -> str:
    # Nobody gains by guessing it, so that the kernel need not be asked.
    return f"{random.getrandbits(64) or 1:016x}"


def sampler(environment: Mapping[str, str] = os.environ) -> Sampler:
    """What ``OTEL_TRACES_SAMPLER`` and its ``_ARG`` say, as OpenTelemetry's own. Raises ValueError."""
    name = environment.get("OTEL_TRACES_SAMPLER") or "parentbased_always_on"
    plain = name.removeprefix("parentbased_")
    if plain not in ("always_on", "always_off", "traceidratio"):
        raise ValueError(
            f'OTEL_TRACES_SAMPLER is "{name[:40]}". Set it to always_on, always_off or traceidratio, '
            "each with or without parentbased_ before it."
        )
    ratio = {"always_on": 1.0, "always_off": 0.0}.get(plain)
    if ratio is None:
        text = environment.get("OTEL_TRACES_SAMPLER_ARG") or "1"
        try:
            ratio = float(text)
        except ValueError:
            ratio = -1.0
        if not 0 <= ratio <= 1:
            raise ValueError(f'OTEL_TRACES_SAMPLER_ARG is "{text[:20]}". Set it to a number from 0 to 1.')
    bound = round(ratio * 2**64)

    def sample(trace: str, parent: bool | None) -> bool:
        if parent is not None and plain != name:
            return parent
        return int(trace[16:], 16) < bound

    return sample
