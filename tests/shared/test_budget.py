from model_functions.artifact.manifest import MemoryNeed
from model_functions.budget import MemoryBudget


def test_a_runtime_is_shared_and_the_largest_counts() -> None:
    budget = MemoryBudget[str](limit=1000, reserve=100)
    budget.admit("a", MemoryNeed(runtime=300, load=100, model=50))
    budget.admit("b", MemoryNeed(runtime=400, load=200, model=20))
    assert (budget.size, budget.total()) == (900, 400 + 100 + 200)


def test_a_model_that_has_been_loaded_counts_what_it_keeps() -> None:
    budget = MemoryBudget[str](limit=1000, reserve=0)
    budget.admit("a", MemoryNeed(runtime=300, load=100, model=50))
    budget.settle("a")
    assert budget.total() == 350
    budget.release("a")
    assert budget.total() == 0
    assert "a" not in budget


def test_a_load_that_is_estimated_below_the_model_counts_as_the_model() -> None:
    budget = MemoryBudget[str](limit=1000, reserve=0)
    budget.admit("a", MemoryNeed(runtime=0, load=10, model=50))
    assert budget.total() == 50


def test_what_fits_is_counted_without_those_that_would_be_gone() -> None:
    budget = MemoryBudget[str](limit=1000, reserve=0)
    budget.admit("a", MemoryNeed(runtime=400, load=300, model=300))
    need = MemoryNeed(runtime=200, load=301, model=100)
    assert not budget.fits(need)
    assert budget.fits(need, without=["a"])
    assert budget.alone(need) == 501


def test_exactly_full_fits_and_a_reserve_above_the_limit_leaves_nothing() -> None:
    need = MemoryNeed(runtime=600, load=400, model=100)
    assert MemoryBudget[str](limit=1100, reserve=100).fits(need)
    assert not MemoryBudget[str](limit=1099, reserve=100).fits(need)
    assert MemoryBudget[str](limit=10, reserve=100).size == 0


def test_releasing_what_never_came_is_nothing() -> None:
    MemoryBudget[str](limit=10, reserve=0).release("a")
