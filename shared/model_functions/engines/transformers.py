"""Runs a whole transformers model with its tokenizer; the only module that imports transformers."""

import copy
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from model_functions.engines import Tokens, torch
from model_functions.errors import InvalidInput

# A tokenizer that knows no limit names one beyond this.
_NO_LIMIT = 1_000_000
_BEAM_ONLY = ("length_penalty", "early_stopping")
_SAMPLING_ONLY = ("temperature", "top_k", "top_p")


class TransformersEngine:
    """A model and its tokenizer, as ``from_pretrained`` gives them.

    Args:
        max_tokens: the longest text in tokens, special ones included; None: as many as the
            tokenizer and the model's positions allow.
    """

    auto_class: str

    def __init__(self, model: Any, tokenizer: Any, *, max_tokens: int | None = None) -> None:
        self.model = torch.frozen(model)
        self.tokenizer = tokenizer
        self.max_tokens = max_tokens or _limit(model, tokenizer)

    @classmethod
    def from_pretrained(cls, source: str, *, max_tokens: int | None = None) -> Self:
        """From a Hub id or a folder. Raises OSError where there is none."""
        # Imported here: an unpickled model brings its own classes and needs none of the Auto ones.
        import transformers

        transformers.utils.logging.disable_progress_bar()
        tokenizer = transformers.AutoTokenizer.from_pretrained(source)
        model = getattr(transformers, cls.auto_class).from_pretrained(source)
        return cls(model, tokenizer, max_tokens=max_tokens)

    def encode(self, texts: list[str], source_language: str | None = None) -> Tokens:
        if source_language is not None:
            self._speak("src_lang", source_language, "source_language")
        # One by one, and refused before the padding: a long text would cost all the others its length.
        for index, text in enumerate(texts):
            self._check_length(index, len(self.tokenizer(text)["input_ids"]))
        fast = self.tokenizer.is_fast
        batch = self.tokenizer(texts, padding=True, return_offsets_mapping=fast, return_tensors="np")
        spans = batch.pop("offset_mapping", np.zeros((len(texts), 0, 2), dtype=np.int64))
        return Tokens(
            arrays={name: np.asarray(array, dtype=np.int64) for name, array in batch.items()},
            words=[batch.word_ids(index) if fast else [] for index in range(len(texts))],
            spans=[[(int(start), int(end)) for start, end in row] for row in spans],
        )

    def _check_length(self, index: int, count: int) -> None:
        if self.max_tokens is not None and count > self.max_tokens:
            raise InvalidInput(
                f"data[{index}]", f"The text has {count} tokens; the model reads {self.max_tokens}. Send it in parts."
            )

    def _speak(self, attribute: str, language: str, parameter: str) -> None:
        if not hasattr(self.tokenizer, attribute):
            raise InvalidInput(
                f"parameters.{parameter}", f'"{parameter}": this model knows one pair of languages. Leave it out.'
            )
        if self.tokenizer.convert_tokens_to_ids(_language_token(self.tokenizer, language)) in _unknown(self.tokenizer):
            raise InvalidInput(
                f"parameters.{parameter}", f'"{parameter}": "{language}" is no language of this model\'s tokenizer.'
            )
        setattr(self.tokenizer, attribute, language)


class TransformersTagger(TransformersEngine):
    """A transformers model that labels tokens; needs a fast tokenizer for the places of the words."""

    auto_class = "AutoModelForTokenClassification"

    def __init__(self, model: Any, tokenizer: Any, *, max_tokens: int | None = None) -> None:
        if not tokenizer.is_fast:
            raise ValueError(
                f"{type(tokenizer).__name__} does not say where its tokens stand in the text. "
                "Convert it to a fast tokenizer (tokenizer.json)."
            )
        super().__init__(model, tokenizer, max_tokens=max_tokens)
        self.labels: list[str] = [model.config.id2label[index] for index in range(model.config.num_labels)]

    def logits(self, tokens: Tokens) -> NDArray[np.float32]:
        return torch.array(torch.run(self.model, tokens.arrays).logits)


class TransformersGenerator(TransformersEngine):
    """A transformers encoder-decoder, driven through ``generate``."""

    auto_class = "AutoModelForSeq2SeqLM"

    def generate(self, tokens: Tokens, parameters: dict[str, Any]) -> NDArray[np.int64]:
        config = self._generation_config(parameters)
        inputs = torch.tensors({name: tokens.arrays[name] for name in ("input_ids", "attention_mask")})
        with torch.seeded(parameters.get("seed")):
            sequences = self.model.generate(**inputs, generation_config=config)
        return np.asarray(sequences.numpy(), dtype=np.int64)

    def decode(self, sequences: NDArray[np.int64]) -> list[str]:
        texts: list[str] = self.tokenizer.batch_decode(sequences, skip_special_tokens=True)
        return [text.strip() for text in texts]

    def generation_defaults(self) -> dict[str, Any]:
        config = self.model.generation_config.to_dict()
        return {name: value for name, value in config.items() if value is not None}

    def _generation_config(self, parameters: dict[str, Any]) -> Any:
        """The model's own configuration with the request's parameters in place of its own."""
        config = copy.deepcopy(self.model.generation_config)
        # Lengths count new tokens here; the model's absolute ones would contradict them.
        config.max_length = None
        config.min_length = None
        left_out = {"seed", "prefix", "source_language", "target_language"}
        # What the search does not use is left to the model: transformers warns about it.
        left_out.update(() if parameters["num_beams"] > 1 else _BEAM_ONLY)
        left_out.update(() if parameters["do_sample"] else _SAMPLING_ONLY)
        for name in left_out & {*_BEAM_ONLY, *_SAMPLING_ONLY}:
            setattr(config, name, None)
        for name, value in parameters.items():
            if value is not None and name not in left_out:
                setattr(config, name, value)
        target_language = parameters.get("target_language")
        if target_language is not None:
            self._speak("tgt_lang", target_language, "target_language")
            token = _language_token(self.tokenizer, target_language)
            config.forced_bos_token_id = self.tokenizer.convert_tokens_to_ids(token)
        return config


def _limit(model: Any, tokenizer: Any) -> int | None:
    limits = (tokenizer.model_max_length, getattr(model.config, "max_position_embeddings", None))
    return min((limit for limit in limits if limit is not None and limit < _NO_LIMIT), default=None)


def _language_token(tokenizer: Any, language: str) -> str:
    """The token that names a language: M2M wraps its code, NLLB's token is the code."""
    wrapped: str = getattr(tokenizer, "lang_code_to_token", {}).get(language, language)
    return wrapped


def _unknown(tokenizer: Any) -> tuple[int | None, ...]:
    return (None, tokenizer.unk_token_id)
