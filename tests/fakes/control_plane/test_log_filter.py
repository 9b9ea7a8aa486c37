"""The queries of Cloud Logging that our verbs ask."""

import pytest

from tests.fakes.control_plane.log_filter import parse
from tests.fakes.control_plane.routing import ApiError

ENTRY = {
    "timestamp": "2026-11-22T01:07:02.820027Z",
    "severity": "WARNING",
    "resource": {"type": "cloud_run_revision", "labels": {"revision_name": "tabular-00002-abc"}},
    "httpRequest": {"status": 503, "latency": "1.250000s", "requestUrl": "https://x/predict"},
    "labels": {"run.googleapis.com/kind": "x"},
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("", True, id="nothing"),
        pytest.param('resource.type="cloud_run_revision"', True, id="equal"),
        pytest.param("resource.type=cloud_function", False, id="not equal"),
        pytest.param('resource.type="cloud_run_revision" httpRequest.status>=500', True, id="and without a word"),
        pytest.param("httpRequest.status>=500\nAND httpRequest.status<503", False, id="and across lines"),
        pytest.param("httpRequest.status=404 OR httpRequest.status=503", True, id="or"),
        pytest.param("NOT httpRequest.status=503", False, id="not"),
        pytest.param("-severity=INFO", True, id="minus"),
        pytest.param("severity>=ERROR", False, id="severities have an order"),
        pytest.param("severity>=info", True, id="in any case"),
        pytest.param('timestamp>="2026-11-22T01:07:02Z"', True, id="a moment with and without parts of a second"),
        pytest.param('timestamp<"2026-11-22T02:07:02+01:00"', False, id="another zone"),
        pytest.param("timestamp>2026-11-22T01:07:01Z", True, id="a moment without quotes"),
        pytest.param('httpRequest.latency>"1s"', True, id="durations"),
        pytest.param('httpRequest.requestUrl:"/predict"', True, id="contains"),
        pytest.param('httpRequest.requestUrl=~"/(warmup|health)$"', False, id="expression"),
        pytest.param("httpRequest:*", True, id="is there"),
        pytest.param("jsonPayload:*", False, id="is not there"),
        pytest.param('labels."run.googleapis.com/kind"=x', True, id="quoted step"),
        pytest.param("(severity=INFO OR severity=WARNING) AND httpRequest.status!=200", True, id="parentheses"),
        pytest.param("a=1 OR severity=WARNING b=1", False, id="or binds closer than and"),
        pytest.param("tabular-00002", True, id="a word anywhere"),
    ],
)
def test_filters(text: str, expected: bool) -> None:
    assert parse(text)(ENTRY) is expected


@pytest.mark.parametrize("text", ["severity=", "(a=1", "a=1)", "AND", "a=(1 OR 2)"])
def test_what_is_no_filter_is_refused(text: str) -> None:
    with pytest.raises(ApiError, match=r"Unparseable filter|no lists"):
        parse(text)
