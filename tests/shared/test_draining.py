import threading

import pytest

from model_functions.caller import Caller
from model_functions.draining import Drain
from model_functions.errors import Draining


def test_nothing_is_refused_before_it_begins() -> None:
    drain = Drain()
    drain.check()
    drain.begin()
    with pytest.raises(Draining) as refused:
        drain.check()
    assert refused.value.message.startswith("This instance is about to end and takes nothing more.")
    assert refused.value.headers == {"Connection": "close", "Retry-After": "1"}


def test_who_still_waits_is_woken_and_told_to_ask_elsewhere() -> None:
    drain, callers, settled = Drain(), [Caller(), Caller()], threading.Event()
    drain.running.update(callers)
    callers[0].when_gone(settled.set)
    drain.send_away()
    assert settled.is_set()
    for caller in callers:
        assert caller.remaining() == 0
        with pytest.raises(Draining, match=r"had to end before the answer was there\. Ask again: another"):
            caller.check()
