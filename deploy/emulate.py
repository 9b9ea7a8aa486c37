"""Run all functions on this machine: the gateway at /, each function at /<function-name>/.

A function starts at its first request, in its own functions-framework process over its staged folder, and
stops when idle. Runs until Ctrl-C.
"""

import argparse
import asyncio
import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from deploy.emulator.function import EmulatedFunction
from deploy.emulator.proxy import Proxy
from deploy.project import function_families, store_location

EXAMPLE = "python -m deploy emulate --port 8080 --idle-timeout 300"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    port = int(os.environ.get("PORT") or 8080)
    parser.add_argument("--port", type=int, default=port, help="default: PORT, else 8080; 0 takes a free one")
    parser.add_argument("--host", default="127.0.0.1", help="default: 127.0.0.1, reached from this machine only")
    parser.add_argument("--idle-timeout", type=float, default=300, metavar="SECONDS", help="default: 300")
    parser.add_argument(
        "--max-instances",
        type=int,
        default=1,
        metavar="N",
        help="of a function, started when those there are have all the requests that --concurrency in its flags.yaml "
        "lets them have (default: 1, which gets all requests)",
    )


def run(args: argparse.Namespace) -> None:
    if args.idle_timeout <= 0:
        raise ValueError(f"--idle-timeout is {args.idle_timeout:g}. Give a positive number of seconds.")
    if args.max_instances < 1:
        raise ValueError(f"--max-instances is {args.max_instances}. Give 1 or more.")
    asyncio.run(emulate(_listen(args.host, args.port), args.idle_timeout, args.max_instances))


async def emulate(listening: socket.socket, idle_timeout_s: float, most: int = 1) -> None:
    """Serves until SIGINT or SIGTERM, then stops every function."""
    host, port = listening.getsockname()[:2]
    url = f"http://{host}:{port}"
    environment = {"MODEL_STORE": store_location(), "FUNCTIONS_URL": url}
    functions = [EmulatedFunction(family, environment, most) for family in function_families()]
    proxy = Proxy({function.name: function for function in functions})
    config = uvicorn.Config(proxy, log_level="warning", lifespan="off", server_header=False, date_header=False)
    # What the functions themselves take for what still runs.
    config.timeout_graceful_shutdown = 8
    reaper = asyncio.create_task(_reap(functions, idle_timeout_s))
    try:
        await _Server(config, url).serve(sockets=[listening])
    finally:
        reaper.cancel()
        await proxy.close()


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, url: str) -> None:
        super().__init__(config)
        self._url = url

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        # uvicorn's own would raise the signal again when it has shut down, before the functions are stopped.
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, self.handle_exit, number, None)
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        print(f"Ready: {self._url} (Ctrl-C stops it)", flush=True)


async def _reap(functions: list[EmulatedFunction], idle_timeout_s: float) -> None:
    while True:
        await asyncio.sleep(min(idle_timeout_s / 4, 5))
        for function in functions:
            await function.stop_idle(idle_timeout_s)


def _listen(host: str, port: int) -> socket.socket:
    # The protocol is named, or asyncio would leave the delay of small packets on: 40 ms an answer.
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError as exc:
        raise ValueError(f"{host}:{port} cannot be used: {exc.strerror}. Set PORT to a free one.") from exc
    return listening
