"""Where the functions are that the clients ask: each at its own address, and all of them behind the gateway."""

import json
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Place:
    """One of the two addresses that every model has.

    Args:
        site: the emulator's, as ``http://127.0.0.1:8080``.
        by_gateway: whether the gateway is asked, or each function itself.
    """

    site: str
    by_gateway: bool

    def url(self, family: str) -> str:
        """What stands before a protocol's own paths."""
        return self.site if self.by_gateway else self.function(family)

    def function(self, family: str) -> str:
        return f"{self.site}/{family.replace('_', '-')}"

    def address(self, family: str) -> str:
        """The same for clients that want no scheme."""
        return self.url(family).removeprefix("http://")


def get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=60) as response:
        text: str = response.read().decode()
        return text


def metric(url: str, name: str) -> float:
    """The number that a function's metrics show, labels included in the name; 0 where there is none yet."""
    lines = (line.rpartition(" ") for line in get(f"{url}/metrics").splitlines() if not line.startswith("#"))
    return next((float(value) for found, _, value in lines if found == f"model_functions_{name}"), 0)


def post(url: str, body: Any, **headers: str) -> Any:
    """The JSON answer to a JSON body, whatever its status."""
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"} | headers)
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            return json.load(response)
    except urllib.error.HTTPError as error:
        with error:
            return json.load(error)
