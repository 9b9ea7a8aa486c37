"""Searches for the tokens of an answer as transformers' ``generate`` does, in numpy: greedily, with beams, by drawing.

Greedy and beam search find the very tokens; a draw follows the same probabilities, with random numbers of its own.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Integers = NDArray[np.int64]

#: Called before each step; what it raises ends the search.
Check = Callable[[], None]

#: Scores whose largest stands for all of them, while the largest of a row are looked for.
_BLOCK = 256

#: The score of what must not be chosen but can be compared; float32 loses small differences beside it.
_WORST = np.float32(-1e9)


@dataclass(frozen=True)
class Rules:
    """What a model says of its tokens.

    Args:
        start: before every answer; for a model that goes on with a prompt, that prompt's last token.
        ends: each ends an answer.
        pad: fills up what is shorter than its neighbours.
        first: the only first token of an answer; None: any.
        last: the only token that the longest answer ends with; empty: any.
        banned: never written.
    """

    start: int
    ends: tuple[int, ...]
    pad: int
    first: int | None = None
    last: tuple[int, ...] = ()
    banned: tuple[int, ...] = ()


class Decoder(Protocol):
    """A model that has read some texts and writes rows of answers."""

    def step(self, tokens: Integers) -> Floats:
        """How likely each token is to follow, shape (rows, vocabulary), once a token was added to each row."""

    def select(self, rows: Integers) -> None:
        """Goes on with copies of these rows."""


def search(
    decoder: Decoder, texts: int, rules: Rules, parameters: dict[str, Any], check: Check | None = None
) -> Integers:
    """The answers, shape (texts × num_return_sequences, tokens): each text's together, best first; start tokens too.

    Args:
        parameters: those of GENERATION_PARAMETERS that concern the search.
    """
    sequences, lengths = measured(decoder, texts, rules, parameters, check)
    return sequences[:, : lengths.max()]


def measured(
    decoder: Decoder, texts: int, rules: Rules, parameters: dict[str, Any], check: Check | None = None
) -> tuple[Integers, Integers]:
    """The answers with room for the longest possible, and the length of each."""
    rng = np.random.default_rng(parameters.get("seed"))
    if parameters["num_beams"] == 1:
        return _one_by_one(decoder, texts, rules, parameters, rng, check)
    found = _Beams(decoder, texts, rules, parameters, rng, check)
    found.search()
    count = parameters["num_return_sequences"]
    return found.ended[:, :count].reshape(-1, found.longest), found.ended_lengths[:, :count].reshape(-1)


def beams(
    decoder: Decoder,
    prompt: list[int],
    rules: Rules,
    parameters: dict[str, Any],
    stopped: Callable[[Integers], NDArray[np.bool_]],
    check: Check | None = None,
) -> list[list[int]]:
    """What goes on with the prompt, best first; as many as ``num_return_sequences``.

    Args:
        stopped: whether the text of each of some answers ends with its last token.
    """
    rng = np.random.default_rng(parameters.get("seed"))
    found = _Beams(decoder, 1, replace(rules, start=prompt[-1]), parameters, rng, check, prompt[:-1], stopped)
    found.search()
    answers = zip(found.ended[0], found.ended_lengths[0], strict=True)
    return [answer[1:length].tolist() for answer, length in answers][: parameters["num_return_sequences"]]


def _one_by_one(
    decoder: Decoder,
    texts: int,
    rules: Rules,
    parameters: dict[str, Any],
    rng: np.random.Generator,
    check: Check | None,
) -> tuple[Integers, Integers]:
    """The likeliest token after each, or a drawn one."""
    drawn, count, longest = parameters["do_sample"], parameters["num_return_sequences"], parameters["max_new_tokens"]
    sequences = np.full((texts * count, 1 + longest), rules.pad, dtype=np.int64)
    sequences[:, 0] = rules.start
    lengths = np.ones(len(sequences), dtype=np.int64)
    unfinished = np.arange(len(sequences))
    for length in range(1, 1 + longest):
        if check is not None:
            check()
        written = sequences[unfinished, :length]
        scores = ruled(_next(decoder, written, count), written, rules, parameters)
        tokens = _draw(narrowed(scores, parameters, keep=1), 1, rng)[:, 0] if drawn else scores.argmax(axis=1)
        sequences[unfinished, length] = tokens
        lengths[unfinished] += 1
        going_on = np.flatnonzero(~_any_of(tokens, rules.ends))
        if not going_on.size:
            break
        if len(going_on) < len(unfinished):
            unfinished = unfinished[going_on]
            decoder.select(going_on)
    return sequences, lengths


def _next(decoder: Decoder, sequences: Integers, copies: int) -> Floats:
    """What may follow the sequences. The first step is taken once a text, and its copies go on from there."""
    if sequences.shape[1] > 1 or copies == 1:
        return decoder.step(sequences[:, -1:])
    logits = decoder.step(sequences[::copies])
    rows = np.repeat(np.arange(len(logits)), copies)
    decoder.select(rows)
    return logits[rows]


class _Beams:
    """Keeps the best continuations of each text, and apart from them the best that have ended."""

    def __init__(
        self,
        decoder: Decoder,
        texts: int,
        rules: Rules,
        parameters: dict[str, Any],
        rng: np.random.Generator,
        check: Check | None = None,
        before: list[int] | None = None,
        stopped: Callable[[Integers], NDArray[np.bool_]] | None = None,
    ) -> None:
        self.before = np.array([before or []], dtype=np.int64)
        self.stopped, self.check = stopped, check
        self.decoder, self.rules, self.parameters, self.rng = decoder, rules, parameters, rng
        self.beams: int = parameters["num_beams"]
        # So many that beams remain even if each of them ended.
        self.candidates = max(2, 1 + len(rules.ends)) * self.beams
        self.longest: int = parameters["max_new_tokens"] + 1
        # generate takes a pad of 0 for none.
        self.running = np.full((texts, self.beams, self.longest), rules.pad or (*rules.ends, 0)[0], dtype=np.int64)
        self.running[:, :, 0] = rules.start
        self.running_scores = np.full((texts, self.beams), _WORST)
        # All beams are the same yet: only the first is continued.
        self.running_scores[:, 0] = 0
        self.ended = self.running.copy()
        self.ended_scores = np.full((texts, self.beams), _WORST)
        self.ended_lengths = np.ones((texts, self.beams), dtype=np.int64)
        self.has_ended = np.zeros((texts, self.beams), dtype=bool)
        # The texts that the running beams belong to; what has ended is kept of all.
        self.unfinished = np.arange(texts)

    def search(self) -> None:
        for length in range(1, self.longest):
            if self.check is not None:
                self.check()
            scores, beams, tokens = self._continuations(length)
            continued = _gather(self.running, beams)
            continued[:, :, length] = tokens
            stops = _any_of(tokens, self.rules.ends) | (length + 1 == self.longest)
            if self.stopped is not None:
                written = continued[:, :, 1 : length + 1]
                stops |= self.stopped(written.reshape(-1, length)).reshape(stops.shape)
            self._keep_ended(continued, scores, stops, length)
            rows = self._go_on(continued, scores, stops, beams)
            going_on = self._improvable(length)
            going_on &= ~stops.all(axis=1)
            if not going_on.any():
                break
            if not going_on.all():
                rows = rows[going_on]
                self.unfinished = self.unfinished[going_on]
                self.running, self.running_scores = self.running[going_on], self.running_scores[going_on]
            self.decoder.select(rows.reshape(-1))

    def _continuations(self, length: int) -> tuple[Floats, Integers, Integers]:
        """The best candidates of each text: their scores, the beams they continue, and with which token."""
        texts = len(self.running)
        sequences = self.running[:, :, :length].reshape(texts * self.beams, length)
        scores = _log_softmax(_next(self.decoder, sequences, self.beams))
        seen = np.hstack((np.repeat(self.before, len(sequences), axis=0), sequences))
        scores = ruled(scores, seen, self.rules, self.parameters, length)
        drawn = self.parameters["do_sample"]
        if drawn:
            scores = narrowed(scores, self.parameters, keep=len(self.rules.ends) + 1)
        vocabulary = scores.shape[1]
        scores = (scores.reshape(texts, self.beams, -1) + self.running_scores[:, :, None]).reshape(texts, -1)
        chosen = _draw(scores, self.candidates, self.rng) if drawn else largest(scores, self.candidates)
        return _gather(scores, chosen), chosen // vocabulary, chosen % vocabulary

    def _keep_ended(self, continued: Integers, scores: Floats, stops: NDArray[np.bool_], length: int) -> None:
        """Adds the candidates that have ended to those before, and keeps the best of both."""
        # A candidate behind as many as there are beams is only there to go on.
        ended = stops & (np.arange(self.candidates) < self.beams)
        if not ended.any():
            return
        scores = scores / np.float32(length ** self.parameters["length_penalty"])
        scores = scores + np.where(ended, np.float32(0), _WORST)
        texts = self.unfinished
        all_scores = np.concatenate((self.ended_scores[texts], scores), axis=1)
        lengths = np.concatenate((self.ended_lengths[texts], np.full(scores.shape, length + 1)), axis=1)
        best = largest(all_scores, self.beams)
        self.ended[texts] = _gather(np.concatenate((self.ended[texts], continued), axis=1), best)
        self.ended_scores[texts] = _gather(all_scores, best)
        self.ended_lengths[texts] = _gather(lengths, best)
        self.has_ended[texts] = _gather(np.concatenate((self.has_ended[texts], ended), axis=1), best)

    def _go_on(self, continued: Integers, scores: Floats, stops: NDArray[np.bool_], beams: Integers) -> Integers:
        """Makes the best candidates that have not ended the next beams, and tells whose rows they go on from."""
        scores = scores + np.where(stops, _WORST, np.float32(0))
        best = largest(scores, self.beams)
        self.running, self.running_scores = _gather(continued, best), _gather(scores, best)
        first_rows = np.arange(len(beams))[:, None] * self.beams
        rows: Integers = _gather(beams, best) + first_rows
        return rows

    def _improvable(self, length: int) -> NDArray[np.bool_]:
        """Whether a text's best beam could still become better than the worst that has ended, were it to end now."""
        possible = self.running_scores[:, :1] / np.float32(length ** self.parameters["length_penalty"])
        has_ended, ended_scores = self.has_ended[self.unfinished], self.ended_scores[self.unfinished]
        worst = np.where(has_ended, ended_scores.min(axis=1, keepdims=True), _WORST)
        improvable: NDArray[np.bool_] = np.any(possible > worst, axis=1)
        if self.parameters["early_stopping"]:
            improvable[has_ended.all(axis=1)] = False
        return improvable


