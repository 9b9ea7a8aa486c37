"""How many bytes of bodies are held at a time."""

import pytest

from model_functions.errors import Overloaded
from model_functions.http.body import make_room, read_body
from model_functions.http.front_door import FrontDoor
from model_functions.http.message import Request, Response, Steps
from model_functions.http.room import GRAIN, SMALL, Room
from model_functions.http.routes import Routes
from model_functions.metrics import Metrics
from tests.shared.http.requests import request

SIZE = 10 * GRAIN


def body_of(count: int) -> Request:
    return request(b"", {"content-length": str(count)})


def test_bodies_are_taken_while_there_is_room_and_refused_then() -> None:
    room, first, second = Room(lambda: SIZE), body_of(1), body_of(1)
    room.take(first, 6 * GRAIN)
    with pytest.raises(Overloaded) as caught:
        room.take(second, 5 * GRAIN)
    assert caught.value.headers["Retry-After"] == "1"
    assert caught.value.message.startswith(f"The instance holds {6 * GRAIN} bytes of other requests' bodies")
    room.take(second, 4 * GRAIN)
    room.give(first)
    room.take(second, 10 * GRAIN)
    room.give(second)
    assert (first.held, second.held) == (0, 0)


def test_a_body_alone_may_be_larger_than_the_room() -> None:
    room, alone = Room(lambda: SIZE), body_of(1)
    room.take(alone, 2 * SIZE)
    assert alone.held == 2 * SIZE


def test_a_body_that_does_not_say_its_length_grows() -> None:
    room, first, second = Room(lambda: SIZE), body_of(1), body_of(1)
    first.room = second.room = room
    make_room(first, SMALL)
    assert first.held == 0
    make_room(first, SMALL + 1)
    assert first.held == SMALL + 1 + GRAIN
    make_room(second, 7 * GRAIN)
    with pytest.raises(Overloaded):
        make_room(first, 3 * GRAIN)


def test_the_front_door_gives_the_room_back_however_a_request_ends() -> None:
    room = Room(lambda: SIZE)

    def handler(asked: Request) -> Steps:
        held.append(asked.held)
        if asked.query:
            raise ValueError
        read_body(asked, SIZE)
        yield None
        return Response.json({})

    held: list[int] = []
    door = FrontDoor(Routes({"/predict": {"POST": handler}}), Metrics(), room=room)
    body = b"x" * (6 * GRAIN)
    for target in ("/predict", "/predict?fail=1", "/predict"):
        asked = request(body, target=target)
        door.handle(asked)
        assert asked.held == 0
    abandoned = door.steps(request(body))
    next(abandoned)
    next(abandoned)
    abandoned.close()
    assert door.handle(request(body)).status == 200
    assert held == [6 * GRAIN] * 5
    waiting = door.steps(request(body))
    next(waiting)
    refused = door.handle(request(body))
    assert (refused.status, refused.headers["X-Error-Code"]) == (503, "overloaded")
    waiting.close()


def test_small_bodies_are_not_counted() -> None:
    door = FrontDoor(Routes({"/predict": {"POST": lambda asked: Response.json({"held": asked.held})}}), Metrics())
    assert door.handle(request(b"x" * SMALL)).body == b'{"held": 0}\n'


def test_a_body_in_chunks_is_refused_in_the_middle() -> None:
    room = Room(lambda: SIZE)
    other = body_of(1)
    room.take(other, 8 * GRAIN)
    door = FrontDoor(
        Routes({"/predict": {"POST": lambda asked: Response(200, read_body(asked, SIZE))}}), Metrics(), room=room
    )
    asked = request(b"x" * (4 * GRAIN), {"transfer-encoding": "chunked"})
    del asked.headers["content-length"]  # type: ignore[attr-defined]
    assert door.handle(asked).headers["X-Error-Code"] == "overloaded"
