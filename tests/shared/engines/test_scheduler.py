"""The scheduler: whoever comes and goes, each answer is the one that it would be alone."""

from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from model_functions.engines import scheduler as module
from model_functions.engines.choice import Choice
from model_functions.engines.pages import PAGE_TOKENS, Row
from model_functions.engines.scheduler import PagedDecoder, Scheduler, Seat, Text, need
from model_functions.engines.search import Floats, Rules, beams

VOCABULARY = 17
RULES = Rules(start=0, ends=(1,), pad=0)
GREEDY = {
    "do_sample": False,
    "seed": None,
    "repetition_penalty": 1.0,
    "no_repeat_ngram_size": 0,
    "min_new_tokens": 0,
    "temperature": 1.0,
    "top_k": 0,
    "top_p": 1.0,
    "min_p": 0.0,
    "typical_p": 1.0,
    "num_return_sequences": 1,
}


class SmallGraph:
    """A model of a few lines: what follows depends on every token before it, which it finds in its pages only."""

    def __init__(self, pages: int) -> None:
        self.pages = pages
        self.memory = np.full((pages, PAGE_TOKENS), -1)
        self.runs: list[list[int]] = []
        self.broken = False

    def run(self, rows: list[Row]) -> Floats:
        if self.broken:
            raise MemoryError("no room")
        self.runs.append([len(row.tokens) for row in rows])
        for row in rows:
            for place, token in enumerate(row.tokens, row.past):
                self.memory[row.pages[place // PAGE_TOKENS], place % PAGE_TOKENS] = token
        return np.array([self._scores(row) for row in rows], dtype=np.float32)

    def copy(self, page: int, other: int) -> None:
        self.memory[other] = self.memory[page]

    def memory_bytes(self) -> int:
        return self.memory.nbytes

    def _scores(self, row: Row) -> Any:
        past = self.memory[row.pages].reshape(-1)[: row.past + len(row.tokens)]
        assert (past >= 0).all(), "it reads what nobody wrote"
        return np.random.default_rng(past).normal(size=VOCABULARY)


class Caller:
    """Who asked for the answers to one prompt."""

    def __init__(self, prompt: list[int], longest: int, parameters: dict[str, Any]) -> None:
        self.answers: list[list[int]] = [[] for _ in range(parameters["num_return_sequences"])]
        choices = [Choice(RULES, parameters, copy) for copy in range(len(self.answers))]
        self.longest = longest
        self.text = Text(prompt, longest, choices, self.take)

    def take(self, number: int, token: int) -> bool:
        self.answers[number].append(token)
        return token not in RULES.ends and len(self.answers[number]) < self.longest


def answered(*asked: tuple[list[int], int, dict[str, Any]], pages: int = 64) -> list[list[list[int]]]:
    """The answers of callers who all come at once."""
    scheduler, callers = Scheduler(SmallGraph(pages)), [Caller(*one) for one in asked]
    for caller in callers:
        scheduler.join(caller.text)
    while not all(caller.text.over for caller in callers):
        scheduler.step()
    scheduler.step()
    assert (scheduler.pages.taken, scheduler.pages.reserved) == (0, 0)
    assert not any(caller.text.failure for caller in callers)
    return [caller.answers for caller in callers]


PARAMETERS = st.fixed_dictionaries(
    {name: st.just(value) for name, value in GREEDY.items()}
    | {
        "do_sample": st.booleans(),
        "seed": st.integers(0, 5),
        "repetition_penalty": st.sampled_from([1.0, 1.7]),
        "no_repeat_ngram_size": st.sampled_from([0, 1, 2]),
        "min_new_tokens": st.sampled_from([0, 3]),
        "top_k": st.sampled_from([0, 2, 5, 50]),
        "top_p": st.sampled_from([1.0, 0.6]),
        "min_p": st.sampled_from([0.0, 0.2]),
        "typical_p": st.sampled_from([1.0, 0.5]),
        "num_return_sequences": st.integers(1, 3),
    }
)
ASKED = st.tuples(st.lists(st.integers(2, VOCABULARY - 1), min_size=1, max_size=150), st.integers(1, 40), PARAMETERS)


#: Every token is forbidden: those of the prompt, and the ends.
FORBIDDEN = GREEDY | {"do_sample": True, "seed": 0, "no_repeat_ngram_size": 1, "min_new_tokens": 3}


@settings(max_examples=60, deadline=None)
@given(asked=st.lists(ASKED, min_size=1, max_size=5), pages=st.integers(24, 64))
@example(asked=[(list(range(2, VOCABULARY)), 3, FORBIDDEN)], pages=24)
def test_an_answer_is_the_same_alone_and_among_any_others(
    asked: list[tuple[list[int], int, dict[str, Any]]], pages: int
) -> None:
    assert answered(*asked, pages=pages) == [answered(one)[0] for one in asked]


#: Who comes at which step, and hangs up at which.
VISITS = st.lists(st.tuples(ASKED, st.integers(0, 30), st.integers(0, 90)), min_size=1, max_size=5)


@settings(max_examples=60, deadline=None)
@given(visits=VISITS)
def test_those_who_come_and_leave_between_steps_change_nothing(visits: list[tuple[Any, int, int]]) -> None:
    scheduler = Scheduler(SmallGraph(32))
    callers = [Caller(*asked) for asked, _, _ in visits]
    for step in range(600):
        for caller, (_, comes, leaves) in zip(callers, visits, strict=True):
            if step == comes:
                scheduler.join(caller.text)
            if step == leaves:
                scheduler.leave(caller.text)
        scheduler.step()
    assert (scheduler.pages.taken, scheduler.pages.reserved) == (0, 0)
    for caller, (asked, _, _) in zip(callers, visits, strict=True):
        [expected] = answered(asked)
        assert all(found == whole[: len(found)] for found, whole in zip(caller.answers, expected, strict=True))
        assert caller.answers == expected or caller.text.left


def test_a_long_prompt_is_read_in_parts_beside_the_answers_that_go_on() -> None:
    graph = SmallGraph(64)
    scheduler = Scheduler(graph)
    first, second = Caller([2, 3], 40, GREEDY | {"min_new_tokens": 40}), Caller([4] * 200, 5, GREEDY)
    scheduler.join(first.text)
    scheduler.step()
    scheduler.join(second.text)
    for _ in range(4):
        scheduler.step()
    assert graph.runs == [[2], [1, 64], [1, 64], [1, 64], [1, 8]]
    assert len(first.answers[0]) == 5


def test_who_finds_no_room_waits_for_it() -> None:
    scheduler = Scheduler(SmallGraph(2))
    first, second = (Caller([2] * 40, 3, GREEDY | {"min_new_tokens": 3}) for _ in range(2))
    scheduler.join(first.text)
    scheduler.join(second.text)
    for _ in range(3):
        scheduler.step()
    assert first.text.over
    assert not second.text.taken
    scheduler.step()
    assert second.text.taken
    assert len(second.answers[0]) == 1


def test_what_can_never_find_room_is_refused() -> None:
    with pytest.raises(ValueError, match="It needs 3 pages, and there are 2"):
        Scheduler(SmallGraph(2)).join(Caller([2] * 64, 10, GREEDY).text)


def failing_take(number: int, token: int) -> bool:
    raise LookupError("half a tokenizer")


def test_a_text_that_fails_disturbs_no_other() -> None:
    scheduler = Scheduler(SmallGraph(8))
    broken, whole = Caller([2, 3], 6, GREEDY), Caller([2, 3], 6, GREEDY)
    broken.text.take = failing_take
    scheduler.join(broken.text)
    scheduler.join(whole.text)
    while not whole.text.over:
        scheduler.step()
    assert str(broken.text.failure) == "half a tokenizer"
    assert [whole.answers] == answered(([2, 3], 6, GREEDY))


def test_a_step_that_fails_is_told_to_all_who_were_in_it_and_the_next_ones_go_on() -> None:
    graph = SmallGraph(8)
    scheduler, caller = Scheduler(graph), Caller([2, 3], 6, GREEDY)
    graph.broken = True
    scheduler.join(caller.text)
    scheduler.step()
    assert isinstance(caller.text.failure, MemoryError)
    graph.broken = False
    later = Caller([2, 3], 6, GREEDY)
    scheduler.join(later.text)
    while not later.text.over:
        scheduler.step()
    assert [later.answers] == answered(([2, 3], 6, GREEDY))


def test_answers_to_one_prompt_share_the_pages_that_it_fills() -> None:
    assert need(64, 33, 4) == 2 + 4
    assert need(65, 32, 4) == 2 + 4
    assert need(1, 1, 8) == 8
    graph = SmallGraph(16)
    scheduler = Scheduler(graph)
    caller = Caller([2] * 70, 20, GREEDY | {"do_sample": True, "seed": 1, "num_return_sequences": 4})
    scheduler.join(caller.text)
    scheduler.step()
    assert graph.runs == [[70]]
    assert scheduler.pages.taken <= 2 + 4


@settings(max_examples=20, deadline=None)
@given(prompt=st.lists(st.integers(2, VOCABULARY - 1), min_size=1, max_size=70), count=st.integers(2, 4))
def test_beams_are_those_of_a_model_that_reads_everything_anew(prompt: list[int], count: int) -> None:
    parameters = GREEDY | {"num_beams": count, "num_return_sequences": count, "max_new_tokens": 40}
    parameters |= {"length_penalty": 1.0, "early_stopping": False}

    class Anew:
        """Keeps the rows' tokens, and no pages."""

        def __init__(self) -> None:
            self.rows = [prompt[:-1]]

        def step(self, tokens: Any) -> Floats:
            self.rows = [[*row, int(token)] for row, token in zip(self.rows, tokens[:, -1], strict=True)]
            return np.array([np.random.default_rng(row).normal(size=VOCABULARY) for row in self.rows], np.float32)

        def select(self, rows: Any) -> None:
            self.rows = [self.rows[row] for row in rows]

    def stopped(rows: Any) -> Any:
        return np.zeros(len(rows), dtype=bool)

    scheduler = Scheduler(SmallGraph(need(len(prompt), 40, count)))
    seat = Seat(need(len(prompt), 40, count))
    scheduler.join(seat)
    scheduler.step()
    assert seat.taken
    decoder = PagedDecoder(scheduler, prompt)
    found = beams(decoder, prompt, RULES, parameters, stopped)
    decoder.close()
    assert scheduler.pages.taken == 0
    assert found == beams(Anew(), prompt, RULES, parameters, stopped)


def test_prompts_alone_are_read_faster() -> None:
    graph = SmallGraph(64)
    scheduler = Scheduler(graph)
    scheduler.join(Caller([2] * 600, 5, GREEDY).text)
    scheduler.step()
    assert graph.runs == [[module.ALONE]]
