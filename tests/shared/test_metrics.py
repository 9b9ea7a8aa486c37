import os
import threading
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics_families
from prometheus_client.parser import text_string_to_metric_families

from model_functions.metrics import MODELS, ROWS, SECONDS, Histogram, Metrics


def made() -> Metrics:
    metrics = Metrics()
    metrics.requests("/predict", "wine", 200, [0.03, 100])
    metrics.requests("/predict", "wine", 503, [0.0001], "overloaded")
    metrics.requests("other", "", 401, [0.001], "unauthenticated")
    metrics.requests('/a"b\\c\nd', "", 404, [0.001], "not_found")
    metrics.load("wine")
    metrics.cold_start({"boot": 500.0, "load": 250.0}, 1.25)
    metrics.cold_start({"load": 750.0}, 1.0)
    sizes = Histogram(ROWS)
    for rows in (1, 3, 1000):
        sizes.add(rows)
    metrics.watch("histogram", "batch_rows", "Rows.", lambda: sizes)
    metrics.watch("counter", "overloads_total", "Refusals.", lambda: {"full": 2, "late": 0}, "reason")
    metrics.watch("gauge", "models_loaded", "Models.", lambda: 3)
    return metrics


def samples(metrics: Metrics, *, open_metrics: bool = False) -> dict[tuple[str, frozenset[Any]], float]:
    """As Prometheus' own client reads them."""
    read = open_metrics_families if open_metrics else text_string_to_metric_families
    families = list(read(metrics.render(open_metrics=open_metrics)))
    assert len({family.name for family in families}) == len(families)
    assert all(family.documentation and family.type != "unknown" for family in families)
    return {(one.name, frozenset(one.labels.items())): one.value for family in families for one in family.samples}


@pytest.mark.parametrize("open_metrics", [False, True])
def test_prometheus_own_client_reads_what_was_counted(open_metrics: bool) -> None:
    found = samples(made(), open_metrics=open_metrics)

    def value(name: str, **labels: str) -> float:
        return found[name, frozenset(labels.items())]

    assert value("model_functions_requests_total", route="/predict", model="wine", status="200") == 2
    assert value("model_functions_requests_total", route='/a"b\\c\nd', model="", status="404") == 1
    assert value("model_functions_request_seconds_bucket", model="wine", le="0.05") == 2
    assert value("model_functions_request_seconds_bucket", model="wine", le="60") == 2
    assert value("model_functions_request_seconds_count", model="wine") == 3
    assert value("model_functions_request_seconds_sum", model="wine") == pytest.approx(100.0301)
    assert value("model_functions_errors_total", code="unauthenticated") == 1
    assert value("model_functions_cold_loads_total", model="wine") == 1
    assert value("model_functions_cold_start_seconds_sum", phase="load") == 1
    assert value("model_functions_cold_start_seconds_count", phase="boot") == 1
    assert value("model_functions_cold_start_seconds_sum", phase="total") == 2.25
    assert value("model_functions_batch_rows_count") == 3
    assert value("model_functions_overloads_total", reason="full") == 2
    assert value("model_functions_models_loaded") == 3
    assert value("process_resident_memory_bytes") > 10**7
    assert value("process_open_fds") > 2
    assert value("process_threads") >= threading.active_count()
    assert value("process_cpu_seconds_total") > 0
    assert value("model_functions_uptime_seconds") > 0


@pytest.mark.parametrize("open_metrics", [False, True])
def test_a_function_that_was_asked_nothing_has_metrics_too(open_metrics: bool) -> None:
    assert samples(Metrics(), open_metrics=open_metrics)


def test_what_runs_here_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("K_REVISION", "tabular-00007")
    [labels] = [labels for name, labels in samples(Metrics()) if name == "model_functions_build_info"]
    assert ("revision", "tabular-00007") in labels


def test_the_process_is_this_one() -> None:
    found = {name: value for (name, _), value in samples(Metrics()).items()}
    before = found["process_open_fds"]
    with open(os.devnull), open(os.devnull):
        found = {name: value for (name, _), value in samples(Metrics()).items()}
    assert found["process_open_fds"] == before + 2


def test_models_beyond_the_limit_are_counted_together() -> None:
    metrics = Metrics()
    for number in range(3 * MODELS):
        metrics.requests("/predict", f"model{number}", 200, [0.01])
        metrics.load(f"model{number}")
    found = samples(metrics)
    for name in ("model_functions_requests_total", "model_functions_cold_loads_total"):
        counts = {dict(labels)["model"]: value for (one, labels), value in found.items() if one == name}
        assert len(counts) <= MODELS + 2
        assert sum(counts.values()) == 3 * MODELS
        assert counts["other"] >= 2 * MODELS - 2


def test_a_histogram_counts_what_is_at_a_bound_below_it() -> None:
    histogram = Histogram(SECONDS)
    histogram.add(0.005)
    histogram.add(0.0051)
    assert histogram.counts[:2] == [1, 1]
    assert histogram.count == 2
