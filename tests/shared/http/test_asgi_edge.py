"""What the ASGI edge does with a request, over plain scopes and messages."""

import asyncio
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from model_functions.access import Identity
from model_functions.errors import Unauthenticated
from model_functions.http.asgi_edge import PIECE, QUICK_BODY, AsgiEdge
from model_functions.http.body import read_body
from model_functions.http.front_door import FrontDoor
from model_functions.http.message import Handler, Request, Response, Steps
from model_functions.http.routes import Routes
from model_functions.metrics import Metrics
from tests.shared.lines import written

LIMIT = 4 * QUICK_BODY
DEADLINE_S = 20


class Wire:
    """A connection: what its caller sends, and what it gets.

    Args:
        blocks: of the body.
        end: what follows them: the ``end`` of the body, ``silence``, or the caller ``hangs up``.
    """

    def __init__(self, *blocks: bytes, end: str = "end") -> None:
        more = end != "end"
        sent = [{"type": "http.request", "body": block, "more_body": True} for block in blocks or (b"",)]
        sent[-1]["more_body"] = more
        self.incoming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        for message in sent:
            self.incoming.put_nowait(message)
        if end == "hangs up":
            self.hang_up()
        self.answer: list[dict[str, Any]] = []

    def hang_up(self) -> None:
        self.incoming.put_nowait({"type": "http.disconnect"})

    async def send(self, message: Any) -> None:
        self.answer.append(message)

    @property
    def status(self) -> int:
        status: int = self.answer[0]["status"]
        return status

    @property
    def headers(self) -> dict[bytes, bytes]:
        return dict(self.answer[0]["headers"])

    @property
    def body(self) -> bytes:
        return b"".join(message["body"] for message in self.answer[1:])


def served(handler: Handler, wire: Callable[[], Wire], **scope: Any) -> Wire:
    async def serve() -> Wire:
        edge, made = edge_of(handler), wire()
        await asyncio.wait_for(edge.serve(asked(**scope), made.incoming.get, made.send), DEADLINE_S)
        return made

    return asyncio.run(serve())


def edge_of(handler: Handler) -> AsgiEdge:
    door = FrontDoor(Routes({"/predict": {"POST": handler, "GET": handler}}), Metrics())
    return AsgiEdge(door.steps, threads=2, max_body_bytes=LIMIT, body_timeout_s=0.2)


def asked(query: bytes = b"", headers: tuple[tuple[bytes, bytes], ...] = (), **more: Any) -> dict[str, Any]:
    return {
        "type": "http",
        "method": "POST",
        "path": "/predict",
        "raw_path": b"/predict",
        "query_string": query,
        "headers": headers,
    } | more


def told(request: Request) -> Response:
    """What a handler sees, and where it runs."""
    size = len(read_body(request, LIMIT))
    thread = threading.current_thread() is not threading.main_thread()
    headers = dict(request.headers)
    return Response.json({"size": size, "thread": thread, "query": request.query, "headers": headers})


def waits(request: Request) -> Steps:
    yield None
    return told(request)


def test_what_is_quick_is_answered_on_the_event_loop_and_what_waits_in_a_thread() -> None:
    assert b'"size": 5, "thread": false' in served(told, lambda: Wire(b"ab", b"cde")).body
    assert b'"thread": true' in served(waits, lambda: Wire(b"ab")).body
    large = served(told, lambda: Wire(b"x" * QUICK_BODY, b"x"))
    assert b'"size": %d, "thread": true' % (QUICK_BODY + 1) in large.body


class Closed:
    """A guard that lets nobody in, and has to look."""

    def is_fresh(self, headers: Mapping[str, str]) -> bool:
        return False

    def admit(self, headers: Mapping[str, str], action: str) -> Identity:
        assert threading.current_thread() is not threading.main_thread()
        raise Unauthenticated("There is no key.")


def test_of_what_a_guard_refuses_no_byte_is_read() -> None:
    door = FrontDoor(Routes({"/predict": {"POST": told}}), Metrics(), guard=Closed())

    async def serve() -> Wire:
        wire = Wire(b"x" * QUICK_BODY, end="silence")
        await AsgiEdge(door.steps, threads=1, max_body_bytes=LIMIT, body_timeout_s=0.2).serve(
            asked(), wire.incoming.get, wire.send
        )
        assert wire.incoming.qsize() == 1
        return wire

    refused = asyncio.run(serve())
    assert (refused.status, b"unauthenticated" in refused.body) == (401, True)
    assert b"connection" not in refused.headers, "what the server drops of the body is no reason to hang up"


