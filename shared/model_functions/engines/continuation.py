"""Goes on with prompts, a token each step: the likeliest ones or drawn ones, every answer as if it were alone."""

from collections import deque
from collections.abc import Collection, Generator, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from model_functions.engines import WritingEngine
from model_functions.engines.choice import Choice
from model_functions.engines.likelihood import Likelihood, Token
from model_functions.engines.scheduler import PagedDecoder, Scheduler, Seat, Text, need
from model_functions.engines.search import Decoder, Integers, beams

#: Tokens before others that are decoded with them, where the space between them and nothing else matters.
_TAIL = 8


class Piece(NamedTuple):
    """What has become certain of an answer.

    Args:
        number: the answer's.
        ended: this is its last piece, whose text may be empty.
        tokens: those since its last piece, where they are asked for.
    """

    number: int
    text: str
    ended: bool
    tokens: list[Token]


class Writing:
    """The answers to some prompts: ``num_return_sequences`` to each, side by side.

    Args:
        prompts: their tokens.
        openings: what each prompt's answers are told to begin with.
        parameters: those of GENERATION_PARAMETERS, ``stop`` and ``logprobs``.
    """

    def __init__(
        self, engine: WritingEngine, prompts: list[list[int]], openings: list[str], parameters: dict[str, Any]
    ) -> None:
        self._engine, self._prompts, self._parameters = engine, prompts, parameters
        # A special token is never seen in a text.
        stops = parameters["stop"] or []
        self._specials = engine.specials() if stops or parameters.get("logprobs") is not None else {}
        ends = {number: text for number, text in self._specials.items() if text in stops}
        self._rules = replace(engine.rules, ends=(*engine.rules.ends, *(set(ends) - set(engine.rules.ends))))
        self._ends = dict.fromkeys(self._rules.ends) | ends
        self._stops = [stop for stop in stops if stop not in ends.values()]
        self.answers = [
            self._answer(prompt, opening)
            for prompt, opening in zip(prompts, openings, strict=True)
            for _ in range(parameters["num_return_sequences"])
        ]
        self._choices = [
            Choice(self._rules, parameters, copy) for _ in prompts for copy in range(parameters["num_return_sequences"])
        ]

    def steps(self) -> Iterator[Piece | None]:
        """Writes the answers, and tells what becomes certain of them.

        None stands for a step that made nothing certain here: others may want to look at theirs meanwhile.
        """
        scheduler = self._engine.scheduler
        return self._alone() if scheduler is None else self._together(scheduler)

    def by_beams(self) -> Iterator[None]:
        """Writes the answers by beam search, each prompt's alone: padding would change what beams are compared by.

        Steps that wait for room are told, as others go on in them.
        """
        answers = iter(self.answers)
        for prompt in self._prompts:
            with ExitStack() as held:
                decoder = yield from self._decoder(prompt, held)
                for tokens in beams(decoder, prompt, self._rules, self._parameters, self._stopped(prompt)):
                    answer = next(answers)
                    for token in tokens:
                        answer.add(token)

    def _alone(self) -> Iterator[Piece | None]:
        continuation = Continuation(self._engine.read(self._prompts), self._prompts, self._choices)
        going_on = len(self.answers)
        while going_on:
            pieces = [self._piece(number, token) for number, token in continuation.step().items()]
            finished = {piece.number for piece in pieces if piece.ended}
            continuation.end(finished)
            going_on -= len(finished)
            told: list[Piece | None] = [piece for piece in pieces if piece.text or piece.ended]
            yield from told or [None]

    def _together(self, scheduler: Scheduler) -> Iterator[Piece | None]:
        told: deque[Piece] = deque()
        texts = [self._text(index, prompt, told) for index, prompt in enumerate(self._prompts)]
        for text in texts:
            scheduler.join(text)
        try:
            while True:
                # Whoever steps, all are told.
                while told:
                    yield told.popleft()
                for text in texts:
                    if text.failure is not None:
                        raise text.failure
                if all(text.over for text in texts):
                    return
                scheduler.step()
                if not told:
                    yield None
        finally:
            for text in texts:
                scheduler.leave(text)

    def _text(self, index: int, prompt: list[int], told: deque[Piece]) -> Text:
        copies: int = self._parameters["num_return_sequences"]
        first = index * copies

        def take(copy: int, token: int) -> bool:
            piece = self._piece(first + copy, token)
            if piece.text or piece.ended:
                told.append(piece)
            return not piece.ended

        return Text(prompt, self._parameters["max_new_tokens"], self._choices[first : first + copies], take)

    def _piece(self, number: int, token: int) -> Piece:
        answer = self.answers[number]
        text, ended = answer.add(token, self._choices[number].likelihood), answer.finish_reason is not None
        return Piece(number, text, ended, answer.untold() if text or ended else [])

    def _decoder(self, prompt: list[int], held: ExitStack) -> Generator[None, None, Decoder]:
        """The model with the prompt before it, for as many beams as are asked for."""
        scheduler = self._engine.scheduler
        if scheduler is None:
            return self._engine.read([prompt])
        longest, count = self._parameters["max_new_tokens"], self._parameters["num_beams"]
        seat = Seat(need(len(prompt), longest, count))
        held.callback(scheduler.leave, seat)
        scheduler.join(seat)
        while not seat.taken:
            scheduler.step()
            yield None
        decoder = PagedDecoder(scheduler, prompt)
        held.callback(decoder.close)
        return decoder

    def _answer(self, prompt: list[int], opening: str) -> "Answer":
        longest = self._parameters["max_new_tokens"]
        return Answer(self._engine, prompt, self._ends, self._stops, longest, opening, specials=self._specials)

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

    Args:
        decoder: has the prompts before it.
        choices: of each prompt's answers, which are as many for each.
    """

    def __init__(self, decoder: Decoder, prompts: list[list[int]], choices: list[Choice]) -> None:
        self._decoder = decoder
        self._copies = len(choices) // len(prompts)
        self._length = 0
        self._answers = list(range(len(choices)))
        self._sequences = [np.array(prompt, dtype=np.int64) for prompt in prompts]
        self._choices = choices

    def step(self) -> dict[int, int]:
        """The next token of each answer that goes on, by its number: each prompt's together, in order."""
        logits = self._decoder.step(np.array([sequence[-1:] for sequence in self._sequences]))
        if self._length == 0 and self._copies > 1:
            # Read once, written several times.
            rows = np.repeat(np.arange(len(logits)), self._copies)
            self._decoder.select(rows)
            logits, self._sequences = logits[rows], [self._sequences[row] for row in rows]
        self._length += 1
        chosen = zip(self._choices, logits, self._sequences, strict=True)
        tokens = [choice.token(scores, sequence, self._length) for choice, scores, sequence in chosen]
        self._sequences = [np.append(sequence, token) for sequence, token in zip(self._sequences, tokens, strict=True)]
        return dict(zip(self._answers, tokens, strict=True))

    def end(self, finished: Collection[int]) -> None:
        """These answers do not go on."""
        going_on = [row for row, answer in enumerate(self._answers) if answer not in finished]
        if len(going_on) == len(self._answers):
            return
        self._answers = [self._answers[row] for row in going_on]
        self._choices = [self._choices[row] for row in going_on]
        self._sequences = [self._sequences[row] for row in going_on]
        if going_on:
            self._decoder.select(np.array(going_on, dtype=np.int64))


