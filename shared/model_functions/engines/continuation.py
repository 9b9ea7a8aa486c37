"""Goes on with prompts, a token each step: the likeliest ones or drawn ones, every answer as if it were alone."""

from collections.abc import Collection, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_functions.engines import WritingEngine
from model_functions.engines.search import Decoder, Floats, Integers, Rules, beams, narrowed, ruled

#: Tokens of a prompt that are decoded with its answer to look for stop sequences among beams.
_TAIL = 8


class Writing:
    """The answers to some prompts: ``num_return_sequences`` to each, side by side.

    Args:
        prompts: their tokens.
        openings: what each prompt's answers are told to begin with.
        parameters: those of GENERATION_PARAMETERS, and ``stop``.
    """

    def __init__(
        self, engine: WritingEngine, prompts: list[list[int]], openings: list[str], parameters: dict[str, Any]
    ) -> None:
        self._engine, self._prompts, self._parameters = engine, prompts, parameters
        # A special token is never seen in a text.
        stops = {stop: engine.special(stop) for stop in parameters["stop"] or []}
        special = {number: stop for stop, number in stops.items() if number is not None}
        self._rules = replace(engine.rules, ends=(*engine.rules.ends, *(set(special) - set(engine.rules.ends))))
        self._ends = dict.fromkeys(self._rules.ends) | special
        self._stops = [stop for stop, number in stops.items() if number is None]
        self.answers = [
            self._answer(prompt, opening)
            for prompt, opening in zip(prompts, openings, strict=True)
            for _ in range(parameters["num_return_sequences"])
        ]

    def steps(self) -> Iterator[tuple[int, str]]:
        """Writes the answers, and tells what becomes certain of each of them, by its number."""
        continuation = Continuation(self._engine.read(self._prompts), self._prompts, self._rules, self._parameters)
        going_on = len(self.answers)
        while going_on:
            finished = set()
            for number, token in continuation.step().items():
                text = self.answers[number].add(token)
                if self.answers[number].finish_reason is not None:
                    finished.add(number)
                if text or number in finished:
                    yield number, text
            continuation.end(finished)
            going_on -= len(finished)

    def by_beams(self) -> None:
        """Writes the answers by beam search, each prompt's alone: padding would change what beams are compared by."""
        answers = iter(self.answers)
        for prompt in self._prompts:
            decoder = self._engine.read([prompt])
            for tokens in beams(decoder, prompt, self._rules, self._parameters, self._stopped(prompt)):
                answer = next(answers)
                for token in tokens:
                    answer.add(token)

    def _answer(self, prompt: list[int], opening: str) -> "Answer":
        return Answer(self._engine, prompt, self._ends, self._stops, self._parameters["max_new_tokens"], opening)

    def _stopped(self, prompt: list[int]) -> Any:
        def stopped(rows: Integers) -> NDArray[np.bool_]:
            if not self._stops:
                return np.zeros(len(rows), dtype=bool)
            # One that ends earlier has ended its row.
            last = 4 * max(map(len, self._stops)) + _TAIL
            texts = [
                _text_after(self._engine, prompt[-_TAIL:], row) if len(row) < last else self._engine.text(row[-last:])
                for row in rows.tolist()
            ]
            return np.array([any(stop in text for stop in self._stops) for text in texts])

        return stopped


def _text_after(engine: WritingEngine, before: list[int], tokens: list[int]) -> str:
    """The text of tokens that stand behind others, with the space between them."""
    known, text = engine.text(before), engine.text([*before, *tokens])
    # Behind broken bytes a tokenizer may give up whole characters before them.
    return text.removeprefix(known) if text.startswith(known) else engine.text(tokens)


