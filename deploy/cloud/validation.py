"""What is wrong with a function's flags, found before Google is asked; each line says how to put it right."""

import ast
import re
from collections.abc import Callable, Iterable, Iterator

from deploy.cloud.configuration import Configuration, function_account_name
from deploy.cloud.flags import Flags
from deploy.locked import FUNCTIONS_RUN_ON
from model_functions import memory
from model_functions.artifact.manifest import Manifest

#: The least and the most memory, in MiB, of an instance with so many CPUs.
_MEMORY_OF_CPUS = {1: (128, 4096), 2: (128, 8192), 4: (2048, 16384), 6: (4096, 24576), 8: (4096, 32768)}

#: What a release says itself, and what the platform sets.
_OURS = ("--source", "--region", "--project", "--no-traffic", "--tag", "--revision-suffix", "--labels")
_RESERVED = re.compile(r"PORT|K_SERVICE|K_REVISION|K_CONFIGURATION|FUNCTION_(TARGET|SOURCE|SIGNATURE_TYPE)|X_GOOGLE_.*")

_MIB = 2**20


def problems(flags: Flags, configuration: Configuration, models: Iterable[Manifest] = ()) -> list[str]:
    """Args: models: those that are published for the family, each of which has to fit into its memory."""
    checks: tuple[Callable[[Flags, Configuration], Iterator[str]], ...] = (
        _names,
        _source,
        _ours,
        _resources,
        _concurrency,
        _times_and_numbers,
        _access,
        _gpu,
    )
    found = [problem for check in checks for problem in check(flags, configuration)]
    return [f"{flags.file}: {problem}" for problem in (*found, *_models(flags, models))]


def _names(flags: Flags, configuration: Configuration) -> Iterator[str]:
    account = function_account_name(flags.family)
    if not re.fullmatch(r"[a-z][a-z0-9-]{0,46}[a-z0-9]", flags.name):
        yield (
            f'the function would be called "{flags.name}": at most 48 of a-z, 0-9 and -, the last no -. Rename the '
            "folder."
        )
    elif len(account) > 30:
        yield f'its account would be called "{account}", and 30 letters are the most. Rename the folder.'


def _source(flags: Flags, configuration: Configuration) -> Iterator[str]:
    runtime = f"python{FUNCTIONS_RUN_ON['python_version'].replace('.', '')}"
    if flags.own.get("--runtime") != runtime:
        yield (
            f"--runtime is {flags.own.get('--runtime')}, and the packages are locked, and models published, for "
            f"{runtime}. Write --runtime: {runtime}."
        )
    target = flags.own.get("--entry-point")
    main = flags.file.with_name("main.py")
    if main.exists() and target not in _defined(ast.parse(main.read_text())):
        yield f"--entry-point is {target}, which {main} does not define. Write --entry-point: predict."


def _defined(tree: ast.Module) -> set[str]:
    names = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    targets = (target for node in tree.body if isinstance(node, ast.Assign) for target in node.targets)
    return names | {target.id for target in targets if isinstance(target, ast.Name)}


def _ours(flags: Flags, configuration: Configuration) -> Iterator[str]:
    for flag in _OURS:
        if flag in flags.own or flag in flags.run:
            yield f"{flag} is what release says itself, after deploy.yaml and the tree. Remove it."
    for name in flags.environment:
        if _RESERVED.fullmatch(name):
            yield f"it sets {name}, which Google Cloud sets itself. Remove it."


def _resources(flags: Flags, configuration: Configuration) -> Iterator[str]:
    size, cpus = flags.memory, flags.number("--cpu")
    if size is None:
        yield f"--memory is {flags.said('--memory')}. Write a size, as --memory: 2Gi."
    if cpus is None:
        yield f"--cpu is {flags.said('--cpu')}. Write 1, 2, 4, 6 or 8, or a part of 1 from 0.08 on."
    if size is None or cpus is None:
        return
    mebibytes = size / _MIB
    if cpus < 1:
        if cpus < 0.08 or mebibytes > 1024 or (mebibytes > 512 and cpus < 0.5):
            yield (
                f"--cpu is {cpus:g} with --memory {flags.said('--memory')}: 0.08 goes up to 512Mi, 0.5 up to 1Gi. "
                "Write --cpu: 1."
            )
    elif cpus not in _MEMORY_OF_CPUS:
        yield f"--cpu is {cpus:g}. Write 1, 2, 4, 6 or 8, or a part of 1 from 0.08 on."
    else:
        least, most = _MEMORY_OF_CPUS[int(cpus)]
        if not least <= mebibytes <= most:
            fitting = [count for count, (low, high) in _MEMORY_OF_CPUS.items() if low <= mebibytes <= high]
            other = f", or --cpu: {fitting[0]}" if fitting else ""
            yield (
                f"--memory is {flags.said('--memory')} with --cpu {cpus:g}, which may have {least}Mi to {most}Mi. "
                f"Write such a size{other}."
            )
    if configuration.backend == "run" and mebibytes < 512:
        yield f"--memory is {flags.said('--memory')}, and Cloud Run's second generation has 512Mi at least. Write that."


