"""Good and hostile requests for a long time, two families by both edges, while models come and go: nothing grows.

From time to time all callers rest, and what each function has is looked at: its memory, descriptors and threads.
"""

import http.client
import itertools
import json
import os
import random
import socket
import statistics
import threading
import time
from collections import Counter
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from tests.bad_inputs.bodies import BODIES
from tests.bad_inputs.entries import LIMIT
from tests.bad_inputs.names import METHODS, PATHS
from tests.benchmarks.memory import tree, tree_megabytes
from tests.running import EDGES, Process
from tests.torture.part import Bar
from tests.torture.place import Place
from tests.torture.weighty import publish_weighty

#: Seconds.
LENGTHS = {"short": 30.0, "full": 600.0}

FAMILIES = {"tabular": "Weighty", "text_classification": "Wordy"}
MODELS = 4
MODEL_BYTES = 8 * 2**20
#: Of which two models fit beside the reserve and what every process has.
MEMORY = "194Mi"
CALLERS = 2
HOSTILE, WARMING_HOSTILE = 0.3, 0.8
#: Looks at each function; those of the first part, while caches fill, do not count.
LOOKS, WARMING = 12, 4
REST_S = 1.0
#: Of the good requests, those for a model that is not there most of the time.
RARE = 0.05
#: Of a hostile request no more than this: many of them would be a test of the loopback's bandwidth.
MOST_BYTES = 256 * 1024


@dataclass
class Look:
    """What a function has at rest."""

    requests: int
    kilobytes: float
    descriptors: int
    threads: int


