"""Chooses the tokens of one answer: the likeliest ones, or drawn ones."""

from typing import Any

import numpy as np

from model_functions.engines.likelihood import Likelihood, likelihood
from model_functions.engines.search import Floats, Integers, Rules, narrowed, ruled


class Choice:
    """The choice of an answer's tokens, which no other answer takes part in.

    It draws from numbers of its own, which follow from the seed and from which of its prompt's answers it is:
    a prompt is answered alike alone and among others.

    Args:
        parameters: those of GENERATION_PARAMETERS that concern the search, and ``logprobs``.
        copy: which of its prompt's answers it is.
    """

    def __init__(self, rules: Rules, parameters: dict[str, Any], copy: int) -> None:
        self._rules, self._parameters = rules, parameters
        seed = parameters["seed"]
        self._random = np.random.default_rng(None if seed is None else (seed, copy))
        self._ruled = bool(
            parameters["repetition_penalty"] != 1
            or parameters["no_repeat_ngram_size"]
            or rules.banned
            or rules.first is not None
            or rules.last
        )
        self._presence: float = parameters.get("presence_penalty") or 0.0
        self._frequency: float = parameters.get("frequency_penalty") or 0.0
        self._logprobs: int | None = parameters.get("logprobs")
        self.likelihood: Likelihood | None = None
        """Of the last token, where it is asked for."""

    def token(self, scores: Floats, sequence: Integers, length: int) -> int:
        """The token that follows.

        Args:
            scores: how likely each is to.
            sequence: the tokens before it.
            length: of the answer, with this token.
        """
        token = self._chosen(scores[None], sequence[None], length)
        if self._logprobs is not None:
            self.likelihood = likelihood(scores, token, self._logprobs)
        return token

    def _chosen(self, scores: Floats, sequences: Integers, length: int) -> int:
        # Most answers follow no rules, and a copy of all scores takes a while.
        if self._ruled or length <= self._parameters["min_new_tokens"]:
            scores = ruled(scores, sequences, self._rules, self._parameters, length)
            if scores.max() == -np.inf:
                # Rules that forbid every token: the first, as the likeliest would be.
                return 0
        if self._presence or self._frequency:
            scores = self._penalised(scores, sequences[0, sequences.shape[1] - length + 1 :])
        return self._drawn(scores) if self._parameters["do_sample"] else int(scores.argmax())

    def _penalised(self, scores: Floats, answer: Integers) -> Floats:
        """The scores with less for the tokens that the answer has already: once, and for each time."""
        tokens, counts = np.unique(answer, return_counts=True)
        scores = scores.copy()
        scores[0, tokens] -= (self._presence + self._frequency * counts).astype(np.float32)
        return scores

    def _drawn(self, scores: Floats) -> int:
        places = self._likeliest(scores)
        scores = narrowed(scores[:, places], self._parameters, keep=1)[0]
        shares = np.exp((scores - scores.max()).astype(np.float64)).cumsum()
        return int(places[int((shares <= self._random.random() * shares[-1]).sum())])

    def _likeliest(self, scores: Floats) -> Integers:
        """The places of what top_k leaves over: the rest of the draw then looks at no others."""
        count = self._parameters["top_k"]
        if not 0 < count < scores.shape[1]:
            return np.arange(scores.shape[1])
        return np.flatnonzero(scores[0] >= np.partition(scores[0], -count)[-count])
