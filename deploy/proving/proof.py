"""A revision in a fresh process: read, verified, loaded and asked as a function would do it.

``examine`` starts the process; ``python -m deploy.proving.proof`` is what it runs, with the question on its standard
input and the answer in the file that its argument names.
"""

import json
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from deploy.environments import programs
from deploy.project import ROOT, wrapper_class
from model_functions.artifact.manifest import PREDICTIONS_FILE, Manifest, installed_version, python_minor
from model_functions.artifact.signing import Trust, TrustedKey
from model_functions.errors import ServingError
from model_functions.loading import ModelLoader
from model_functions.phases import Phases
from model_functions.predictions import answers, same_answer
from model_functions.repository import Repository
from model_functions.store import open_store
from model_functions.wrapper import ModelWrapper

#: Seconds; a large model is read, and its framework imported, on a busy machine.
DEADLINE_S = 900


@dataclass(frozen=True)
class Question:
    """Which revision, and what else to ask of it.

    Args:
        store: as ``open_store`` takes it.
        keys: the trusted ones, as trust.json lists them, the local ones marked.
        examples: to be predicted beside those of the manifest.
    """

    store: str
    keys: list[dict[str, Any]]
    family: str
    name: str
    revision: str
    examples: list[Any] = field(default_factory=list)


@dataclass(frozen=True)
class Asked:
    """An example, and what the revision answers.

    Args:
        expected: what was recorded when it was published: {} where nothing was.
        answer: ``{"prediction": …}``, ``{"random": true}``, or ``{"error": message}``.
        same: None where nothing can be compared.
    """

    example: Any
    expected: dict[str, Any]
    answer: dict[str, Any]
    same: bool | None


@dataclass
class Report:
    """What a fresh process found.

    Args:
        files: by name: its size, and what is wrong with it, if anything.
        packages: by name: (published with, here).
        phases: milliseconds of the load, as ``Server-Timing`` counts them.
        memory: bytes: the process at its peak, and what the manifest says that an instance needs.
        others: the answers to the question's own examples.
        failures: whatever keeps a function from serving the revision as it was published.
    """

    family: str
    name: str
    revision: str
    signed_by: str = ""
    python: tuple[str, str] = ("", "")
    packages: dict[str, tuple[str, str | None]] = field(default_factory=dict)
    files: dict[str, dict[str, Any]] = field(default_factory=dict)
    phases: dict[str, float] = field(default_factory=dict)
    memory: dict[str, int] = field(default_factory=dict)
    examples: list[Asked] = field(default_factory=list)
    others: list[dict[str, Any]] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    @property
    def proven(self) -> bool:
        return not self.failures


def examine(repository: Repository, family: str, name: str, revision: str, examples: list[Any] | None = None) -> Report:
    """What a process of its own finds of the revision. Raises ValueError when it dies of it."""
    keys = [key.entry() for key in repository.trust.keys.values()]
    return _in_a_fresh_process(Question(repository.store.location, keys, family, name, revision, examples or []))


def _in_a_fresh_process(question: Question) -> Report:
    with tempfile.TemporaryDirectory() as folder:
        answer = Path(folder) / "report.json"
        try:
            done = subprocess.run(
                [str(programs(question.family) / "python"), "-m", "deploy.proving.proof", str(answer)],
                cwd=ROOT,
                input=json.dumps(asdict(question)),
                stdout=subprocess.DEVNULL,  # a model may print what it likes
                stderr=subprocess.PIPE,
                text=True,
                timeout=DEADLINE_S,
            )
        except subprocess.TimeoutExpired as exc:
            raise ValueError(f"{question.name} is not loaded and asked within {DEADLINE_S} s. Try it again.") from exc
        if not answer.exists():
            reason = (done.stderr.strip().splitlines() or [f"it ended with status {done.returncode}"])[-1]
            raise ValueError(f"A fresh process that loads {question.name} dies of it: {reason}")
        values = json.loads(answer.read_text())
    return Report(**values | {"examples": [Asked(**asked) for asked in values["examples"]]})