class Awaited:
    """Settled by a thread of its own, once it has been helped."""

    def __init__(self) -> None:
        self.helped = threading.Event()

    def wait(self) -> None:
        raise AssertionError("an event loop must not")

    def when_settled(self, told: Callable[[], None]) -> None:
        def settle() -> None:
            assert self.helped.wait(DEADLINE_S)
            told()
            told()

        threading.Thread(target=settle, daemon=True).start()

    def help(self) -> None:
        self.helped.set()


def test_the_event_loop_goes_on_with_what_it_waited_for() -> None:
    def steps(request: Request) -> Steps:
        yield Awaited()
        yield Awaited()
        return told(request)

    assert b'"size": 3, "thread": false' in served(steps, lambda: Wire(b"abc")).body


def test_what_has_arrived_in_one_round_is_awaited_before_any_of_it_is_done() -> None:
    happened = list[str]()

    class Told(Awaited):
        def help(self) -> None:
            happened.append("help")
            super().help()

    def steps(request: Request) -> Steps:
        happened.append("asked")
        yield Told()
        return Response()

    async def serve() -> None:
        edge, wires = edge_of(steps), [Wire() for _ in range(3)]
        await asyncio.gather(*[edge.serve(asked(), wire.incoming.get, wire.send) for wire in wires])

    asyncio.run(serve())
    assert happened == ["asked"] * 3 + ["help"] * 3


def test_an_oversized_body_is_counted_and_dropped() -> None:
    wire = served(told, lambda: Wire(*[b"x" * QUICK_BODY] * 5))
    assert wire.status == 413
    assert b"The body has %d bytes; the limit is %d." % (5 * QUICK_BODY, LIMIT) in wire.body
    assert b"connection" not in wire.headers


