"""Runs a whole transformers model with its tokenizer; with image_folder.py the only one that imports transformers."""

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from model_functions.engines import Tokens, check_length, generation_config, torch, unknown_language
from model_functions.engines.chat import ChatTemplate
from model_functions.engines.texts import rectangle

#: Held while a tokenizer works: each call tells it anew how to pad, to cut, and in which language to read.
_TOKENIZING = threading.RLock()

# A tokenizer that knows no limit names one beyond this.
_NO_LIMIT = 1_000_000


class TransformersEngine:
    """A model and its tokenizer, as ``from_pretrained`` gives them.

    Args:
        max_tokens: the longest text in tokens, special ones included; None: as many as the
            tokenizer and the model's positions allow.
    """

    auto_class: str
    spare: ClassVar[tuple[str, ...]] = ()
    """The parts of the model that nothing is asked of."""

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
    def from_pretrained(cls, source: str, *, max_tokens: int | None = None, subfolder: str = "") -> Self:
        """From a Hub id or a folder. Raises OSError where there is none, ValueError where it lacks weights."""
        # Imported here: an unpickled model brings its own classes and needs none of the Auto ones.
        import transformers

        if not sys.stderr.isatty():
            transformers.utils.logging.disable_progress_bar()
        tokenizer = transformers.AutoTokenizer.from_pretrained(source, subfolder=subfolder)
        auto = getattr(transformers, cls.auto_class_of(source, subfolder))
        with _without_report():
            model, loading = auto.from_pretrained(source, subfolder=subfolder, output_loading_info=True)
        lacking = sorted(name for name in loading["missing_keys"] if not name.startswith(cls.spare))
        if lacking:
            # transformers would go on with random ones.
            raise ValueError(
                f"{source} has no weights for {lacking[0]} ({len(lacking)} are missing): it was not trained as "
                f"{type(model).__name__}. Choose the family that it was trained for."
            )
        return cls(model, tokenizer, max_tokens=max_tokens)

    @classmethod
    def auto_class_of(cls, source: str, subfolder: str) -> str:
        """The class of transformers that reads the source."""
        return cls.auto_class

    def encode(self, texts: list[str], pairs: list[str] | None = None, *, truncate: bool = False) -> Tokens:
        fast, cut = self.tokenizer.is_fast, truncate and self.max_tokens is not None
        # What is too long is refused below: a warning too would say it twice.
        wanted = {"return_attention_mask": True, "return_offsets_mapping": fast, "return_tensors": "np"}
        wanted |= {"truncation": True, "max_length": self.max_tokens} if cut else {}
        with _TOKENIZING:
            batch = self.tokenizer(texts, pairs, padding=True, verbose=False, **wanted)
        for index, count in enumerate(batch["attention_mask"].sum(axis=1)):
            check_length(index, int(count), self.max_tokens)
        spans = batch.pop("offset_mapping", np.zeros((len(texts), 0, 2), dtype=np.int64))
        return Tokens(
            arrays={name: np.asarray(array, dtype=np.int64) for name, array in batch.items()},
            words=[batch.word_ids(index) if fast else [] for index in range(len(texts))],
            spans=[[(int(start), int(end)) for start, end in row] for row in spans],
            padding={
                "input_ids": self.tokenizer.pad_token_id or 0,
                "token_type_ids": self.tokenizer.pad_token_type_id,
            },
            padded_left=self.tokenizer.padding_side == "left",
        )

    def __getstate__(self) -> dict[str, Any]:
        if self.tokenizer.is_fast:
            # The last call's, and no matter of the model.
            self.tokenizer.backend_tokenizer.no_padding()
            self.tokenizer.backend_tokenizer.no_truncation()
        return self.__dict__


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


@contextmanager
def _without_report() -> Iterator[None]:
    """transformers prints a table of what a source lacks; what matters of it is looked at here."""
    from transformers.utils import logging

    before = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(before)


class TransformersClassifier(TransformersEngine):
    """A transformers model that labels texts and pairs of texts."""

    auto_class = "AutoModelForSequenceClassification"

    def __init__(self, model: Any, tokenizer: Any, *, max_tokens: int | None = None) -> None:
        _ensure_padding(model, tokenizer)
        super().__init__(model, tokenizer, max_tokens=max_tokens)
        self.labels: list[str] = [model.config.id2label[index] for index in range(model.config.num_labels)]
        self.function_to_apply = _function_to_apply(model.config)

    def logits(self, tokens: Tokens) -> NDArray[np.float32]:
        return torch.array(torch.run(self.model, tokens.arrays).logits)


class TransformersEmbedder(TransformersEngine):
    """A transformers model whose vectors of tokens are wanted."""

    auto_class = "AutoModel"
    spare = ("pooler.",)

    def __init__(self, model: Any, tokenizer: Any, *, max_tokens: int | None = None) -> None:
        _ensure_padding(model, tokenizer)
        # A pooler is never asked; and where its weights are missing, random ones would make two artifacts differ.
        if getattr(model, "pooler", None) is not None:
            model.pooler = None
        super().__init__(model, tokenizer, max_tokens=max_tokens)

    @classmethod
    def auto_class_of(cls, source: str, subfolder: str) -> str:
        """Of an encoder-decoder the encoder, where transformers has it alone (T5)."""
        from transformers import MODEL_FOR_TEXT_ENCODING_MAPPING, AutoConfig

        config = AutoConfig.from_pretrained(source, subfolder=subfolder)
        alone = config.is_encoder_decoder and type(config) in MODEL_FOR_TEXT_ENCODING_MAPPING
        return "AutoModelForTextEncoding" if alone else cls.auto_class

    def last_hidden_state(self, tokens: Tokens) -> NDArray[np.float32]:
        return torch.array(torch.run(self.model, tokens.arrays).last_hidden_state)


