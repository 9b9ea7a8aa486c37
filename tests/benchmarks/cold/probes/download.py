"""The bare ranged parallel download into memory with BLAKE3; prints its wall and CPU seconds as JSON.

Reads ``{"host", "port", "bucket", "objects": {name: size}}`` from its input. Knows nothing of the project.
"""

import http.client
import json
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

from blake3 import blake3

PART = 8 * 1024 * 1024
CONNECTIONS = 4


def main() -> None:
    asked = json.load(sys.stdin)
    local = threading.local()
    buffers = {name: memoryview(bytearray(size)) for name, size in asked["objects"].items()}

    def fetch(name: str, start: int, end: int) -> str:
        if not hasattr(local, "connection"):
            local.connection = http.client.HTTPConnection(asked["host"], asked["port"])
        path = f"/download/storage/v1/b/{asked['bucket']}/o/{quote(name, safe='')}?alt=media"
        local.connection.request("GET", path, headers={"Range": f"bytes={start}-{end - 1}"})
        response = local.connection.getresponse()
        part = buffers[name][start:end]
        position = 0
        while position < len(part):
            count = response.readinto(part[position:])
            if not count:
                raise ConnectionError(f"{name} ends at {start + position}")
            position += count
        response.read()
        return blake3(part).hexdigest()

    parts = [
        (name, start, min(start + PART, len(buffer)))
        for name, buffer in buffers.items()
        for start in range(0, len(buffer), PART)
    ]
    name, *_ = parts[0]
    trips = []
    for _ in range(5):
        began = time.perf_counter()
        fetch(name, 0, 1)
        trips.append(time.perf_counter() - began)
    wall, cpu = time.perf_counter(), time.process_time()
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        list(pool.map(lambda part: fetch(*part), parts))
    measured = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu, "round_trip": sorted(trips)[2]}
    print(json.dumps(measured))


if __name__ == "__main__":
    main()
