"""A text generation model that is asked how likely a text is, and writes nothing: its own graph, token by token."""

from contextlib import ExitStack
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np

from deploy.batch.pinned import PinnedModel
from model_functions.engines.likelihood import likelihood
from model_functions.engines.scheduler import PagedDecoder, Seat, need
from model_functions.engines.search import Decoder
from model_functions.errors import InvalidInput
from model_functions.families.text_generation import TextGenerationWrapper
from model_functions.loaded import LoadedModel
from model_functions.wrapper import ModelWrapper


class SurprisedModel(PinnedModel):
    """A revision that predicts ``{"logprob", "tokens"}`` of texts."""

    def load(self) -> LoadedModel:
        loaded = super().load()
        if not isinstance(loaded.wrapper, TextGenerationWrapper):
            raise TypeError(f"{type(loaded.wrapper).__name__} writes no texts")
        return replace(loaded, wrapper=SurprisedWrapper(loaded.wrapper))


class SurprisedWrapper(ModelWrapper):
    """Reads texts, and guesses each token from those before it; the first is given."""

    family, task = "text_generation", "perplexity"

    def __init__(self, writer: TextGenerationWrapper) -> None:
        super().__init__(writer.input)
        self.engine = writer.engine

    def predict(self, data: Any, parameters: Any = None) -> dict[str, float]:
        if not isinstance(data, str):
            raise InvalidInput("data", "data is no text. Perplexity is measured of texts.")
        items, _ = self.input.items(data)
        numbers = self.engine.numbers(items[0].text, special=True)
        self._check(numbers)
        with ExitStack() as held:
            decoder = self._decoder(numbers, held)
            steps = pairwise(numbers)
            logprobs = [likelihood(decoder.step(np.array([[one]]))[0], after, 0).logprob for one, after in steps]
        return {"logprob": sum(logprobs), "tokens": len(logprobs)}

    def _check(self, numbers: list[int]) -> None:
        positions = self.engine.positions
        if len(numbers) < 2:
            raise InvalidInput("data", "data is a single token, and the first is given. Send a longer text.")
        if positions is not None and len(numbers) > positions:
            raise InvalidInput("data", f"data has {len(numbers)} tokens; the model reads {positions}. Cut the text.")
        if not self.engine.fits(1, len(numbers), 1):
            raise InvalidInput("data", f"data has {len(numbers)} tokens, more than the memory for them holds. Cut it.")

    def _decoder(self, numbers: list[int], held: ExitStack) -> Decoder:
        """The model before the second token."""
        scheduler = self.engine.scheduler
        if scheduler is None:
            return self.engine.read([numbers[:1]])
        seat = Seat(need(1, len(numbers), 1))
        held.callback(scheduler.leave, seat)
        scheduler.join(seat)
        while not seat.taken:  # where others read, who are over soon
            scheduler.step()
        decoder = PagedDecoder(scheduler, numbers[:1])
        held.callback(decoder.close)
        return decoder
