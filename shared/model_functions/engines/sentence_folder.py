"""Reads what sentence-transformers keeps beside a model: its modules, prompts, limits; without that package."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from model_functions.engines.pooling import (
    ACTIVATIONS,
    POOLINGS,
    SIMILARITIES,
    Dense,
    Head,
    LayerNorm,
    Normalize,
    Pooling,
)

#: The encoder's settings were once named after its kind.
_TRANSFORMER_FILES = ("bert", "roberta", "distilbert", "camembert", "albert", "xlm-roberta", "xlnet")

#: pooling's mode by the older key of its configuration, in the order in which several stand in a row.
_OLD_MODES = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}


@dataclass(frozen=True)
class SentenceFolder:
    """What a source says of its sentence vectors.

    Args:
        is_told: whether it says anything; a plain model has the defaults here.
        encoder: the folder below the source in which the encoder is.
        max_tokens: None: what tokenizer and model say.
        prompts: what to put before a text, by name.
        default_prompt: the prompt's name for a text that asks for none.
    """

    head: Head
    is_told: bool = True
    encoder: str = ""
    max_tokens: int | None = None
    lower_case: bool = False
    similarity: str = "cosine"
    prompts: dict[str, str] = field(default_factory=dict)
    default_prompt: str | None = None


def read(source: str) -> SentenceFolder:
    """Of a folder or Hub id. Raises ValueError for a module that is not known here."""
    modules = _json(source, "modules.json")
    if modules is None:
        return SentenceFolder(Head(Pooling()), is_told=False)
    kinds = [(module["type"].rpartition(".")[2], module["path"]) for module in modules]
    if [kind for kind, _ in kinds[:2]] != ["Transformer", "Pooling"]:
        named = ", ".join(kind for kind, _ in kinds)
        raise ValueError(f"{source} consists of {named}. Only a Transformer with a Pooling behind it is served.")
    encoder = kinds[0][1]
    layers = [_LAYERS[kind](source, path) for kind, path in map(_known, kinds[2:]) if kind != "Dropout"]
    found = (_json(source, _below(encoder, f"sentence_{kind}_config.json")) for kind in _TRANSFORMER_FILES)
    limits: dict[str, Any] = next((config for config in found if config is not None), {})
    own = _json(source, "config_sentence_transformers.json") or {}
    return SentenceFolder(
        Head(_pooling(source, kinds[1][1]), tuple(layers)),
        encoder=encoder,
        max_tokens=limits.get("max_seq_length"),
        lower_case=bool(limits.get("do_lower_case")),
        similarity=_one_of(SIMILARITIES, own.get("similarity_fn_name") or "cosine", "similarity"),
        prompts={name: text for name, text in (own.get("prompts") or {}).items() if text is not None},
        default_prompt=own.get("default_prompt_name"),
    )


def _known(module: tuple[str, str]) -> tuple[str, str]:
    _one_of((*_LAYERS, "Dropout"), module[0], "module behind a Pooling")
    return module


def _pooling(source: str, path: str) -> Pooling:
    config = _json(source, _below(path, "config.json")) or {}
    modes = config.get("pooling_mode") or [mode for key, mode in _OLD_MODES.items() if config.get(key)] or "mean"
    listed = (modes,) if isinstance(modes, str) else tuple(modes)
    return Pooling(
        tuple(_one_of(POOLINGS, mode, "pooling mode") for mode in listed), bool(config.get("include_prompt", True))
    )


def _dense(source: str, path: str) -> Dense:
    config = _json(source, _below(path, "config.json")) or {}
    read_by = config.get("module_input_name") or "sentence_embedding"
    if config.get("use_residual") or read_by != "sentence_embedding":
        raise ValueError(f"{source}/{path} is a Dense module with a residual, or of tokens, which is not served.")
    activation = str(config.get("activation_function") or "Tanh").rpartition(".")[2]
    weights = _weights(source, path)
    return Dense(
        weights["linear.weight"], weights.get("linear.bias"), _one_of(ACTIVATIONS, activation, "activation function")
    )


def _layer_norm(source: str, path: str) -> LayerNorm:
    weights = _weights(source, path)
    return LayerNorm(weights["norm.weight"], weights["norm.bias"])


def _normalize(source: str, path: str) -> Normalize:
    return Normalize()


_LAYERS: dict[str, Any] = {"Dense": _dense, "LayerNorm": _layer_norm, "Normalize": _normalize}


def _weights(source: str, path: str) -> dict[str, Any]:
    """A module's arrays by name, in single precision."""
    from model_functions.engines.torch import weights_of

    found = _file(source, _below(path, "model.safetensors")) or _file(source, _below(path, "pytorch_model.bin"))
    if found is None:
        raise ValueError(f"{source}/{path} has neither model.safetensors nor pytorch_model.bin.")
    return weights_of(found)


def _one_of(known: Any, name: str, what: str) -> str:
    if name not in known:
        raise ValueError(f'"{name}" is no {what} that is known here. Known are: {", ".join(known)}.')
    return name


def _json(source: str, name: str) -> Any:
    found = _file(source, name)
    if found is None:
        return None
    try:
        return json.loads(found.read_text(encoding="utf-8"))
    except ValueError as exc:
        raise ValueError(f"{name} of {source} is no JSON: {exc}.") from exc


def _file(source: str, name: str) -> Path | None:
    from model_functions.engines.transformers import model_file

    return model_file(source, name)


def _below(path: str, name: str) -> str:
    return f"{path}/{name}" if path else name