def _concurrency(flags: Flags, configuration: Configuration) -> Iterator[str]:
    concurrency, cpus = flags.number("--concurrency"), flags.number("--cpu")
    threads = flags.environment.get("THREADS")
    if concurrency is None or not 1 <= concurrency <= 1000 or concurrency != int(concurrency):
        yield f"--concurrency is {flags.said('--concurrency')}. Write 1 to 1000: requests of an instance at a time."
        return
    if concurrency > 1 and cpus is not None and cpus < 1:
        yield (
            f"--concurrency is {concurrency:g} with --cpu {cpus:g}: less than a CPU takes one request at a time. Write "
            "--cpu: 1."
        )
    if threads is None or not threads.isdecimal() or int(threads) != 2 * concurrency:
        yield (
            f"THREADS is {threads}, and --concurrency {concurrency:g}: it has to be twice that, so that what is too "
            f'much is refused at once. Write THREADS: "{2 * concurrency:g}".'
        )


def _times_and_numbers(flags: Flags, configuration: Configuration) -> Iterator[str]:
    timeout = flags.number("--timeout")
    if timeout is None or not 1 <= timeout <= 3600:
        yield f"--timeout is {flags.said('--timeout')}. Write 1s to 3600s."
    most, least = flags.said("--max-instances"), flags.said("--min-instances")
    for flag, value, low in (("--max-instances", most, 1), ("--min-instances", least, 0)):
        if value is not None and not (str(value).isdecimal() and low <= int(value) <= 1000):
            yield f"{flag} is {value}. Write {low} to 1000."
            return
    if most is not None and least is not None and int(least) > int(most):
        yield f"--min-instances is {least}, and --max-instances {most}. Write a smaller --min-instances."


def _access(flags: Flags, configuration: Configuration) -> Iterator[str]:
    access = set(flags.environment.get("ACCESS", "").replace(",", " ").split())
    if not access or access - {"keys", "iam"}:
        yield f'ACCESS is {flags.environment.get("ACCESS")}, so nobody could ask. Write ACCESS: "iam" or "keys".'
    elif "keys" not in access and flags.is_public:
        yield (
            "--allow-unauthenticated lets everybody in, and ACCESS: iam relies on Google to keep them out. Write "
            '--no-allow-unauthenticated: true, or ACCESS: "keys".'
        )


def _gpu(flags: Flags, configuration: Configuration) -> Iterator[str]:
    for flag in ("--gpu", "--gpu-type"):
        if flag in flags.own:
            yield f"{flag} is a flag of gcloud run alone. Write it into run.yaml beside."
    if not flags.run.get("--gpu"):
        return
    if str(flags.run["--gpu"]) != "1":
        yield f"--gpu is {flags.run['--gpu']}, and an instance has one at most. Write --gpu: 1 into run.yaml."
    if not flags.run.get("--gpu-type"):
        yield "a GPU needs a type. Write --gpu-type: nvidia-l4 into run.yaml."
    if flags.run.get("--cpu-throttling") or flags.run.get("--no-cpu-throttling") is False:
        yield "a GPU is given only to instances whose CPU is always theirs. Remove --cpu-throttling from run.yaml."
    if configuration.backend != "run":
        yield "run.yaml asks for a GPU, which only the backend run gives. Write backend: run into deploy.yaml."
    if (flags.number("--cpu") or 0) < 4 or (flags.memory or 0) < 16 * 2**30:
        yield (
            f"a GPU needs --cpu 4 and --memory 16Gi at least, not {flags.said('--cpu')} and {flags.said('--memory')}. "
            "Write them into run.yaml."
        )


def _models(flags: Flags, models: Iterable[Manifest]) -> Iterator[str]:
    size = flags.memory
    for manifest in models:
        needed = max(_needed(manifest))
        if size is not None and needed > size - memory.reserve(size):
            enough = memory.deployable(needed)
            way_out = f"Write --memory: {enough}." if enough else "No function has so much: publish a smaller model."
            yield (
                f"--memory is {flags.said('--memory')}, and {manifest.name} (revision {manifest.revision}) needs "
                f"{memory.spelled(needed)} beside the reserve of {memory.spelled(memory.reserve(size))}. {way_out}"
            )


def _needed(manifest: Manifest) -> Iterator[int]:
    """Bytes of each lane: which of them an instance takes, its processor says."""
    for need in (manifest.memory, *(lane.memory for lane in manifest.faster)):
        yield need.runtime + max(need.load, need.model)
