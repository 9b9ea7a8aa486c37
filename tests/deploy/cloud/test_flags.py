"""A function's flags: what its files may say, and how either backend is told."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.__main__ import main
from deploy.cloud import published
from deploy.cloud.configuration import Configuration
from deploy.cloud.flags import Flags, deployment
from deploy.cloud.sdk import spelled
from deploy.cloud.validation import problems
from deploy.project import FUNCTIONS, function_families
from model_functions.artifact.manifest import MemoryNeed
from tests.gcloud.linter import refused
from tests.shared.caches import manifest

Write = Callable[..., Flags]

GPU = {"--gpu": 1, "--gpu-type": "nvidia-l4", "--cpu": 4, "--memory": "16Gi"}

HERE = Configuration.read(flags={"project": "demo-project", "region": "us-central1", "backend": "functions"})


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """tabular's flags with others in place of some; ``run`` is its run.yaml, and None takes a flag away."""

    def written(run: dict[str, Any] | None = None, **changes: Any) -> Flags:
        folder = tmp_path / "tabular"
        shutil.copytree(FUNCTIONS / "tabular", folder)
        found = yaml.safe_load((folder / "flags.yaml").read_text())
        variables = changes.pop("variables", {})
        found |= {f"--{name.replace('_', '-')}": value for name, value in changes.items()}
        found["--update-env-vars"] |= variables
        found = {name: value for name, value in found.items() if value is not None}
        (folder / "flags.yaml").write_text(yaml.safe_dump(found))
        if run is not None:
            (folder / "run.yaml").write_text(yaml.safe_dump(run))
        return Flags.read("tabular", tmp_path)

    return written


def command(flags: Flags, backend: str = "functions", **variables: str) -> list[str]:
    where = replace(HERE, backend=backend)
    return deployment(flags, where, source="build/tabular", environment=variables, label="0123456789abcdef")


def test_functions_are_told_in_the_words_of_their_own_file(write: Write) -> None:
    told = command(write(variables={"LOG_LEVEL": "DEBUG"}), MODEL_STORE="gs://models")
    assert told[:3] == ["functions", "deploy", "tabular"]
    assert {"--gen2", "--runtime=python311", "--memory=1Gi", "--timeout=300s", "--trigger-http"} <= set(told)
    assert "--run-service-account=fn-tabular@demo-project.iam.gserviceaccount.com" in told
    assert "--docker-repository=projects/demo-project/locations/us-central1/repositories/model-functions" in told
    assert "--update-labels=app=model-functions,family=tabular,staged=0123456789abcdef" in told
    variables = next(flag for flag in told if flag.startswith("--set-env-vars="))
    assert variables.startswith("--set-env-vars=MODEL_STORE=gs://models,ACCESS=iam,")
    assert ",LOG_LEVEL=DEBUG," in variables
    # A binding says who gets in, and it stays while functions are deployed.
    assert not any("unauthenticated" in flag for flag in told)


def test_cloud_run_is_told_in_its_own_words(write: Write) -> None:
    told = command(write(run={"--startup-probe": "tcpSocket.port=8080"}, ingress_settings="internal-only"), "run")
    assert told[:3] == ["run", "deploy", "tabular"]
    wanted = {"--base-image=python311", "--function=predict", "--timeout=300", "--cpu-boost", "--ingress=internal"}
    assert wanted <= set(told)
    assert "--execution-environment=gen2" in told
    assert "--image=us-central1-docker.pkg.dev/demo-project/model-functions/tabular" in told
    assert "--startup-probe=tcpSocket.port=8080" in told
    assert "--service-account=fn-tabular@demo-project.iam.gserviceaccount.com" in told
    assert not any(flag.startswith(("--gen2", "--trigger", "--docker", "--runtime", "--entry")) for flag in told)


def test_what_the_function_s_file_sets_comes_before_what_a_release_sets(write: Write) -> None:
    told = command(write(variables={"MODEL_STORE": "gs://other"}), MODEL_STORE="gs://models")
    assert any("MODEL_STORE=gs://other" in flag for flag in told)
    assert not any("gs://models" in flag for flag in told)


def test_a_value_with_commas_is_spelled_as_gcloud_reads_it(write: Write) -> None:
    told = command(write(variables={"ACCESS": "keys,iam"}))
    assert any(flag.startswith("--set-env-vars=^|^ACCESS=keys,iam|") for flag in told)