class Answer:
    """An answer's text while it is written.

    What later tokens could still change or take back is not told: half a character, the beginning of a stop sequence.

    Args:
        prompt: its tokens, which the answer stands behind.
        ends: tokens that end the answer, and which stop sequence each is, if it is one.
        stops: texts that end it, and are not told.
        longest: in tokens.
        opening: told before all else.
        specials: the special tokens' texts.
    """

    def __init__(
        self,
        engine: WritingEngine,
        prompt: list[int],
        ends: dict[int, str | None],
        stops: list[str],
        longest: int,
        opening: str = "",
        *,
        specials: Mapping[int, str] = MappingProxyType({}),
    ) -> None:
        self._engine, self._ends, self._stops, self._longest = engine, ends, stops, longest
        self._specials = specials
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
        self.tokens: list[Token] = []
        """Those that came with their likelihoods."""
        self._told_tokens = 0

    def add(self, token: int, likelihood: Likelihood | None = None) -> str:
        """Takes one token more, and tells the text that is certain now."""
        if likelihood is None:
            return self._add(token)
        top = [
            Token(other, self._text_of(other), logprob, other in self._specials, [])
            for other, logprob in likelihood.top
        ]
        before = len(self._settled)
        told = self._add(token)
        text = self._specials.get(token, self._settled[before:])
        # Of a character's tokens the last has it, whatever each would be alone.
        top = [other._replace(text=text) if other.number == token else other for other in top]
        self.tokens.append(Token(token, text, likelihood.logprob, token in self._specials, top))
        return told

    def untold(self) -> list[Token]:
        """The tokens since this was asked last."""
        start, self._told_tokens = self._told_tokens, len(self.tokens)
        return self.tokens[start:]

    def _text_of(self, token: int) -> str:
        """What the token would add to the text."""
        if token in self._specials:
            return self._specials[token]
        certain = self._settled[len(self._whole) :]
        return _text_after(self._engine, self._before[-_TAIL:], [*self._tokens, token]).removeprefix(certain)

    def _add(self, token: int) -> str:
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