class Continuation:
    """The tokens of the answers, each as if it were alone.

    Each draws from numbers of its own, which follow from the seed and from which of its prompt's answers it is:
    a prompt is answered alike alone and among others.

    Args:
        decoder: has the prompts before it.
        parameters: those of GENERATION_PARAMETERS that concern the search.
    """

    def __init__(self, decoder: Decoder, prompts: list[list[int]], rules: Rules, parameters: dict[str, Any]) -> None:
        self._decoder, self._rules, self._parameters = decoder, rules, parameters
        self._copies: int = parameters["num_return_sequences"]
        self._length = 0
        # Negative: nothing stands there.
        self._sequences = np.full((len(prompts), max(map(len, prompts))), -1, dtype=np.int64)
        for row, prompt in enumerate(prompts):
            self._sequences[row, -len(prompt) :] = prompt
        self._answers = list(range(len(prompts) * self._copies))
        seed = parameters["seed"]
        self._random = [
            np.random.default_rng(None if seed is None else (seed, answer % self._copies)) for answer in self._answers
        ]

    def step(self) -> dict[int, int]:
        """The next token of each answer that goes on, by its number: each prompt's together, in order."""
        logits = self._decoder.step(self._sequences[:, -1:])
        if self._length == 0 and self._copies > 1:
            # Read once, written several times.
            rows = np.repeat(np.arange(len(logits)), self._copies)
            self._decoder.select(rows)
            logits, self._sequences = logits[rows], self._sequences[rows]
        self._length += 1
        scores = ruled(logits, self._sequences, self._rules, self._parameters, self._length)
        tokens = self._drawn(scores) if self._parameters["do_sample"] else scores.argmax(axis=1)
        self._sequences = np.column_stack((self._sequences, tokens))
        return dict(zip(self._answers, tokens.tolist(), strict=True))

    def end(self, finished: Collection[int]) -> None:
        """These answers do not go on."""
        going_on = [row for row, answer in enumerate(self._answers) if answer not in finished]
        if len(going_on) == len(self._answers):
            return
        self._answers = [self._answers[row] for row in going_on]
        self._random = [self._random[row] for row in going_on]
        rows = np.array(going_on, dtype=np.int64)
        self._sequences = self._sequences[rows]
        if going_on:
            self._decoder.select(rows)

    def _drawn(self, scores: Floats) -> Integers:
        scores = narrowed(scores, self._parameters, keep=1)
        shares = np.exp((scores - scores.max(axis=1, keepdims=True)).astype(np.float64)).cumsum(axis=1)
        places = np.array([random.random() for random in self._random]) * shares[:, -1]
        tokens: Integers = (shares <= places[:, None]).sum(axis=1)
        return tokens


class Answer:
    """An answer's text while it is written.

    What later tokens could still change or take back is not told: half a character, the beginning of a stop sequence.

    Args:
        prompt: its tokens, which the answer stands behind.
        ends: tokens that end the answer, and which stop sequence each is, if it is one.
        stops: texts that end it, and are not told.
        longest: in tokens.
        opening: told before all else.
    """

    def __init__(
        self,
        engine: WritingEngine,
        prompt: list[int],
        ends: dict[int, str | None],
        stops: list[str],
        longest: int,
        opening: str = "",
    ) -> None:
        self._engine, self._ends, self._stops, self._longest = engine, ends, stops, longest
        # Decoding all of it anew for each token would take ever longer: the tokens since the last whole character
        # are enough, behind those of a few characters before.
        self._before, self._tokens, self._whole = prompt, list[int](), ""
        self._settled = ""
        self._told = 0
        self._opening = opening
        self.text = ""
        self.count = 0
        """Tokens that were written, the one that ends the answer included."""
        self.finish_reason: str | None = None
        """``stop`` for an end token or a stop sequence, ``length`` for the longest answer; None while it goes on."""
        self.stop_sequence: str | None = None

    def add(self, token: int) -> str:
        """Takes one token more, and tells the text that is certain now."""
        self.count += 1
        ended = token in self._ends
        last = ended or self.count == self._longest
        if not ended:
            self._tokens.append(token)
        self._settle(last)
        until = self._end_of_text(token, last)
        told, self._told = self._settled[self._told : until], until
        told, self._opening = self._opening + told, ""
        self.text += told
        return told

    def _settle(self, last: bool) -> None:
        text = _text_after(self._engine, self._before, self._tokens)
        # A character of several tokens looks so until its last one.
        certain = text if last else text.rstrip("\ufffd")
        # What is certain stays, also where a tokenizer makes something else of it afterwards.
        if (self._whole + certain).startswith(self._settled):
            self._settled = self._whole + certain
        if text and certain == text:
            self._before, self._tokens, self._whole = self._tokens, [], self._settled

    def _end_of_text(self, token: int, last: bool) -> int:
        """How far the text may be told, and whether it ends there."""
        found = [(self._settled.find(stop, self._told), stop) for stop in self._stops]
        if found := [(place, stop) for place, stop in found if place >= 0]:
            place, self.stop_sequence = min(found, key=lambda one: one[0])
            self.finish_reason = "stop"
            return place
        if last:
            self.finish_reason = "stop" if token in self._ends else "length"
            self.stop_sequence = self._ends.get(token)
            return len(self._settled)
        untold = self._settled[self._told :]
        return len(self._settled) - max((_overlap(untold, stop) for stop in self._stops), default=0)


def _overlap(text: str, stop: str) -> int:
    """The longest beginning of the stop sequence, short of the whole, with which the text ends."""
    return next((size for size in range(min(len(text), len(stop) - 1), 0, -1) if text.endswith(stop[:size])), 0)