@pytest.mark.parametrize("backend", ["functions", "run"])
@pytest.mark.parametrize("family", function_families())
def test_every_function_here_is_valid(family: str, backend: str) -> None:
    assert problems(Flags.read(family), replace(HERE, backend=backend)) == []


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        pytest.param({"memory": "lots"}, "--memory is lots. Write a size, as --memory: 2Gi.", id="memory"),
        pytest.param(
            {"memory": "8Gi"},
            "--memory is 8Gi with --cpu 1, which may have 128Mi to 4096Mi. Write such a size, or --cpu: 2.",
            id="pair",
        ),
        pytest.param({"cpu": 3}, "--cpu is 3. Write 1, 2, 4, 6 or 8, or a part of 1", id="cpu"),
        pytest.param(
            {"cpu": 0.1, "memory": "1Gi"}, "--cpu is 0.1 with --memory 1Gi: 0.08 goes up to 512Mi", id="part-of-a-cpu"
        ),
        pytest.param(
            {"cpu": 0.5}, "--concurrency is 32 with --cpu 0.5: less than a CPU takes one request at a time", id="many"
        ),
        pytest.param({"concurrency": 0}, "--concurrency is 0. Write 1 to 1000", id="concurrency"),
        pytest.param(
            {"variables": {"THREADS": "8"}},
            "THREADS is 8, and --concurrency 32: it has to be twice that, so that what is too much is refused at once. "
            'Write THREADS: "64".',
            id="threads",
        ),
        pytest.param({"timeout": "2h"}, "--timeout is 2h. Write 1s to 3600s.", id="timeout"),
        pytest.param({"timeout": "3601s"}, "--timeout is 3601s. Write 1s to 3600s.", id="long-timeout"),
        pytest.param({"max_instances": 0}, "--max-instances is 0. Write 1 to 1000.", id="instances"),
        pytest.param(
            {"min_instances": 3, "max_instances": 2},
            "--min-instances is 3, and --max-instances 2.",
            id="least-and-most",
        ),
        pytest.param({"runtime": "python312"}, "--runtime is python312, and the packages are locked", id="runtime"),
        pytest.param({"entry_point": "handle"}, "--entry-point is handle, which ", id="entry-point"),
        pytest.param({"region": "europe-west1"}, "--region is what release says itself", id="ours"),
        pytest.param({"variables": {"K_SERVICE": "x"}}, "it sets K_SERVICE, which Google Cloud sets", id="reserved"),
        pytest.param({"variables": {"ACCESS": ""}}, "ACCESS is , so nobody could ask.", id="no-access"),
        pytest.param(
            {"allow_unauthenticated": True, "no_allow_unauthenticated": None},
            "--allow-unauthenticated lets everybody in, and ACCESS: iam relies on Google",
            id="open",
        ),
        pytest.param({"run": {"--gpu": 1}}, "asks for a GPU, which only the backend run gives", id="gpu-backend"),
        pytest.param({"gpu": 1}, "--gpu is a flag of gcloud run alone. Write it into run.yaml", id="gpu-place"),
    ],
)
def test_a_mistake_is_told_with_file_flag_value_and_way_out(write: Write, changes: dict[str, Any], told: str) -> None:
    flags = write(**changes)
    found = [problem for problem in problems(flags, HERE) if told in problem]
    assert found, problems(flags, HERE)
    assert found[0].startswith(f"{flags.file}: ")


def test_a_gpu_needs_much_else(write: Write) -> None:
    where = replace(HERE, backend="run")
    flags = write(run={"--gpu": 2, "--cpu-throttling": True})
    assert [problem.removeprefix(f"{flags.file}: ") for problem in problems(flags, where)] == [
        "--gpu is 2, and an instance has one at most. Write --gpu: 1 into run.yaml.",
        "a GPU needs a type. Write --gpu-type: nvidia-l4 into run.yaml.",
        "a GPU is given only to instances whose CPU is always theirs. Remove --cpu-throttling from run.yaml.",
        "a GPU needs --cpu 4 and --memory 16Gi at least, not 1 and 1Gi. Write them into run.yaml.",
    ]


def test_a_large_gpu_function_is_valid_and_told_in_full(write: Write, tmp_path: Path) -> None:
    assert problems(write(run=GPU), replace(HERE, backend="run")) == []
    told = command(Flags.read("tabular", tmp_path), "run")
    assert {"--gpu=1", "--gpu-type=nvidia-l4", "--no-cpu-throttling", "--cpu=4", "--memory=16Gi"} <= set(told)
    assert sum(flag.startswith(("--cpu=", "--memory=")) for flag in told) == 2


