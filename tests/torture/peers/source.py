"""The slow place that the peers' model comes from, which counts how often it is fetched."""

import importlib
import pickle
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

#: Seconds that the model takes on its way, whoever serves it.
SLOW_S = 2.0


class Source(ThreadingHTTPServer):
    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.fetched = 0
        self.slow_s = 0.0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/model.pkl"


class _Handler(BaseHTTPRequestHandler):
    server: Source

    def do_GET(self) -> None:
        self.server.fetched += 1
        time.sleep(self.server.slow_s)
        self.send_response(200)
        self.send_header("Content-Length", str(len(_PICKLE)))
        self.end_headers()
        self.wfile.write(_PICKLE)

    def log_message(self, *_: Any) -> None: ...


def _pickled() -> bytes:
    # The peers know the class as that of a module called "model".
    sys.path.insert(0, str(Path(__file__).parent))
    try:
        return pickle.dumps(importlib.import_module("model").Waiting())
    finally:
        del sys.path[0]


_PICKLE = _pickled()


@contextmanager
def source() -> Iterator[Source]:
    with Source() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server
        finally:
            server.shutdown()
