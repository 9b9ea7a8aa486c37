"""The fast lane of a wrapper that writes text: two graphs, a tokenizer, and a search of our own."""

import copy
from typing import Any

import numpy as np

from deploy.lanes import (
    TOLERANCE,
    Lane,
    NotEqual,
    apart,
    as_stored,
    batches,
    check_predictions,
    check_single,
    checked_difference,
    generation_graphs,
    graphs,
    longest,
)
from deploy.lanes.generation_graphs import Exported
from model_functions.artifact.manifest import EngineRecord
from model_functions.engines import Tokens
from model_functions.engines.generator import Facts, GraphGenerator, Language
from model_functions.engines.search import Rules
from model_functions.wrapper import ModelWrapper

ENGINES = ("onnxruntime",)

#: Searches whose tokens must be equal: the wrapper's own parameters, greedily and with beams.
SEARCHES: tuple[dict[str, Any], ...] = (
    {"num_beams": 1, "num_return_sequences": 1, "do_sample": False},
    {"num_beams": 4, "num_return_sequences": 4, "do_sample": False},
)

#: What a generation_config may say beside what changes nothing: our rules, and what each request sets anew.
_KNOWN = {
    *("bos_token_id", "eos_token_id", "pad_token_id", "decoder_start_token_id", "transformers_version"),
    *("forced_bos_token_id", "forced_eos_token_id", "bad_words_ids", "_from_model_config"),
}

#: The inputs that ``generate`` gives the model.
_INPUTS = ["input_ids", "attention_mask"]


def export(wrapper: Any, examples: list[Any]) -> Exported:
    """Raises ValueError for a model whose ``generate`` does what our search does not."""
    own = wrapper.engine
    rules_of(own.model)
    _tokenizer(own)
    check_single(own.model)
    return generation_graphs.export(own.model)


def build(wrapper: ModelWrapper, engine: str, precision: str, model: Exported, examples: list[Any]) -> Lane:
    """Raises NotEqual where the graphs do not answer as the model does."""
    own: Any = wrapper.engine  # type: ignore[attr-defined]
    fast: Any = copy.copy(wrapper)
    fast.engine = _generator(own, model, half=precision == "fp16")
    stored: Any = as_stored(fast)
    tolerance = TOLERANCE[precision]
    defaults = {name: parameter.default for name, parameter in wrapper.parameters.items()}

    def encode(texts: list[str]) -> Tokens:
        tokens: Tokens = fast.tokens(texts, defaults)
        return tokens

    tried = list(batches(encode, examples))
    compared = (_difference(wrapper, stored, defaults, batch) for batch in [*tried, longest(encode, examples)])
    difference = checked_difference(compared, precision, "first scores")
    for batch in tried:
        for chosen in SEARCHES:
            _check_search(wrapper, stored, defaults | chosen, batch)
    if not defaults["do_sample"]:
        check_predictions(wrapper, stored, examples, 0.0)
    _check_languages(own, stored.engine)
    note = f"{engine} in {precision}: the same tokens as torch; first scores differ by {difference:.1e}"
    return Lane(stored, EngineRecord(engine, precision, tolerance), f"{note} (accepted: {tolerance:.0e})")


def _generator(own: Any, model: Exported, *, half: bool) -> GraphGenerator:
    reader, stepper = graphs_of(model, half=half)
    languages = {
        language: Language(number, _around(own, language)) for language, number in sorted(own.languages().items())
    }
    facts = Facts(own.longest_answer, own.generation_defaults(), own.source_language, languages, model.cache)
    return GraphGenerator(_tokenizer(own), reader, stepper, rules_of(own.model), facts)


def graphs_of(model: Exported, *, half: bool) -> tuple[Any, Any]:
    """The reader and the stepper, over one copy of the weights."""
    shared: dict[Any, Any] = {}
    reader = graphs.onnxruntime_graph(model.reader, half=half, shared=shared)
    # Many steps of few rows each: the time to lay the weights out anew comes back within a few answers.
    return reader, graphs.onnxruntime_graph(model.stepper, half=half, shared=shared, packed=True)