class TransformersGenerator(TransformersEngine):
    """A transformers encoder-decoder, driven through ``generate``."""

    auto_class = "AutoModelForSeq2SeqLM"

    def __init__(self, model: Any, tokenizer: Any, *, max_tokens: int | None = None) -> None:
        super().__init__(model, tokenizer, max_tokens=max_tokens)
        own = self.model.generation_config
        self._defaults = generation_config.values(own)
        # A tokenizer of several languages stays in the one it was last set to: each request sets its own.
        self.source_language: str | None = tokenizer.src_lang if self.multilingual else None
        # A hash that changes with the process; it only tells save_pretrained of changes.
        own._original_object_hash = None
        generation_config.clear(own)

    @property
    def multilingual(self) -> bool:
        return hasattr(self.tokenizer, "set_src_lang_special_tokens")

    @property
    def longest_answer(self) -> int | None:
        positions = _positions(self.model.config, "max_decoder_position_embeddings")
        # One position is the start token's.
        return None if positions is None else positions - 1

    def encode_from(self, texts: list[str], language: str | None) -> Tokens:
        with _TOKENIZING:
            if self.source_language is not None:
                spoken = language or self.source_language
                self._language_id(spoken, "source_language")
                self.tokenizer.src_lang = spoken
            return self.encode(texts)

    def generate(
        self, tokens: Tokens, parameters: dict[str, Any], check: Callable[[], None] | None = None
    ) -> NDArray[np.int64]:
        config = self._generation_config(parameters)

        def stopped(written: Any, scores: Any) -> Any:
            if check is not None:
                check()
            return (written != written)[:, 0]

        inputs = torch.tensors({name: tokens.arrays[name] for name in ("input_ids", "attention_mask")})
        with torch.seeded(parameters.get("seed")):
            sequences = self.model.generate(**inputs, generation_config=config, stopping_criteria=[stopped])
        return np.asarray(sequences.numpy(), dtype=np.int64)

    def decode(self, sequences: NDArray[np.int64]) -> list[str]:
        texts: list[str] = self.tokenizer.batch_decode(sequences, skip_special_tokens=True)
        return [text.strip() for text in texts]

    def generation_defaults(self) -> dict[str, Any]:
        return self._defaults

    def _generation_config(self, parameters: dict[str, Any]) -> Any:
        config = generation_config.for_request(self.model.generation_config, parameters)
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


class TransformersWriter(TransformersEngine):
    """A transformers decoder, which goes on with a text; what it writes is searched for by us."""

    auto_class = "AutoModelForCausalLM"
    scheduler = None

    def __init__(self, model: Any, tokenizer: Any, *, max_tokens: int | None = None) -> None:
        super().__init__(model, tokenizer, max_tokens=max_tokens)
        own = self.model.generation_config
        self.rules = generation_config.rules(own)
        self._defaults = generation_config.values(own)
        # A hash that changes with the process; it only tells save_pretrained of changes.
        own._original_object_hash = None
        self.chat = _chat_template(tokenizer)

    @property
    def positions(self) -> int | None:
        return self.max_tokens

    def numbers(self, text: str, *, special: bool) -> list[int]:
        found: list[int] = self.tokenizer(text, add_special_tokens=special, verbose=False)["input_ids"]
        return found

    def text(self, numbers: list[int]) -> str:
        # Closing up spaces would take back what has been told already.
        text: str = self.tokenizer.decode(numbers, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return text

    def specials(self) -> dict[int, str]:
        added = self.tokenizer.added_tokens_decoder.items()
        return {number: token.content for number, token in added if token.special}

    @property
    def vocabulary(self) -> int:
        return len(self.tokenizer)

    def fits(self, prompt: int, longest: int, answers: int) -> bool:
        return True

    def memory_bytes(self) -> int:
        # torch takes it and gives it back with each text.
        return 0

    def read(self, prompts: list[list[int]]) -> Any:
        return torch.CausalSteps(self.model, *rectangle(prompts, self.rules.pad, "left"))

    def generation_defaults(self) -> dict[str, Any]:
        return self._defaults


def _chat_template(tokenizer: Any) -> ChatTemplate | None:
    source = tokenizer.chat_template
    if isinstance(source, dict):
        source = source.get("default")
    if source is None:
        return None
    return ChatTemplate(source, {name: str(token) for name, token in tokenizer.special_tokens_map.items()})


def model_file(source: str, name: str) -> Path | None:
    """A file of a folder or a Hub id; None where there is no such file."""
    from transformers.utils import cached_file

    found = cached_file(
        source, name, _raise_exceptions_for_missing_entries=False, _raise_exceptions_for_connection_errors=False
    )
    return None if found is None else Path(found)


def _ensure_padding(model: Any, tokenizer: Any) -> None:
    """A decoder's tokenizer often knows no padding, and the model finds a text's end by it."""
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    if model.config.pad_token_id is None:
        model.config.pad_token_id = tokenizer.pad_token_id


def _function_to_apply(config: Any) -> str:
    """As transformers' own pipeline chooses it."""
    if config.problem_type == "regression":
        return "none"
    single = config.num_labels == 1 or config.problem_type == "multi_label_classification"
    return "sigmoid" if single else "softmax"


def _limit(model: Any, tokenizer: Any) -> int | None:
    limits = (tokenizer.model_max_length, _positions(model.config, "max_encoder_position_embeddings"))
    return min((limit for limit in limits if limit is not None and limit < _NO_LIMIT), default=None)


def _positions(config: Any, own_name: str) -> int | None:
    """How many positions the model has; None when it counts distances instead."""
    positions: int | None = getattr(config, own_name, None) or getattr(config, "max_position_embeddings", None)
    return positions