def examine_here(question: Question) -> Report:
    """The same in this process."""
    keys = [_key(entry) for entry in question.keys]
    repository = Repository(open_store(question.store), Trust(keys))
    report = Report(question.family, question.name, question.revision)
    try:
        manifest = repository.manifest(question.family, question.name, question.revision)
        report.signed_by = _signer(repository, manifest, keys)
        _check_environment(manifest, report)
        expected = _check_files(repository, manifest, report)
        wrapper = _load(repository, manifest, report) if report.proven else None
        if wrapper is not None:
            _ask(wrapper, manifest, expected, question.examples, report)
    except ServingError as exc:
        report.failures.append(exc.message)
    return report


def _key(entry: dict[str, Any]) -> TrustedKey:
    import base64

    return TrustedKey(**entry | {"public_key": base64.b64decode(entry["public_key"])})


def _signer(repository: Repository, manifest: Manifest, keys: list[TrustedKey]) -> str:
    signer = repository.signer(manifest)
    note = next((key.note or ("this laptop" if key.local else "") for key in keys if key.id == signer), "")
    return f"{signer} ({note})" if note else signer


def _check_environment(manifest: Manifest, report: Report) -> None:
    report.python = (manifest.python, python_minor())
    report.packages = {name: (version, installed_version(name)) for name, version in manifest.here.packages.items()}
    try:
        manifest.check_environment()
    except ServingError as exc:
        report.failures.append(exc.message)


def _check_files(repository: Repository, manifest: Manifest, report: Report) -> list[dict[str, Any]]:
    """What the examples' answers were, once every byte of the revision is proven."""
    expected: list[dict[str, Any]] = []
    for file, entry in manifest.files.items():
        problem = ""
        try:
            region = repository.download(manifest, file).wait()
            if file == PREDICTIONS_FILE:
                expected = json.loads(bytes(region.memory))
        except ServingError as exc:
            problem = exc.message
            report.failures.append(f"{file}: {problem}")
        report.files[file] = {"size": entry.size, "digest": entry.digest, "problem": problem}
    return expected


def _load(repository: Repository, manifest: Manifest, report: Report) -> ModelWrapper | None:
    phases = Phases()
    started = time.perf_counter()
    try:
        wrapper = ModelLoader(repository, wrapper_class(manifest.family), "").load(manifest, phases)
    except ServingError as exc:
        cause = f" ({type(exc.__cause__).__name__}: {exc.__cause__})" if exc.__cause__ is not None else ""
        report.failures.append(f"{exc.message}{cause}")
        return None
    wall = {"total": round((time.perf_counter() - started) * 1000, 1)}
    report.phases = {name: ms for name, ms in phases.ledger().items() if name in ("import", "download", "load")} | wall
    return wrapper


def _ask(
    wrapper: ModelWrapper, manifest: Manifest, expected: list[dict[str, Any]], others: list[Any], report: Report
) -> None:
    for index, (example, answer) in enumerate(zip(manifest.examples, answers(wrapper, manifest.examples), strict=True)):
        wanted = expected[index] if index < len(expected) else {}
        same = same_answer(wanted, answer, manifest.here.engine.tolerance)
        if "error" in answer:
            report.failures.append(f"Example {index + 1} fails: {answer['error']}")
        elif same is False:
            report.failures.append(f"Example {index + 1} is answered otherwise than when the model was published.")
        report.examples.append(Asked(example, wanted, answer, same))
    report.others = answers(wrapper, others)
    need = manifest.here.memory
    report.memory = {"peak": _peak(), "planned": need.runtime + need.load}


def _peak() -> int:
    """Bytes of this process at its peak; the system's own count would take in whoever started it."""
    try:
        with open("/proc/self/status", encoding="ascii", errors="replace") as file:
            return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM:"))
    except (OSError, StopIteration):
        return 0


def main() -> None:
    question = Question(**json.load(sys.stdin))
    report = examine_here(question)
    answer = Path(sys.argv[1])
    unfinished = answer.with_suffix(".part")
    unfinished.write_text(json.dumps(asdict(report), ensure_ascii=False))
    unfinished.rename(answer)


if __name__ == "__main__":
    main()
