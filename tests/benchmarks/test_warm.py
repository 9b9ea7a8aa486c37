import itertools
import json
import os
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any
from xml.etree import ElementTree

import pytest

from tests.benchmarks.figures import percentile
from tests.benchmarks.targets import Target
from tests.benchmarks.warm import protocols, texts
from tests.benchmarks.warm.arrivals import poisson
from tests.benchmarks.warm.client import Client, Exchange, parsed
from tests.benchmarks.warm.contenders import CLASSIFIER_MODEL, NOTHING, TABLE
from tests.benchmarks.warm.goals import Figures, goals
from tests.benchmarks.warm.growth import Growth, slope
from tests.benchmarks.warm.items import Item
from tests.benchmarks.warm.judging import judged
from tests.benchmarks.warm.measuring import RAMP_S, Window, order
from tests.benchmarks.warm.plot import Panel, svg
from tests.benchmarks.warm.processes import tree_cpu_seconds
from tests.benchmarks.warm.report import Row
from tests.benchmarks.warm.settings import ALONE, CANDIDATES, best

Reply = tuple[int, dict[str, str], bytes]
HANG_UP = -1
POSTS = [protocols.ECHO.request(Item(number)) for number in range(100)]


@contextmanager
def server(reply: Callable[[bytes], Reply]) -> Iterator[int]:
    """A real server that answers a body with what ``reply`` says; its port."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # one packet an answer
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            status, headers, body = reply(self.rfile.read(int(self.headers["Content-Length"])))
            if status == HANG_UP:
                self.close_connection = True
                return
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Nothing: pytest's output is not the place."""

    running = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=running.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield running.server_address[1]
    finally:
        running.shutdown()
        thread.join()
        running.server_close()


@contextmanager
def client(port: int) -> Iterator[Client]:
    made = Client(port, POSTS, itertools.cycle(range(len(POSTS))))
    try:
        yield made
    finally:
        made.close()


def exchange(ended: float, status: int = 200, body: bytes = b"", item: int = 0, after: float | None = None) -> Exchange:
    return Exchange(item, 0.0, ended, status, body, after)


def row(name: str, rate: float = 0, *, model: str = CLASSIFIER_MODEL, kind: str = texts.MIXED, **more: Any) -> Row:
    empty: dict[str, Any] = dict.fromkeys(("p50", "p99", "cpu_ms", "client_cpu"))
    counts = dict.fromkeys(("megabytes", "right", "wrong", "failed", "refused", "apart"), 0)
    figures = empty | counts | {"clients": 16, "example": "", "rates": []} | more
    return Row(model=model, name=name, kind=kind, rate=rate, **figures)


@pytest.mark.parametrize(("share", "expected"), [(0.5, 50), (0.99, 99), (1.0, 100), (0.001, 1)])
def test_a_percentile_is_a_value_that_was_measured(share: float, expected: float) -> None:
    assert percentile([float(number) for number in range(100, 0, -1)], share) == expected


def test_a_percentile_of_nothing_is_nothing() -> None:
    assert percentile([], 0.5) is None


def test_arrivals_come_independently_at_the_rate() -> None:
    moments = poisson(200.0, 50.0)
    gaps = [after - before for before, after in itertools.pairwise(moments)]
    assert moments == sorted(moments)
    assert moments[0] > 0
    assert moments[-1] < 50
    assert len(moments) == pytest.approx(10_000, rel=0.05)
    # As much apart as long on average: the mark of independent arrivals.
    assert statistics.stdev(gaps) == pytest.approx(statistics.mean(gaps), rel=0.1)
    assert moments == poisson(200.0, 50.0)


def test_every_stretch_of_the_order_has_long_and_short_texts() -> None:
    items = [Item("x" * length) for length in range(1, 101)]
    whole = statistics.mean(len(item.data) for item in items)
    asked = list(itertools.islice(order(items), 500))
    for start in range(0, 480, 20):
        assert statistics.mean(len(items[place].data) for place in asked[start : start + 20]) == pytest.approx(
            whole, rel=0.1
        )
    assert set(asked) == set(range(100))