def _tokenizer(own: Any) -> Any:
    if type(own.tokenizer).__name__ == "MarianTokenizer":
        from model_functions.engines.sentencepiece import MarianPieces

        return MarianPieces.of(own.tokenizer, own.max_tokens)
    from model_functions.engines.tokenizers import FastTokenizer

    return FastTokenizer.of(own.tokenizer, _INPUTS, own.max_tokens)


def _around(own: Any, language: str) -> tuple[list[int], list[int]]:
    """The special tokens before and behind a text in the language."""
    spoken, tokenizer = own.tokenizer.src_lang, own.tokenizer
    try:
        tokenizer.src_lang = language
        whole, bare = (tokenizer("a", add_special_tokens=special)["input_ids"] for special in (True, False))
    finally:
        tokenizer.src_lang = spoken
    for start in range(len(whole) - len(bare) + 1):
        if whole[start : start + len(bare)] == bare:
            return whole[:start], whole[start + len(bare) :]
    raise ValueError(f"its tokenizer does more to a text in {language} than put tokens around it")


def rules_of(model: Any) -> Rules:
    """What the model's generation_config says of tokens. Raises ValueError for what our search does not do."""
    config = model.generation_config
    neutral = config._get_default_generation_params()
    for name, value in config.to_dict().items():
        if name not in _KNOWN and value is not None and value is not False and value != neutral.get(name):
            raise ValueError(f"its generation_config sets {name}, which the search of the fast lane does not know")
    ends = _tuple(config.eos_token_id)
    start = config.bos_token_id if config.decoder_start_token_id is None else config.decoder_start_token_id
    if not ends or not isinstance(start, int):
        raise ValueError("its generation_config names no token to start with, or none to end with")
    banned = [tuple(words) for words in config.bad_words_ids or []]
    if any(len(words) > 1 for words in banned):
        raise ValueError("its generation_config bans words of several tokens")
    return Rules(
        start=start,
        ends=ends,
        pad=ends[0] if config.pad_token_id is None else config.pad_token_id,
        first=config.forced_bos_token_id,
        last=_tuple(config.forced_eos_token_id),
        banned=tuple(sorted({word for words in banned for word in words} - set(ends))),
    )


def _tuple(numbers: Any) -> tuple[int, ...]:
    if numbers is None:
        return ()
    return (numbers,) if isinstance(numbers, int) else tuple(numbers)


def _difference(wrapper: Any, fast: Any, parameters: dict[str, Any], texts: list[str]) -> float:
    """The largest difference of the first step's scores, in parts of the largest. Raises NotEqual for other tokens."""
    import torch

    tokens, others = wrapper.tokens(texts, parameters), fast.tokens(texts, parameters)
    _check_tokens(tokens, others)
    starts = np.full((len(texts), 1), fast.engine.rules.start, dtype=np.int64)
    inputs = {name: torch.from_numpy(tokens.arrays[name]) for name in _INPUTS}
    with torch.inference_mode():
        expected = wrapper.engine.model(**inputs, decoder_input_ids=torch.from_numpy(starts)).logits[:, -1].numpy()
    found = fast.engine.begin(others).step(starts)
    return apart(expected, found)


def _check_tokens(own: Tokens, fast: Tokens) -> None:
    if not all(np.array_equal(own.arrays[name], fast.arrays[name]) for name in _INPUTS):
        raise NotEqual("its tokenizer gives other tokens")


def _check_search(wrapper: Any, fast: Any, parameters: dict[str, Any], texts: list[str]) -> None:
    expected = wrapper.engine.generate(wrapper.tokens(texts, parameters), parameters)
    found = fast.engine.generate(fast.tokens(texts, parameters), parameters)
    if not np.array_equal(expected, found):
        raise NotEqual(f"it writes other tokens with num_beams={parameters['num_beams']}")
    if wrapper.engine.decode(expected) != fast.engine.decode(found):
        raise NotEqual("its tokenizer makes another text of the same tokens")


def _check_languages(own: Any, fast: GraphGenerator) -> None:
    for language in fast.facts.languages:
        _check_tokens(own.encode_from(["a", "a a"], language), fast.encode_from(["a", "a a"], language))
