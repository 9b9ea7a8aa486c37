"""Pages of memory: who has which, and how many are promised."""

from hypothesis import given
from hypothesis import strategies as st

from model_functions.engines.pages import PAGE_TOKENS, Pages, pages_for


def test_a_page_is_free_again_when_nobody_has_it() -> None:
    pages = Pages(2)
    page = pages.take()
    pages.share([page])
    pages.release([page])
    assert pages.taken == 1
    pages.release([page])
    assert pages.taken == 0


def test_what_is_reserved_is_nobody_elses() -> None:
    pages = Pages(3)
    assert pages.reserve(2)
    assert not pages.reserve(2)
    assert pages.reserve(1)
    pages.give_back(2)
    assert pages.reserve(2)


def test_the_lowest_pages_are_taken_first() -> None:
    pages = Pages(4)
    assert [pages.take() for _ in range(3)] == [0, 1, 2]
    pages.release([1])
    assert pages.take() == 1


@given(st.integers(0, 10_000))
def test_tokens_find_room_in_their_pages(tokens: int) -> None:
    assert pages_for(tokens) * PAGE_TOKENS >= tokens > (pages_for(tokens) - 1) * PAGE_TOKENS