def test_answers_are_read_whole_or_not_yet() -> None:
    data = b"HTTP/1.1 503 No\r\nRetry-After: 2\r\nConnection: close\r\ncontent-length: 5\r\n\r\nhello"
    assert parsed(data) == (503, b"hello", 2.0, True)
    assert all(parsed(data[:end]) is None for end in (10, len(data) - 1))
    assert parsed(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n") == (200, b"", None, False)


def test_an_answer_without_a_length_is_refused() -> None:
    with pytest.raises(ValueError, match="does not tell its length"):
        parsed(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")


def test_a_closed_loop_has_as_many_requests_at_once_as_clients() -> None:
    now, most, lock = 0, 0, Lock()

    def reply(body: bytes) -> Reply:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        time.sleep(0.01)
        with lock:
            now -= 1
        return 200, {}, body

    with server(reply) as port, client(port) as load:
        load.closed(3, lambda exchanges: len(exchanges) >= 20)
    assert most == 3
    assert all(one.status == 200 and json.loads(one.body) == {"data": one.item} for one in load.exchanges)
    assert all(0.01 <= one.seconds < 5 for one in load.exchanges)


@pytest.mark.parametrize("is_open", [False, True], ids=["closed", "open"])
def test_a_refused_request_comes_again_when_it_was_told_to(is_open: bool) -> None:
    asked: dict[bytes, list[float]] = {}

    def reply(body: bytes) -> Reply:
        times = asked.setdefault(body, [])
        times.append(time.perf_counter())
        return (503, {"Retry-After": "0.3"}, b"") if len(times) == 1 else (200, {}, body)

    with server(reply) as port, client(port) as load:
        if is_open:
            load.open([0.0, 0.01, 0.02, 0.03])
        else:
            load.closed(4, lambda exchanges: sum(one.status == 200 for one in exchanges) >= 4)
    refused = [one for one in load.exchanges if one.refused]
    admitted = [one for one in load.exchanges if one.status == 200]
    assert sorted(one.item for one in refused)[:4] == [0, 1, 2, 3]
    assert sorted(one.item for one in admitted) == [0, 1, 2, 3]
    again = [times for times in asked.values() if len(times) > 1]
    assert len(again) == 4
    assert all(times[1] - times[0] >= 0.3 for times in again)
    # The wait that the server asked for is not its answer's time.
    assert all(one.seconds < 0.3 for one in admitted)


def test_an_open_loop_counts_from_when_a_request_was_meant_to_be_sent() -> None:
    slow, lock = [0.3], Lock()

    def one_at_a_time(body: bytes) -> Reply:
        with lock:
            time.sleep(slow.pop() if slow else 0)
        return 200, {}, body

    with server(one_at_a_time) as port, client(port) as load:
        load.open([0.0, 0.05, 0.1])
    # The later two waited for the first, and their callers did too.
    waited = sorted(one.seconds for one in load.exchanges)
    assert waited == [pytest.approx(expected, abs=0.05) for expected in (0.2, 0.25, 0.3)]


def test_a_server_that_hangs_up_has_failed_and_is_asked_again() -> None:
    calls = itertools.count()

    def reply(body: bytes) -> Reply:
        return (HANG_UP, {}, b"") if next(calls) == 0 else (200, {}, body)

    with server(reply) as port, client(port) as load:
        load.closed(1, lambda exchanges: len(exchanges) >= 3)
    assert [one.status for one in load.exchanges] == [0, 200, 200]


def test_only_whole_batches_within_the_window_count() -> None:
    window = Window(clients=4, seconds=10.0)
    began = time.perf_counter() + RAMP_S
    # Four at a time, every four seconds; the window opens with the first four.
    exchanges: list[Exchange] = []
    over = False
    for batch, _ in itertools.product(range(10), range(4)):
        exchanges.append(exchange(began + 4.0 * (batch + 1)))
        over = window.is_over(exchanges)
        if over:
            break
    within, seconds = window.within(exchanges)
    assert over
    assert len(within) == 8
    assert seconds == pytest.approx(8.0)


def test_every_answer_is_judged() -> None:
    items = [Item("a", "earth", 0.5), Item("b", "fire", 0.75)]

    def body(label: str, score: float) -> bytes:
        return json.dumps({"output": {"label": label, "score": score}}).encode()

    verdict = judged(
        [
            exchange(0, body=body("earth", 0.5004)),
            exchange(0, body=body("earth", 0.502)),
            exchange(0, body=body("fire", 0.75), item=1),
            exchange(0, body=body("water", 0.75), item=1),
            exchange(0, body=b"{}"),
            exchange(0, 503, after=1.0),
            exchange(0, 503),
            exchange(0, 500, b"broken"),
        ],
        items,
        protocols.LITSERVE,
        1e-3,
    )
    assert (verdict.right, verdict.wrong, verdict.failed, verdict.refused) == (2, 3, 2, 1)
    assert verdict.apart == pytest.approx(4e-4)
    assert "0.502" in verdict.example


@pytest.mark.parametrize(
    ("protocol", "answer", "said"),
    [
        (protocols.OURS, {"revision": "x", "body": [{"label": "a", "score": 0.5}]}, ("a", 0.5)),
        (protocols.OURS, {"body": {"prediction": 1, "probabilities": {"1": 0.5, "2": 0.25}}}, ("1", 0.5)),
        (protocols.OURS, {"body": "text"}, "text"),
        (protocols.ECHO, {"data": "text"}, "text"),
        (protocols.BENTOML, [{"label": "a", "score": 0.5}], ("a", 0.5)),
        (protocols.MLSERVER, {"outputs": [{"data": ['{"label": "a", "score": 0.5}']}]}, ("a", 0.5)),
        (protocols.MLSERVER, {"outputs": [{"data": ["text"]}]}, "text"),
    ],
)
def test_each_servers_answer_is_understood(protocol: protocols.Protocol, answer: Any, said: Any) -> None:
    assert protocols.prediction(protocol.says(answer)) == said


def test_the_processor_time_is_that_of_the_tree() -> None:
    before = tree_cpu_seconds(os.getpid())
    until = time.process_time() + 0.1
    while time.process_time() < until:
        pass
    assert tree_cpu_seconds(os.getpid()) - before == pytest.approx(0.1, abs=0.05)


def test_the_targets_are_those_of_the_figures() -> None:
    alone: dict[str, Any] = {"kind": texts.FIXED, "clients": 1}
    rows = [
        row("ours fp32", p50=50.0, **alone),
        row("ours auto", p50=26.0, **alone),
        row("MLServer", p50=100.0, **alone),
        row("LitServe", p50=110.0, **alone),
        row("MLServer bf16", p50=40.0, **alone),
        row("ours auto", 30.0),
        row("MLServer", 8.0),
        row("ours auto", 25.0, clients=1, p99=50.0),
        row("ours auto", 24.0, clients=64, p99=300.0),
        row("ours", 1500.0, model=NOTHING, kind="nothing"),
        row("echo, Flask", 2000.0, model=NOTHING, kind="nothing"),
        row("MLServer", 1000.0, model=NOTHING, kind="nothing"),
    ]
    more: list[dict[str, Any]] = [
        {"targets": [{"name": "decode", "value": 3.0, "bound": 2.5, "at_least": True}]},
        {"rows": []},
    ]
    held = goals(Figures(rows), "Flask", {"wine": Growth(20_000, 0, [], 2048.0)}, more)
    found: dict[str, Any] = {target.name: (target.value, target.verdict) for target in held}
    assert found["ours fp32: p50 ÷ best peer, 1 client, 92 tokens"] == (0.5, "met")
    assert found["ours auto: p50 ÷ best peer, 1 client, 92 tokens"] == (0.26, "met")
    assert found["ours auto: requests/s ÷ best peer, 16 clients, mixed"] == (3.75, "missed")
    assert found["ours fp32: requests/s ÷ best peer, 16 clients, mixed"] == (None, "not measured")
    assert found["ours auto: p99 of admitted, 64 clients ÷ 1, mixed"] == (6.0, "missed")
    assert found["ours auto: goodput at 64 clients ÷ peak"] == (pytest.approx(0.8), "missed")
    assert found["nothing: requests/s ÷ bare echo on Flask"] == (0.75, "missed")
    assert found["nothing: requests/s ÷ best peer"] == (1.5, "met")
    assert found["wine: requests/s ÷ best peer"] == (None, "not measured")
    assert found["wine: bytes a request over 20000 requests"] == (2048.0, "missed")
    assert held[-1] == Target("decode", 3.0, 2.5, at_least=True)


def test_growth_is_the_slope_of_all_looks() -> None:
    assert slope([10.0, 12.0, 14.0, 16.0]) == pytest.approx(2.0)
    assert slope([10.0, 11.0, 10.0, 11.0, 10.0]) == pytest.approx(0.0)


def test_texts_are_as_long_as_they_are_said_to_be() -> None:
    fixed, mixed = texts.candidates(texts.FIXED, 10), texts.candidates(texts.MIXED, 300)
    lengths = [len(text.split()) + 2 for text in mixed]
    assert {len(text.split()) + 2 for text in fixed} == {92}
    assert texts.SHORTEST <= min(lengths) < 16
    assert 248 < max(lengths) <= texts.LONGEST
    assert len(set(mixed)) == 300
    assert mixed == texts.candidates(texts.MIXED, 300)


def test_every_contender_has_a_name_of_its_own_and_settings_that_were_tried() -> None:
    assert len({(one.model, one.name) for one in TABLE}) == len(TABLE)
    tried = {peer: [{**ALONE, **given} for given in some] for peer, some in CANDIDATES.items()}
    assert all(best(one.name, one.model) in tried[one.name] for one in TABLE if one.name in CANDIDATES)


def test_the_plot_is_xml_with_a_bar_for_each_contender() -> None:
    plot = svg("a < b", [Panel("p50 & more", "ms", [("ours fp32", 50.0), ("MLServer", 1234.0)])])
    root = ElementTree.fromstring(plot)
    words = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {"a < b", "p50 & more", "ours fp32", "50 ms", "MLServer", "1,234 ms"} <= set(words)
    assert len(list(root.iter("{http://www.w3.org/2000/svg}rect"))) == 3
