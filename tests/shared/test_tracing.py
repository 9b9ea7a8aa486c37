import pytest

from model_functions.tracing import Trace, sampler, trace_of

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PARENT = f"00-{TRACE}-{SPAN}-01"


def test_a_callers_trace_is_passed_on_as_it_came() -> None:
    trace = trace_of({"traceparent": PARENT, "tracestate": "vendor=1"})
    assert trace == Trace(TRACE, SPAN, SPAN, True, "vendor=1")
    assert trace.headers() == {"traceparent": PARENT, "tracestate": "vendor=1"}


def test_googles_own_header_is_passed_on_as_everybodys() -> None:
    trace = trace_of({"x-cloud-trace-context": f"{TRACE}/{int(SPAN, 16)};o=1"})
    assert trace is not None
    assert trace.headers() == {"traceparent": PARENT}


@pytest.mark.parametrize("header", ["", "00", PARENT[:-1], f"{PARENT}x", f"{PARENT}\n", f"00-{TRACE}-{SPAN}-zz"])
def test_what_is_no_trace_is_none(header: str) -> None:
    assert trace_of({"traceparent": header}) is None


@pytest.mark.parametrize(
    ("name", "argument", "parent", "rate"),
    [
        ("", "", None, 1.0),
        ("always_on", "", False, 1.0),
        ("always_off", "", True, 0.0),
        ("traceidratio", "0.25", True, 0.25),
        ("parentbased_traceidratio", "0.25", None, 0.25),
        ("parentbased_traceidratio", "0.25", True, 1.0),
        ("parentbased_always_on", "", False, 0.0),
        ("parentbased_always_off", "", None, 0.0),
    ],
)
def test_samplers_do_as_opentelemetrys(name: str, argument: str, parent: bool | None, rate: float) -> None:
    from opentelemetry.sdk.trace.sampling import TraceIdRatioBased

    sample = sampler({"OTEL_TRACES_SAMPLER": name, "OTEL_TRACES_SAMPLER_ARG": argument})
    traces = [f"{number * 0x9E3779B97F4A7C15 % 2**64:032x}" for number in range(1, 2001)]
    assert sum(sample(trace, parent) for trace in traces) / 2000 == pytest.approx(rate, abs=0.03)
    if 0 < rate < 1:
        theirs = TraceIdRatioBased(rate)
        for trace in traces:
            assert sample(trace, parent) == theirs.should_sample(None, int(trace, 16), "").decision.is_sampled()


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"OTEL_TRACES_SAMPLER": "jaeger_remote"}, 'OTEL_TRACES_SAMPLER is "jaeger_remote". Set it to always_on'),
        ({"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "2"}, 'ARG is "2". Set it to a number'),
        ({"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "x"}, 'ARG is "x". Set it to a number'),
    ],
)
def test_a_sampler_that_is_none_is_named(environment: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        sampler(environment)