def ruled(
    scores: Floats, sequences: Integers, rules: Rules, parameters: dict[str, Any], length: int | None = None
) -> Floats:
    """The scores without what the rules and the parameters forbid after the sequences.

    Args:
        sequences: what was read and written; negative where a row has nothing, as its neighbours have more.
        length: of what was written, with the start; None: all was.
    """
    length, scores = sequences.shape[1] if length is None else length, scores.copy()
    penalty = parameters["repetition_penalty"]
    if penalty != 1:
        seen = np.where(sequences < 0, sequences[:, -1:], sequences)
        written = np.take_along_axis(scores, seen, axis=1)
        written = np.where(written < 0, written * penalty, written / penalty).astype(np.float32)
        np.put_along_axis(scores, seen, written, axis=1)
    if parameters["no_repeat_ngram_size"] > 0:
        _ban_repeated(scores, sequences, parameters["no_repeat_ngram_size"])
    scores[:, list(rules.banned)] = -np.inf
    if length <= parameters["min_new_tokens"]:
        scores[:, list(rules.ends)] = -np.inf
    if rules.first is not None and length == 1:
        _force(scores, (rules.first,))
    if rules.last and length == parameters["max_new_tokens"]:
        _force(scores, rules.last)
    return scores


def _ban_repeated(scores: Floats, sequences: Integers, size: int) -> None:
    """Forbids every token that would end a run of tokens that is there already."""
    length = sequences.shape[1]
    if length < size:
        return
    runs = np.lib.stride_tricks.sliding_window_view(sequences, size, axis=1)
    begun = sequences[:, length + 1 - size :]
    rows, places = np.nonzero((runs[:, :, :-1] == begun[:, None]).all(axis=2))
    scores[rows, runs[rows, places, -1]] = -np.inf


