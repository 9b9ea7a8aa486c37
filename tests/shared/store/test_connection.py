import gc
import warnings

import pytest

from model_functions.store.connection import Connections
from tests.fakes.bucket import FakeBucket


@pytest.fixture(scope="module", autouse=True)
def few_objects() -> None:
    """Not here: the order in which the collector finds objects is what this is about."""


def test_connections_are_closed_even_where_the_collector_comes_to_their_sockets_first(fake_bucket: FakeBucket) -> None:
    """As when a load, after which all that there is was frozen, has gone on reading."""
    connections = Connections(fake_bucket.url, 3, 3)
    connections.__dict__["itself"] = connections
    gc.collect()
    gc.freeze()
    with connections.get("/storage/v1/b/models", {}) as response:
        response.read()
    gc.collect()
    del connections, response
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        gc.unfreeze()
        gc.collect()
    assert [str(warning.message) for warning in warned] == []