@dataclass
class Soaked:
    """A function under this, and what was seen of it."""

    name: str
    models: str
    url: str
    process: Process
    requests: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    looks: list[Look] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def look(self) -> None:
        pid = self.process.process.pid
        pids = list(tree(pid))
        descriptors = sum(len(os.listdir(f"/proc/{one}/fd")) for one in pids)  # noqa: PTH208 - names, not paths
        threads = sum(len(os.listdir(f"/proc/{one}/task")) for one in pids)  # noqa: PTH208
        self.looks.append(Look(self.requests, 1024 * tree_megabytes(pid), descriptors, threads))

    @property
    def slope(self) -> float:
        """KiB for each request, after the warming: the median of all pairs of looks, which no single odd one tilts."""
        pairs = itertools.combinations(self.looks[WARMING:], 2)
        return statistics.median((b.kilobytes - a.kilobytes) / max(b.requests - a.requests, 1) for a, b in pairs)

    @property
    def growth(self) -> float:
        """Of the memory, in parts of it, from the first third of the counted looks to the last.

        Of two the lower one counts: what grows is in both, and at one of them a model may be on its way out.
        """
        counted = [look.kilobytes for look in self.looks[WARMING:]]
        third = max(len(counted) // 3, 1)
        return statistics.median_low(counted[-third:]) / statistics.median_low(counted[:third]) - 1

    def spread(self, what: str) -> int:
        counted = [int(getattr(look, what)) for look in self.looks[WARMING:]]
        return max(abs(one - round(statistics.median(counted))) for one in counted)


class Caller(threading.Thread):
    """Asks one function, over a kept connection, until it is told to end; it rests while it is told to."""

    def __init__(self, soaked: Soaked, seed: int, going: threading.Event, ended: threading.Event) -> None:
        super().__init__(daemon=True)
        self._soaked, self._chance = soaked, random.Random(seed)
        self._going, self._ended = going, ended
        self.resting = threading.Event()
        address = urlsplit(soaked.url)
        self._address = (address.hostname or "", address.port or 0)
        self._connection = http.client.HTTPConnection(*self._address, timeout=30)
        self._bodies = [entry for entry in BODIES if len(entry.body) <= MOST_BYTES]

    def run(self) -> None:
        while not self._ended.is_set():
            if not self._going.is_set():
                self._connection.close()
                self.resting.set()
                self._going.wait(1)
                continue
            self.resting.clear()
            # At first most are: what an allocator keeps for the largest of them, it has from then on.
            warm = len(self._soaked.looks) >= WARMING
            if self._chance.random() < (HOSTILE if warm else WARMING_HOSTILE):
                self._hostile()
            else:
                self._good()
        self._connection.close()

    def _good(self) -> None:
        number = self._chance.randrange(MODELS if self._chance.random() < RARE else MODELS // 2)
        body = json.dumps({"model_name": f"{self._soaked.models}{number}", "data": "a text"}).encode()
        status, answer = self._asked("POST", "/predict", body, {"Content-Type": "application/json"})
        if status == 200 and json.loads(answer)["body"] != f"{number} a text":
            self._soaked.wrong.append(answer[:100].decode())
        elif status not in (200, 503):
            self._soaked.wrong.append(f"{status} {answer[:100]!r}")

    def _hostile(self) -> None:
        kind = self._chance.randrange(6)
        if kind == 0:
            self._hang_up()
            return
        if kind == 1:
            status, answer = self._asked(self._chance.choice(METHODS), "/predict", b"", {})
        elif kind == 2:
            status, answer = self._asked("POST", self._chance.choice(PATHS), b"{}", {})
        else:
            entry = self._chance.choice(self._bodies)
            headers = {"Content-Type": "application/json"} | entry.headers
            if "content-length" in {name.lower() for name in entry.headers}:
                return
            status, answer = self._asked("POST", "/predict", entry.body, headers)
        # A 404 names no model, a 422 wants one: what matters is that nothing is answered with a crash.
        if status >= 500 and status != 503:
            self._soaked.wrong.append(f"{status} {answer[:100]!r}")

    def _hang_up(self) -> None:
        """In the midst of a body, or of the headers."""
        with suppress(OSError), socket.create_connection(self._address, timeout=5) as connection:
            head = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            connection.sendall(head + self._chance.choice([b"", b'Content-Length: 100\r\n\r\n{"data": ']))
        self._count(0)

    def _asked(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
        try:
            self._connection.request(method, path, body, headers)
            response = self._connection.getresponse()
            status, answer = response.status, response.read()
        except (OSError, http.client.HTTPException):
            # A server may end a connection on which something hostile came.
            self._connection.close()
            status, answer = 0, b""
        self._count(status)
        return status, answer

    def _count(self, status: int) -> None:
        with self._soaked.lock:
            self._soaked.requests += 1
            self._soaked.statuses[status] += 1


def run(length: str, place: Place) -> list[Bar]:
    for number in range(MODELS):
        for kind in FAMILIES.values():
            publish_weighty(place, f"{kind.lower()}{number}", number, MODEL_BYTES, kind)
    began = len(place.bucket.calls)
    with ExitStack() as functions:
        soaked = []
        for family, edge in itertools.product(FAMILIES, EDGES):
            settings = {"MEMORY_LIMIT": MEMORY, "MAX_BODY_BYTES": str(LIMIT), "BODY_TIMEOUT_SECONDS": "2"}
            url, process = functions.enter_context(place.function(family, edge, **settings))
            soaked.append(Soaked(f"{family} by {edge}", FAMILIES[family].lower(), url, process))
        _soak(soaked, LENGTHS[length])
        alive = [one.process.process.poll() is None for one in soaked]
    loads = sum(one.object.endswith("/wrapper.dill") for one in place.bucket.calls[began:])
    (place.folder / "soak.json").write_text(
        json.dumps({one.name: [vars(look) for look in one.looks] for one in soaked})
    )
    return _bars(soaked, loads, all(alive))


def _soak(soaked: list[Soaked], seconds: float) -> None:
    going, ended = threading.Event(), threading.Event()
    callers = [Caller(one, seed, going, ended) for seed, one in enumerate(soaked * CALLERS)]
    for caller in callers:
        caller.start()
    for _ in range(LOOKS):
        going.set()
        time.sleep(seconds / LOOKS)
        going.clear()
        for caller in callers:
            caller.resting.wait(35)
            caller.resting.clear()
        # What a caller left half-way is put away meanwhile.
        time.sleep(REST_S)
        for one in soaked:
            one.look()
    ended.set()
    for caller in callers:
        caller.join()


def _bars(soaked: list[Soaked], loads: int, alive: bool) -> list[Bar]:
    count = sum(one.requests for one in soaked)
    wrong = [f"{one.name}: {what}" for one in soaked for what in one.wrong]
    statuses = sum((one.statuses for one in soaked), Counter[int]())
    slopes = {one.name: one.slope for one in soaked}
    growths = {one.name: one.growth for one in soaked}
    descriptors = {one.name: one.spread("descriptors") for one in soaked}
    threads = {one.name: one.spread("threads") for one in soaked}
    told = ", ".join(f"{number:,} × {status or 'no answer'}" for status, number in statuses.most_common())
    return [
        Bar(
            f"{count:,} requests, {round(100 * HOSTILE)} % of them hostile",
            "none wrong, none a crash, all alive",
            "; ".join(wrong[:3]) or told,
            alive and not wrong,
        ),
        Bar(
            "memory, for each request",
            "< 1 KiB, or within 1 % in all",
            _listed(slopes, "{:+.2f} KiB"),
            all(slope < 1 or growths[name] < 0.01 for name, slope in slopes.items()),
        ),
        Bar(
            f"memory, over {loads} loads and evictions",
            "≤ +5 %",
            _listed(growths, "{:+.1%}"),
            max(growths.values()) <= 0.05,
        ),
        Bar("descriptors", "± 2", _listed(descriptors, "{}"), max(descriptors.values()) <= 2),
        Bar("threads", "± 2", _listed(threads, "{}"), max(threads.values()) <= 2),
    ]


def _listed(values: dict[str, float] | dict[str, int], form: str) -> str:
    return ", ".join(f"{form.format(value)} {name}" for name, value in values.items())
