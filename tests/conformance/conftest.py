"""What a client's calls stand on, in an environment that has this client and nothing of ours."""

import os

import pytest

from tests.conformance.place import Place


@pytest.fixture(scope="session")
def site() -> str:
    """The address of the emulator that ``python -m tests.conformance`` started."""
    return os.environ["CONFORMANCE_SITE"]


@pytest.fixture(params=["function", "gateway"], scope="session")
def place(request: pytest.FixtureRequest, site: str) -> Place:
    return Place(site, by_gateway=request.param == "gateway")
