"""What a model's ``generation_config`` says of its search, and what each request says instead."""

import copy
from typing import Any

from model_functions.engines.search import Rules

#: Parameters of a request, by the search that uses them.
_BEAM_ONLY = ("length_penalty", "early_stopping")
_SAMPLING_ONLY = ("temperature", "top_k", "top_p")
_TURNED = (
    *("max_length", "min_length", "max_new_tokens", "min_new_tokens", "num_beams", "num_return_sequences"),
    *("no_repeat_ngram_size", "repetition_penalty", "do_sample", *_BEAM_ONLY, *_SAMPLING_ONLY),
)

#: What a decoder's generation_config may say that changes nothing here: our rules, and what each request sets anew.
_KNOWN = {
    *("bos_token_id", "eos_token_id", "pad_token_id", "decoder_start_token_id", "transformers_version"),
    *("cache_implementation", "use_cache", "bad_words_ids", "suppress_tokens", "_from_model_config", *_TURNED),
    *("min_p", "typical_p"),
}


def values(config: Any) -> dict[str, Any]:
    """What it sets, by name."""
    return {name: value for name, value in config.to_dict().items() if value is not None}


def clear(config: Any) -> None:
    """What requests turn is theirs alone: generate would fill their silence from here, and warn."""
    for name in _TURNED:
        setattr(config, name, None)


def for_request(config: Any, parameters: dict[str, Any]) -> Any:
    """A copy with the request's parameters in it."""
    config = copy.deepcopy(config)
    # What the search does not use stays unset: transformers warns about it.
    unused = {*(() if parameters["num_beams"] > 1 else _BEAM_ONLY)}
    unused |= {*(() if parameters["do_sample"] else _SAMPLING_ONLY)}
    for name in set(_TURNED) & set(parameters) - unused:
        setattr(config, name, parameters[name])
    return config


def rules(config: Any) -> Rules:
    """What a decoder's generation_config says of tokens. Raises ValueError for what our search does not do."""
    neutral = config._get_default_generation_params()
    for name, value in config.to_dict().items():
        if name not in _KNOWN and value is not None and value is not False and value != neutral.get(name):
            raise ValueError(
                f"The model's generation_config sets {name}, which is not supported here. Take it out of "
                "generation_config.json."
            )
    banned = [*([number] for number in config.suppress_tokens or []), *(config.bad_words_ids or [])]
    if any(len(words) > 1 for words in banned):
        raise ValueError("The model's generation_config bans words of several tokens. Take out bad_words_ids.")
    ends = config.eos_token_id
    ends = () if ends is None else (ends,) if isinstance(ends, int) else tuple(ends)
    return Rules(
        start=config.bos_token_id or 0,
        ends=ends,
        pad=config.pad_token_id or (*ends, 0)[0],
        banned=tuple(sorted({number for words in banned for number in words} - set(ends))),
    )
