"""KServe's asynchronous client, a call at a time."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from kserve import InferenceRESTClient, RESTConfig


def asked(protocol: str, ask: Callable[[InferenceRESTClient], Awaitable[Any]]) -> Any:
    """What the coroutine finds with a client of its own."""

    async def run() -> Any:
        async with InferenceRESTClient(RESTConfig(protocol=protocol, timeout=60)) as client:
            return await ask(client)

    return asyncio.run(run())
