"""Runs a whole transformers model with its tokenizer; the only module that imports transformers."""

import copy
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from model_functions.engines import Tokens, check_length, torch, unknown_language

# A tokenizer that knows no limit names one beyond this.
_NO_LIMIT = 1_000_000
_BEAM_ONLY = ("length_penalty", "early_stopping")
_SAMPLING_ONLY = ("temperature", "top_k", "top_p")
_TURNED = (
    *("max_length", "min_length", "max_new_tokens", "min_new_tokens", "num_beams", "num_return_sequences"),
    *("no_repeat_ngram_size", "repetition_penalty", "do_sample", *_BEAM_ONLY, *_SAMPLING_ONLY),
)


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
        # Where it was loaded from is the publisher's own affair, and would make two equal artifacts differ.
        for holder in (self.tokenizer, *self.model.modules()):
            if hasattr(holder, "name_or_path"):
                holder.name_or_path = ""
        self.model.config._name_or_path = ""
        self.tokenizer.init_kwargs.pop("name_or_path", None)
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

    def encode(self, texts: list[str]) -> Tokens:
        fast = self.tokenizer.is_fast
        # What is too long is refused below: a warning too would say it twice.
        wanted = {"return_attention_mask": True, "return_offsets_mapping": fast, "return_tensors": "np"}
        batch = self.tokenizer(texts, padding=True, verbose=False, **wanted)
        for index, count in enumerate(batch["attention_mask"].sum(axis=1)):
            check_length(index, int(count), self.max_tokens)
        spans = batch.pop("offset_mapping", np.zeros((len(texts), 0, 2), dtype=np.int64))
        return Tokens(
            arrays={name: np.asarray(array, dtype=np.int64) for name, array in batch.items()},
            words=[batch.word_ids(index) if fast else [] for index in range(len(texts))],
            spans=[[(int(start), int(end)) for start, end in row] for row in spans],
        )


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


@dataclass(frozen=True)
class LoadedImageClassifier:
    """A folder's image classifier.

    Args:
        processor: its image processor's settings, the defaults of its class included.
        channels: of the images that the model was trained on.
        multi_label: whether several labels may hold at once.
    """

    engine: torch.ImageClassifier
    processor: dict[str, Any]
    channels: int
    multi_label: bool


def load_image_classifier(source: str) -> LoadedImageClassifier:
    """From a Hub id or a folder. Raises OSError where there is none, ValueError where it gives numbers, not labels."""
    import transformers

    transformers.utils.logging.disable_progress_bar()
    # The kind that needs no torchvision; its settings are those of the other.
    processor = transformers.AutoImageProcessor.from_pretrained(source, backend="pil")
    model = transformers.AutoModelForImageClassification.from_pretrained(source)
    config = model.config
    if config.problem_type == "regression":
        raise ValueError("The model was trained for regression (problem_type): it gives numbers, and no labels.")
    for holder in model.modules():
        if hasattr(holder, "name_or_path"):
            holder.name_or_path = ""
    config._name_or_path = ""
    labels = [str(config.id2label[index]) for index in range(config.num_labels)]
    return LoadedImageClassifier(
        torch.ImageClassifier(model, labels),
        processor.to_dict(),
        channels=_channels(config),
        multi_label=config.problem_type == "multi_label_classification" or len(labels) == 1,
    )


def _channels(config: Any) -> int:
    """Models that also read text keep it with what sees; some never say that it is three."""
    seeing = getattr(config, "vision_config", config)
    channels: int = getattr(seeing, "num_channels", 3)
    return channels


class TransformersGenerator(TransformersEngine):
    """A transformers encoder-decoder, driven through ``generate``."""

    auto_class = "AutoModelForSeq2SeqLM"

    def __init__(self, model: Any, tokenizer: Any, *, max_tokens: int | None = None) -> None:
        super().__init__(model, tokenizer, max_tokens=max_tokens)
        own = self.model.generation_config
        self._defaults = {name: value for name, value in own.to_dict().items() if value is not None}
        # A tokenizer of several languages stays in the one it was last set to: each request sets its own.
        self.source_language: str | None = tokenizer.src_lang if self.multilingual else None
        # A hash that changes with the process; it only tells save_pretrained of changes.
        own._original_object_hash = None
        # What requests turn is theirs alone: generate would fill their silence from here, and warn.
        for name in _TURNED:
            setattr(own, name, None)

    @property
    def multilingual(self) -> bool:
        return hasattr(self.tokenizer, "set_src_lang_special_tokens")

    @property
    def longest_answer(self) -> int | None:
        positions = _positions(self.model.config, "max_decoder_position_embeddings")
        # One position is the start token's.
        return None if positions is None else positions - 1

    def encode_from(self, texts: list[str], language: str | None) -> Tokens:
        if self.source_language is not None:
            spoken = language or self.source_language
            self._language_id(spoken, "source_language")
            self.tokenizer.src_lang = spoken
        return self.encode(texts)

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
        return self._defaults

    def _generation_config(self, parameters: dict[str, Any]) -> Any:
        """The model's own configuration with the request's parameters in it."""
        config = copy.deepcopy(self.model.generation_config)
        # What the search does not use stays unset: transformers warns about it.
        unused = {*(() if parameters["num_beams"] > 1 else _BEAM_ONLY)}
        unused |= {*(() if parameters["do_sample"] else _SAMPLING_ONLY)}
        for name in set(_TURNED) & set(parameters) - unused:
            setattr(config, name, parameters[name])
        language = parameters.get("target_language")
        if language is not None:
            config.forced_bos_token_id = self._language_id(language, "target_language")
        return config

    def _language_id(self, language: str, parameter: str) -> int:
        tokens = self._language_tokens()
        if language not in tokens:
            raise unknown_language(language, parameter, tokens)
        number: int = self.tokenizer.convert_tokens_to_ids(tokens[language])
        return number

    def languages(self) -> dict[str, int]:
        """The number of each language's token; none for a model of one language."""
        return (
            {language: self._language_id(language, "") for language in self._language_tokens()}
            if self.multilingual
            else {}
        )

    def _language_tokens(self) -> dict[str, str]:
        """The token of each language: M2M wraps its code, for the others the token is the code."""
        wrapped: dict[str, str] | None = getattr(self.tokenizer, "lang_code_to_token", None)
        return wrapped or {token: token for token in self.tokenizer.all_special_tokens if "_" in token}


def _limit(model: Any, tokenizer: Any) -> int | None:
    limits = (tokenizer.model_max_length, _positions(model.config, "max_encoder_position_embeddings"))
    return min((limit for limit in limits if limit is not None and limit < _NO_LIMIT), default=None)


def _positions(config: Any, own_name: str) -> int | None:
    """How many positions the model has; None when it counts distances instead."""
    positions: int | None = getattr(config, own_name, None) or getattr(config, "max_position_embeddings", None)
    return positions