def test_instances_that_are_kept_are_the_service_s_where_it_can_be_said(write: Write) -> None:
    flags = write(min_instances=1)
    assert "--min-instances=1" in command(flags)
    assert {"--min=1", "--min-instances=1"} & set(command(flags, "run")) == {"--min=1"}


def test_what_a_file_switches_off_is_off(write: Write) -> None:
    flags = write(run={"--no-cpu-boost": True, "--cpu-throttling": False})
    told = command(flags, "run")
    assert {"--no-cpu-boost", "--no-cpu-throttling"} <= set(told)
    assert not {"--cpu-boost", "--cpu-throttling"} & set(told)


def test_a_small_function_is_too_small_for_cloud_run(write: Write) -> None:
    flags = write(memory="256Mi")
    assert problems(flags, HERE) == []
    assert "second generation has 512Mi at least" in problems(flags, replace(HERE, backend="run"))[0]


def test_a_name_that_google_would_not_take_is_told(write: Write) -> None:
    flags = replace(write(), family="a_family_with_a_name_of_many_letters")
    assert any("30 letters are the most. Rename the folder." in problem for problem in problems(flags, HERE))


def test_memory_is_held_against_the_published_models(write: Write) -> None:
    flags = write(memory="1Gi")
    fits = manifest("small", MemoryNeed(190 * 2**20, 2**20, 2**20))
    assert problems(flags, HERE, [fits]) == []
    large = manifest("large", MemoryNeed(190 * 2**20, 2**30, 2**20))
    [told] = problems(flags, HERE, [fits, large])
    assert "--memory is 1Gi, and large (revision " in told
    assert "needs 1.19 GiB beside the reserve of 82 MiB. Write --memory: 2Gi." in told
    huge = manifest("huge", MemoryNeed(190 * 2**20, 2**35, 2**20))
    assert "No function has so much: publish a smaller model." in problems(flags, HERE, [huge])[0]


def test_a_file_that_is_no_list_of_flags_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "tabular"
    folder.mkdir()
    with pytest.raises(ValueError, match=r"flags.yaml cannot be read: No such file"):
        Flags.read("tabular", tmp_path)
    (folder / "flags.yaml").write_text("memory: 2Gi\n")
    with pytest.raises(ValueError, match=r'flags.yaml has "memory", which is no flag. Write each as --memory: 2Gi.'):
        Flags.read("tabular", tmp_path)
    (folder / "flags.yaml").write_text("--memory: [\n")
    with pytest.raises(ValueError, match=r"flags.yaml is no YAML"):
        Flags.read("tabular", tmp_path)


@pytest.mark.slow
def test_gcloud_accepts_every_command_of_a_dry_run(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Of what is deployed first; tests/deploy/test_release.py has what is deployed over it."""
    monkeypatch.setattr(published, "aliased", lambda configuration: [])
    monkeypatch.setattr("deploy.stage.BUILD", tmp_path / "build")
    asked = [["release"], ["release", "tabular", "--no-canary", "--no-smoke", "--force"]]
    asked += [["warmup"], ["warmup", "--run"], ["warmup", "--pause"], ["warmup", "--resume"]]
    asked += [[*words, "--backend=run"] for words in (["release", "gateway", "tabular"], ["warmup"])]
    with monkeypatch.context() as without_gcloud:
        # Which makes these quick: what cannot be asked counts as not there.
        without_gcloud.setenv("PATH", "")
        for words in asked:
            assert main([*words, "--dry-run", "--project=demo-project"]) == 0
    printed = set(capfd.readouterr().out.splitlines())
    assert sum(line.startswith("gcloud functions deploy ") for line in printed) == len(function_families())
    assert sum(line.startswith("gcloud run deploy ") for line in printed) == 2
    for verb in ("create http", "run", "pause", "resume"):
        assert any(line.startswith(f"gcloud scheduler jobs {verb} warm-") for line in printed), verb
    flags = write(run=GPU | {"--no-cpu-boost": True, "--gpu-zonal-redundancy": False}, min_instances=1, max_instances=2)
    printed.add(spelled(command(flags, "run")))
    assert refused(sorted(printed), tmp_path) == {}
