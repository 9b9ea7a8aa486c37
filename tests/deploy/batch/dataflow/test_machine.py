"""The machine of a worker: as small as the model lets it be."""

from dataclasses import replace

import pytest

from deploy.batch.dataflow import machine
from deploy.batch.dataflow.machine import Machine
from deploy.batch.pinned import PinnedModel
from model_functions.artifact.manifest import Manifest, MemoryNeed

_GIB = 2**30


@pytest.fixture
def manifest(pinned: PinnedModel) -> Manifest:
    return pinned.manifest()


def of(manifest: Manifest, gib: float) -> Manifest:
    """A model whose process takes so much beside Beam's own."""
    need = MemoryNeed(runtime=0, load=int(gib * _GIB), model=0)
    return replace(manifest, memory=need, faster=())


@pytest.mark.parametrize(
    ("gib", "expected"),
    [
        # 8 GiB less 2 are two processes of 3 GiB, of which 0.75 is not the model's.
        pytest.param(0.2, Machine("e2-standard-2", 2, 2), id="small"),
        pytest.param(2.25, Machine("e2-standard-2", 2, 2), id="just fits"),
        pytest.param(2.3, Machine("e2-highmem-2", 2, 2), id="just not"),
        pytest.param(6.25, Machine("e2-highmem-2", 2, 2), id="fits the larger one twice"),
        pytest.param(7, Machine("e2-highmem-2", 1, 2), id="fits it once"),
        pytest.param(20, Machine("e2-highmem-4", 1, 4), id="one process of four cores"),
        pytest.param(100, Machine("e2-highmem-16", 1, 16), id="the largest"),
    ],
)
def test_the_smallest_machine_that_holds_a_copy_for_every_process(
    manifest: Manifest, gib: float, expected: Machine
) -> None:
    assert machine.chosen(of(manifest, gib)) == expected


def test_the_slowest_lane_counts_too(manifest: Manifest) -> None:
    large = replace(of(manifest, 20).lanes[-1])
    assert machine.chosen(replace(of(manifest, 0.2), faster=(large,))).type == "e2-highmem-4"


def test_a_model_that_no_machine_holds_is_told(manifest: Manifest) -> None:
    with pytest.raises(ValueError, match=r"takes 200\.8 GiB a process, and e2-highmem-16 has 128 GiB\. Say a larger"):
        machine.chosen(of(manifest, 200))
    assert machine.chosen(of(manifest, 200), "n2-highmem-32") == Machine("n2-highmem-32", 1, 32)


def test_a_machine_that_was_asked_for_has_as_many_processes_as_it_holds(manifest: Manifest) -> None:
    assert machine.chosen(of(manifest, 2), "n1-standard-4") == Machine("n1-standard-4", 4, 4)
    assert machine.chosen(of(manifest, 5), "n1-standard-4") == Machine("n1-standard-4", 1, 4)
    with pytest.raises(
        ValueError, match=r"--machine-type n1-standard-4 has 15 GiB, and tiny_classifier takes 15\.8 GiB"
    ):
        machine.chosen(of(manifest, 15), "n1-standard-4")
    with pytest.raises(ValueError, match="--machine-type huge is none whose memory is known"):
        machine.chosen(manifest, "huge")


def test_there_are_no_more_machines_than_have_something_to_do() -> None:
    two = Machine("e2-standard-2", 2, 2)
    assert [machine.workers(parts, two) for parts in (1, 4, 5, 1000)] == [1, 1, 2, 10]
    assert machine.workers(1, two, 500) == 500
    with pytest.raises(ValueError, match="--max-workers 0: Dataflow takes 1 to 1000"):
        machine.workers(1, two, 0)