def _force(scores: Floats, tokens: tuple[int, ...]) -> None:
    scores[:] = -np.inf
    scores[:, list(tokens)] = 0


def narrowed(scores: Floats, parameters: dict[str, Any], keep: int) -> Floats:
    """The scores to draw from: by temperature, and without the tokens that top_k and top_p leave out.

    Args:
        keep: tokens that remain at least.
    """
    scores = scores / np.float32(parameters["temperature"])
    top_k, top_p = parameters["top_k"], parameters["top_p"]
    if top_k > 0:
        count = min(max(top_k, keep), scores.shape[1])
        least = np.partition(scores, -count, axis=1)[:, -count, None]
        scores = np.where(scores < least, np.float32(-np.inf), scores)
    if top_p < 1:
        order = np.argsort(scores, axis=1, kind="stable")
        total = np.exp(_log_softmax(np.take_along_axis(scores, order, axis=1))).cumsum(axis=1)
        unlikely = total <= 1 - top_p
        unlikely[:, -keep:] = False
        remaining = np.empty_like(unlikely)
        np.put_along_axis(remaining, order, ~unlikely, axis=1)
        scores = np.where(remaining, scores, np.float32(-np.inf))
    scores = _likely(scores, parameters.get("min_p") or 0.0, keep)
    return _typical(scores, parameters.get("typical_p") or 1.0, keep)


