"""What the rounds add up to: medians by contender and load, and how they are shown."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from tests.benchmarks.figures import median, shown, table
from tests.benchmarks.targets import Target
from tests.benchmarks.warm import texts
from tests.benchmarks.warm.contenders import CLASSIFIER_MODEL, NOTHING, WINE, Contender
from tests.benchmarks.warm.measuring import Load, Run
from tests.benchmarks.warm.plot import Panel
from tests.benchmarks.warm.rounds import Measured


@dataclass(frozen=True)
class Row:
    """One contender's medians over the rounds, under one load.

    Args:
        rate: good answers a second.
        p50, p99: milliseconds of admitted requests.
        cpu_ms: of the server, for an answer.
        client_cpu: the load's own share of a core.
        megabytes: the most that was seen in any round.
        right, wrong, failed, refused: over all rounds.
        apart: the largest difference of a score from the right one.
        rates: of each round.
    """

    model: str
    name: str
    kind: str
    clients: int
    rate: float | None
    p50: float | None
    p99: float | None
    cpu_ms: float | None
    client_cpu: float | None
    megabytes: float
    right: int
    wrong: int
    failed: int
    refused: int
    apart: float
    example: str
    rates: list[float]

    @classmethod
    def of(cls, contender: Contender, load: Load, runs: Sequence[Run]) -> "Row":
        verdicts = [run.verdict for run in runs]
        return cls(
            model=contender.model,
            name=contender.name,
            kind=load.kind,
            clients=load.clients,
            rate=median([run.rate for run in runs]),
            p50=median([run.p50 * 1000 for run in runs if run.p50 is not None]),
            p99=median([run.p99 * 1000 for run in runs if run.p99 is not None]),
            cpu_ms=median([run.cpu_s * 1000 for run in runs]),
            client_cpu=median([run.client_cpu for run in runs]),
            megabytes=max((run.megabytes for run in runs), default=0.0),
            right=sum(one.right for one in verdicts),
            wrong=sum(one.wrong for one in verdicts),
            failed=sum(one.failed for one in verdicts),
            refused=sum(one.refused for one in verdicts),
            apart=max((one.apart for one in verdicts), default=0.0),
            example=next((one.example for one in verdicts if one.example), ""),
            rates=[run.rate for run in runs],
        )


def rows(measured: Mapping[Contender, Measured]) -> list[Row]:
    return [Row.of(contender, load, runs) for contender, one in measured.items() for load, runs in one.runs.items()]


def loads_table(model: str, kind: str, listed: Sequence[Row]) -> str:
    """One line for each contender and load; the open loop has no clients."""
    head = (
        f"{model}: {kind}",
        "clients",
        "good/s",
        "p50",
        "p99",
        "CPU",
        "load's",
        "memory",
        "apart",
        "not 200 or wrong",
    )
    cells = [
        (
            row.name,
            str(row.clients or "open"),
            shown(row.rate, digits=1),
            shown(row.p50, " ms", 1),
            shown(row.p99, " ms", 1),
            shown(row.cpu_ms, " ms"),
            "–" if row.client_cpu is None else f"{row.client_cpu:.0%}",
            f"{row.megabytes:.0f} MB",
            f"{row.apart:.0e}" if row.apart else "0",
            troubles(row),
        )
        for row in sorted(listed, key=lambda row: row.clients or 1_000)
        if (row.model, row.kind) == (model, kind)
    ]
    return table(head, cells) if cells else ""


def troubles(row: Row) -> str:
    counts = {"wrong": row.wrong, "failed": row.failed, "refused": row.refused}
    return ", ".join(f"{count} {what}" for what, count in counts.items() if count)


def tables(listed: Sequence[Row], measured: Mapping[Contender, Measured]) -> str:
    kinds = dict.fromkeys((row.model, row.kind) for row in listed)
    missing = [
        f"{one.model}, {one.name}: not measured: {found.reason.splitlines()[0]}"
        for one, found in measured.items()
        if found.reason
    ]
    wrong = [f"{row.model}, {row.name}: {row.example}" for row in listed if row.wrong or row.failed]
    return "\n\n".join([*(loads_table(model, kind, listed) for model, kind in kinds), "\n".join([*missing, *wrong])])


def panels(listed: Sequence[Row]) -> list[Panel]:
    """What the targets are about, one panel each."""
    wanted = (
        ("BERT-base, 92 tokens, 1 client: p50", "ms", CLASSIFIER_MODEL, texts.FIXED, 1, "p50"),
        ("BERT-base, 8–256 tokens, 16 clients", "requests/s", CLASSIFIER_MODEL, texts.MIXED, 16, "rate"),
        ("BERT-base, 8–256 tokens, 64 clients: p99", "ms", CLASSIFIER_MODEL, texts.MIXED, 64, "p99"),
        ("a model that does nothing, 16 clients", "requests/s", NOTHING, "nothing", 16, "rate"),
        ("a wine, 16 clients", "requests/s", WINE, "wine", 16, "rate"),
    )
    found = []
    for title, unit, model, kind, clients, figure in wanted:
        rows = [row for row in listed if (row.model, row.kind, row.clients) == (model, kind, clients)]
        bars = [(row.name, float(getattr(row, figure))) for row in rows if getattr(row, figure) is not None]
        if bars:
            found.append(Panel(title, unit, bars))
    return found


def document(listed: Sequence[Row], held: Sequence[Target], **more: Any) -> dict[str, Any]:
    verdicts = [asdict(target) | {"verdict": target.verdict} for target in held]
    return more | {"rows": [asdict(row) for row in listed], "targets": verdicts}