@pytest.mark.parametrize("size", [0, PIECE, PIECE + 1, 3 * PIECE])
def test_a_large_answer_leaves_in_pieces(size: int) -> None:
    body = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    wire = served(lambda request: Response(200, body), Wire)
    assert wire.body == body
    assert wire.headers[b"content-length"] == b"%d" % size
    assert len(wire.answer) - 1 == max(1, -(-size // PIECE))
    assert [message.get("more_body", False) for message in wire.answer[1:]] == [True] * (len(wire.answer) - 2) + [False]


def test_a_body_that_stops_is_408_and_the_connection_ends() -> None:
    started = time.monotonic()
    wire = served(told, lambda: Wire(b"abc", end="silence"))
    assert (wire.status, wire.headers[b"x-error-code"], wire.headers[b"connection"]) == (408, b"body_timeout", b"close")
    assert b"The body stopped after 3 bytes, for 0.2 s." in wire.body
    assert time.monotonic() - started < 5


def test_a_body_that_breaks_off_is_no_request() -> None:
    assert served(told, lambda: Wire(b"abc", end="hangs up")).status == 400


def test_headers_that_come_twice_are_joined_and_the_query_keeps_its_order() -> None:
    headers = ((b"accept", b"a"), (b"accept", b"\xfc"))
    wire = served(told, Wire, query=b"b=1&a=%C3%BC&b=", headers=headers)
    assert '"query": [["b", "1"], ["a", "ü"], ["b", ""]], "headers": {"accept": "a,ü"}' in wire.body.decode()


def test_the_platforms_execution_is_a_label_of_the_lines_it_belongs_to() -> None:
    with written() as lines:
        served(waits, Wire, headers=((b"function-execution-id", b"abc1"),))
        served(waits, Wire)
    first, second = lines.entries
    assert first["logging.googleapis.com/labels"] == {"execution_id": "abc1"}
    assert "logging.googleapis.com/labels" not in second


def test_who_hangs_up_is_told_to_the_thread_that_works() -> None:
    gone = threading.Event()

    async def serve() -> Wire:
        wire, working = Wire(b"x"), asyncio.Event()
        loop = asyncio.get_running_loop()

        def work(request: Request) -> Steps:
            yield None
            request.caller.when_gone(gone.set)
            loop.call_soon_threadsafe(working.set)
            assert gone.wait(DEADLINE_S)
            request.caller.check()
            raise AssertionError

        served = asyncio.create_task(edge_of(work).serve(asked(), wire.incoming.get, wire.send))
        await asyncio.wait_for(working.wait(), DEADLINE_S)
        wire.hang_up()
        await asyncio.wait_for(served, DEADLINE_S)
        return wire

    assert asyncio.run(serve()).headers[b"x-error-code"] == b"caller_gone"


def test_a_deadline_passes_while_all_threads_are_busy() -> None:
    gate = threading.Event()

    def work(request: Request) -> Steps:
        yield None
        assert gate.wait(DEADLINE_S)
        return Response.json({})

    async def serve() -> tuple[list[Wire], Wire, Wire]:
        edge = edge_of(work)
        busy, late, gone = [Wire(b"x") for _ in range(2)], Wire(b"x"), Wire(b"x")
        working = [asyncio.create_task(edge.serve(asked(), wire.incoming.get, wire.send)) for wire in busy]
        await asyncio.sleep(0.05)
        deadline = asked(headers=((b"x-request-timeout-ms", b"50"),))
        await asyncio.wait_for(edge.serve(deadline, late.incoming.get, late.send), DEADLINE_S)
        leaving = asyncio.create_task(edge.serve(asked(), gone.incoming.get, gone.send))
        await asyncio.sleep(0.05)
        gone.hang_up()
        await asyncio.wait_for(leaving, DEADLINE_S)
        gate.set()
        await asyncio.gather(*working)
        return busy, late, gone

    busy, late, gone = asyncio.run(serve())
    assert (late.status, late.headers[b"x-error-code"]) == (504, b"deadline_exceeded")
    assert gone.headers[b"x-error-code"] == b"caller_gone"
    assert [wire.status for wire in busy] == [200, 200]


def test_the_event_loop_awaits_something_no_longer_than_its_caller() -> None:
    class Never:
        def wait(self) -> None: ...

        def when_settled(self, told: Callable[[], None]) -> None: ...

        def help(self) -> None: ...

    def work(request: Request) -> Steps:
        yield Never()
        request.caller.check()
        raise AssertionError

    late = served(work, lambda: Wire(b"x"), headers=((b"x-request-timeout-ms", b"50"),))
    assert (late.status, late.headers[b"x-error-code"]) == (504, b"deadline_exceeded")

    async def hang_up() -> Wire:
        wire = Wire(b"x")
        waiting = asyncio.create_task(edge_of(work).serve(asked(), wire.incoming.get, wire.send))
        await asyncio.sleep(0.05)
        wire.hang_up()
        await asyncio.wait_for(waiting, DEADLINE_S)
        return wire

    assert asyncio.run(hang_up()).headers[b"x-error-code"] == b"caller_gone"


class Pieces:
    """Numbers without an end."""

    def __init__(self, last: int) -> None:
        self.made = self.closed = 0
        self.last = last

    def __iter__(self) -> "Pieces":
        return self

    def __next__(self) -> bytes:
        assert threading.current_thread() is not threading.main_thread()
        if self.made == self.last:
            raise StopIteration
        self.made += 1
        return b"%d " % self.made

    def close(self) -> None:
        self.closed += 1


@pytest.mark.parametrize("is_quick", [True, False])
def test_a_stream_leaves_piece_by_piece_and_is_closed_once(is_quick: bool) -> None:
    pieces = Pieces(3)

    def stream(request: Request) -> Steps:
        if not is_quick:
            yield None
        return Response(chunks=pieces)

    wire = served(stream, Wire)
    assert [message["body"] for message in wire.answer[1:]] == [b"1 ", b"2 ", b"3 ", b""]
    assert [message.get("more_body", False) for message in wire.answer[1:]] == [True, True, True, False]
    assert b"content-length" not in wire.headers
    assert pieces.closed == 1


def test_a_stream_ends_within_one_piece_of_its_callers_hanging_up() -> None:
    pieces = Pieces(10**9)

    async def serve() -> int:
        wire = Wire()
        edge = edge_of(lambda request: Response(chunks=pieces))
        served = asyncio.create_task(edge.serve(asked(), wire.incoming.get, wire.send))
        while pieces.made < 5:
            await asyncio.sleep(0)
        wire.hang_up()
        made = pieces.made
        await asyncio.wait_for(served, DEADLINE_S)
        return made

    made = asyncio.run(serve())
    assert pieces.made <= made + 2
    assert pieces.closed == 1


def test_a_caller_who_reads_slowly_is_not_run_ahead_of() -> None:
    pieces = Pieces(10**9)

    async def serve() -> int:
        wire, room = Wire(), asyncio.Event()

        async def send(message: Any) -> None:
            if len(wire.answer) == 4:
                await room.wait()
            await wire.send(message)

        edge = edge_of(lambda request: Response(chunks=pieces))
        served = asyncio.create_task(edge.serve(asked(), wire.incoming.get, send))
        await asyncio.sleep(0.3)
        made = pieces.made
        wire.hang_up()
        room.set()
        await asyncio.wait_for(served, DEADLINE_S)
        return made

    assert asyncio.run(serve()) == 4
    assert pieces.closed == 1


@pytest.mark.parametrize(
    ("prefix", "path", "status", "location"),
    [
        ("/models", "/models/predict", 200, None),
        ("/models", "/predict", 200, None),
        ("/models", "/models/models/predict", 404, None),
        ("/pre", "/predict", 200, None),
        ("/my/models", "/my/models", 308, b"models/"),
    ],
)
def test_a_path_is_what_follows_the_prefix(prefix: str, path: str, status: int, location: bytes | None) -> None:
    found = served(told, Wire, root_path=prefix, path=path)
    assert (found.status, found.headers.get(b"location")) == (status, location)


@pytest.mark.parametrize(
    ("kind", "sent", "answered"),
    [
        ("lifespan", ["startup", "shutdown"], ["startup.complete", "shutdown.complete"]),
        ("websocket", ["connect"], ["close"]),
    ],
)
def test_what_is_no_request_is_answered_too(kind: str, sent: list[str], answered: list[str]) -> None:
    async def serve() -> list[str]:
        wire = Wire()
        wire.incoming = asyncio.Queue()
        for event in sent:
            wire.incoming.put_nowait({"type": f"{kind}.{event}"})
        await asyncio.wait_for(edge_of(told).serve({"type": kind}, wire.incoming.get, wire.send), DEADLINE_S)
        return [message["type"] for message in wire.answer]

    assert asyncio.run(serve()) == [f"{kind}.{event}" for event in answered]


def test_chunks_in_http_1_0_are_no_request() -> None:
    headers = ((b"transfer-encoding", b"chunked"),)
    assert served(told, lambda: Wire(b"abc"), headers=headers, http_version="1.0").status == 400
    assert served(told, lambda: Wire(b"abc"), headers=headers, http_version="1.1").status == 200


def test_what_is_refused_is_answered_before_its_body_is_dropped() -> None:
    async def serve() -> list[Any]:
        wire = Wire(b"abc", end="silence")
        scope = asked(headers=((b"content-length", b"10"),), path="/nowhere", raw_path=b"/nowhere")
        serving = asyncio.create_task(edge_of(told).serve(scope, wire.incoming.get, wire.send))
        while len(wire.answer) < 2:
            await asyncio.sleep(0.01)
        before = list(wire.answer)
        assert not serving.done()
        wire.incoming.put_nowait({"type": "http.request", "body": b"defghij", "more_body": False})
        await asyncio.wait_for(serving, DEADLINE_S)
        return [before, wire.answer]

    before, after = asyncio.run(serve())
    assert before[0]["status"] == 404
    assert len(before[1]["body"]) == int(dict(before[0]["headers"])[b"content-length"])
    assert before[1]["more_body"]
    assert after[2:] == [{"type": "http.response.body", "body": b""}]


def test_who_waits_to_be_told_to_go_on_is_not_told() -> None:
    headers = ((b"content-length", b"10"), (b"expect", b"100-continue"))
    wire = served(told, lambda: Wire(b"", end="silence"), headers=headers, path="/nowhere", raw_path=b"/nowhere")
    assert (wire.status, wire.incoming.qsize()) == (404, 1)
