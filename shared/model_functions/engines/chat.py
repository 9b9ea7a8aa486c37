"""Writes a chat as the text that its model was trained on; the only module that imports jinja2."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

import jinja2
import jinja2.ext
import jinja2.sandbox
import jinja2.utils

from model_functions.errors import InvalidInput

Message = Mapping[str, str]


class ChatTemplate:
    """A chat template, rendered as transformers renders it.

    Args:
        source: in Jinja's language; the model's maker wrote it, so it runs in a sandbox.
        tokens: the special tokens by their names in templates, as ``bos_token``.
    """

    def __init__(self, source: str, tokens: dict[str, str]) -> None:
        self.source = source
        self.tokens = tokens

    def render(self, messages: Sequence[Message], path: str) -> str:
        """The chat, and the beginning of the assistant's answer. Raises InvalidInput for what the template refuses.

        Args:
            path: where in the request the chat stands.
        """
        try:
            text: str = _compiled(self.source).render(messages=messages, add_generation_prompt=True, **self.tokens)
        except jinja2.TemplateError as exc:
            reason = str(exc)
            # It may quote a message whole.
            reason = f"{reason[:200]}…" if len(reason) > 200 else f"{reason.rstrip('.')}."
            raise InvalidInput(path, f"The model's chat template refuses {path}: {reason}") from exc
        return text


@lru_cache(maxsize=8)
def _compiled(source: str) -> jinja2.Template:
    environment = jinja2.sandbox.ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, jinja2.ext.loopcontrols]
    )
    environment.filters["tojson"] = _json
    environment.globals |= {"raise_exception": _refuse, "strftime_now": _now, "dict": _Dict(), "namespace": _Namespace}
    return environment.from_string(source)


class _Generation(jinja2.ext.Extension):
    """``{% generation %}`` marks the assistant's words for training, and changes nothing here."""

    tags = {"generation"}  # noqa: RUF012 - jinja2's own declaration

    def parse(self, parser: Any) -> Any:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


class _Dict:
    """``dict`` without the attributes of a class, by which a template could leave the sandbox."""

    def __call__(self, *args: Any, **items: Any) -> dict[Any, Any]:
        return dict(*args, **items)

    def fromkeys(self, *args: Any) -> dict[Any, Any]:
        return dict.fromkeys(*args)


class _Namespace(jinja2.utils.Namespace):
    """``namespace`` without names that Python itself looks at, for the same reason."""

    # A template may call one of its items "self".
    def __init__(*args: Any, **items: Any) -> None:
        self, *given = args
        found = dict(*given, **items)
        for name in found:
            _check_attribute(name)
        jinja2.utils.Namespace.__init__(self, found)

    def __setitem__(self, name: str, value: Any) -> None:
        _check_attribute(name)
        super().__setitem__(name, value)


def _check_attribute(name: Any) -> None:
    if isinstance(name, str) and name.startswith("_"):
        raise jinja2.exceptions.SecurityError(f"a namespace must not store {name}")


def _json(value: Any, ensure_ascii: bool = False, **options: Any) -> str:
    # Jinja's own escapes HTML.
    return json.dumps(value, ensure_ascii=ensure_ascii, **options)


def _refuse(message: str) -> None:
    raise jinja2.TemplateError(message)


def _now(form: str) -> str:
    return datetime.now().strftime(form)