def _likely(scores: Floats, min_p: float, keep: int) -> Floats:
    """The scores without what is less likely than so large a part of the likeliest."""
    if min_p == 0:
        return scores
    least = scores.max(axis=1, keepdims=True) + np.log(np.float32(min_p))
    kept = np.partition(scores, -keep, axis=1)[:, -keep, None]
    return np.where(scores < np.minimum(least, kept), np.float32(-np.inf), scores)


def _typical(scores: Floats, share: float, keep: int) -> Floats:
    """The scores of the tokens that surprise about as much as is usual there, which make up that share together."""
    if share >= 1:
        return scores
    logs = _log_softmax(scores)
    likely = np.exp(logs)
    usual = (likely * np.where(likely > 0, -logs, 0)).sum(axis=1, keepdims=True)
    distance = np.abs(-logs - usual)
    order = np.argsort(distance, axis=1, kind="stable")
    total = np.take_along_axis(likely, order, axis=1).cumsum(axis=1)
    count = np.clip((total < share).sum(axis=1, keepdims=True), keep - 1, scores.shape[1] - 1)
    farthest = np.take_along_axis(distance, np.take_along_axis(order, count, axis=1), axis=1)
    return np.where(distance > farthest, np.float32(-np.inf), scores)


def _draw(scores: Floats, count: int, rng: np.random.Generator) -> Integers:
    """Different places of each row in the order they are drawn, by the softmax of the scores."""
    # With noise of this kind the largest are such a draw.
    return largest(scores + rng.gumbel(size=scores.shape), count)


def largest(values: NDArray[Any], count: int) -> Integers:
    """The places of the largest values of each row, largest first; of equal ones, the first."""
    width = values.shape[1]
    if width < 2 * count * _BLOCK:
        return np.argsort(-values, axis=1, kind="stable")[:, :count]
    # The largest are in as many blocks, or in what the blocks leave over.
    blocks = values[:, : width - width % _BLOCK].reshape(len(values), -1, _BLOCK).max(axis=2)
    chosen = np.sort(np.argsort(-blocks, axis=1, kind="stable")[:, :count], axis=1)
    places = (chosen[:, :, None] * _BLOCK + np.arange(_BLOCK)).reshape(len(values), -1)
    rest = np.broadcast_to(np.arange(width - width % _BLOCK, width), (len(values), width % _BLOCK))
    places = np.hstack((places, rest))
    order = np.argsort(-_gather(values, places), axis=1, kind="stable")[:, :count]
    return _gather(places, order)


def _gather(values: NDArray[Any], places: Integers) -> NDArray[Any]:
    """The values at the places of each row; of more dimensions, whole."""
    return values[np.arange(len(values))[:, None], places]


def _any_of(tokens: Integers, ends: tuple[int, ...]) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = (tokens[..., None] == np.array(ends, dtype=np.int64)).any(axis=-1)
    return found


def _log_softmax(logits: Floats) -> Floats:
    logs: Floats = logits - logits.max(axis=1, keepdims=True)
    logs -= np.log(np.exp(logs).sum(axis=1, keepdims=True))
    return logs
