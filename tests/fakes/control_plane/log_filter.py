"""Cloud Logging's query language, as far as it goes: comparisons, AND, OR, NOT, parentheses, and words of their own."""

import json
import re
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

from tests.fakes.control_plane.routing import ApiError

Test = Callable[[dict[str, Any]], bool]

SEVERITIES = ("DEFAULT", "DEBUG", "INFO", "NOTICE", "WARNING", "ERROR", "CRITICAL", "ALERT", "EMERGENCY")
_TOKEN = re.compile(
    r"""\s*("(?:[^"\\]|\\.)*"|[()]|!=|>=|<=|=~|!~|=|:|<|>|-(?=[\w"(])|[^\s()"=:<>!]+(?:"[^"]*"[^\s()"=:<>!]*)*)"""
)
_OPERATORS = ("=", "!=", ">", "<", ">=", "<=", ":", "=~", "!~")


def parse(text: str) -> Test:
    """Whether an entry is meant. Raises ApiError for what is no filter."""
    text = re.sub(r"(?m)(?:^|\s)--.*$", "", text)
    parser = _Parser(list(_tokens(text)), text)
    test = parser.either() if parser.more else _always
    if parser.more:
        raise parser.error()
    return test


def _tokens(text: str) -> Iterator[str]:
    position, text = 0, text.rstrip()
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise ApiError(400, f"Unparseable filter: syntax error at column {position} of: {text}")
        yield match[1]
        position = match.end()


class _Parser:
    """NOT binds closest, then OR, then AND, as Cloud Logging has it."""

    def __init__(self, tokens: list[str], text: str) -> None:
        self._tokens = tokens
        self._text = text

    @property
    def more(self) -> bool:
        return bool(self._tokens)

    def error(self) -> ApiError:
        at = self._tokens[0] if self._tokens else "its end"
        return ApiError(400, f"Unparseable filter: syntax error at {at} of: {self._text}")

    def either(self) -> Test:
        tests = [self._any()]
        while self.more and self._tokens[0] != ")":
            if self._tokens[0] == "AND":
                self._tokens.pop(0)
            tests.append(self._any())
        return lambda entry: all(test(entry) for test in tests)

    def _any(self) -> Test:
        tests = [self._one()]
        while self.more and self._tokens[0] == "OR":
            self._tokens.pop(0)
            tests.append(self._one())
        return lambda entry: any(test(entry) for test in tests)

    def _one(self) -> Test:
        if not self.more:
            raise self.error()
        token = self._tokens.pop(0)
        if token in ("NOT", "-"):
            inner = self._one()
            return lambda entry: not inner(entry)
        if token == "(":
            inside = self.either()
            if not self.more or self._tokens.pop(0) != ")":
                raise self.error()
            return inside
        if token in (*_OPERATORS, ")", "AND", "OR"):
            raise ApiError(400, f"Unparseable filter: syntax error at {token} of: {self._text}")
        if self.more and self._tokens[0] in _OPERATORS:
            operator = self._tokens.pop(0)
            if not self.more:
                raise self.error()
            return _comparison(token, operator, self._value())
        return lambda entry: _unquoted(token).lower() in json.dumps(entry).lower()

    def _value(self) -> str:
        if self._tokens[0] == "(":
            raise ApiError(400, f"The fake reads no lists of values: {self._text}")
        value = self._tokens.pop(0)
        # A moment that is not quoted has colons.
        while self.more and self._tokens[0] == ":" and re.match(r"\d", value):
            value += self._tokens.pop(0) + self._tokens.pop(0)
        return _unquoted(value)


def _always(_: dict[str, Any]) -> bool:
    return True


def _unquoted(token: str) -> str:
    return str(json.loads(token)) if token.startswith('"') else token


def _comparison(path: str, operator: str, wanted: str) -> Test:
    steps = [_unquoted(step) for step in re.findall(r'"[^"]*"|[^."]+', path)]
    if operator in ("=~", "!~"):
        expression = re.compile(wanted)
        return lambda entry: any(expression.search(str(value)) for value in _found(entry, steps)) == (operator == "=~")

    def test(entry: dict[str, Any]) -> bool:
        values = list(_found(entry, steps))
        if operator == "!=":
            return not any(_compared(steps[-1], "=", value, wanted) for value in values)
        return any(_compared(steps[-1], operator, value, wanted) for value in values)

    return test


def _found(value: Any, steps: list[str]) -> Iterator[Any]:
    if isinstance(value, list):
        for item in value:
            yield from _found(item, steps)
    elif not steps:
        yield value
    elif isinstance(value, dict) and steps[0] in value:
        yield from _found(value[steps[0]], steps[1:])


def _compared(name: str, operator: str, value: Any, wanted: str) -> bool:
    if operator == ":":
        return wanted == "*" or wanted.lower() in (json.dumps(value) if isinstance(value, dict) else str(value)).lower()
    left, right = _ordered(name, value, wanted)
    results = {"=": left == right, ">": left > right, "<": left < right, ">=": left >= right, "<=": left <= right}
    return bool(results[operator])


def _ordered(name: str, value: Any, wanted: str) -> tuple[Any, Any]:
    """Both in a form that can be compared."""
    if name == "severity" and wanted.upper() in SEVERITIES:
        return SEVERITIES.index(str(value)), SEVERITIES.index(wanted.upper())
    for form in (_seconds, float, _moment):
        try:
            return form(value), form(wanted)
        except (ValueError, TypeError):
            continue
    # Cloud Logging compares texts without case.
    return str(value).lower(), wanted.lower()


def _moment(text: Any) -> float:
    return datetime.fromisoformat(text).timestamp()


def _seconds(text: Any) -> float:
    match = re.fullmatch(r"([\d.]+)(ms|s|m|h)", str(text))
    if match is None:
        raise ValueError(text)
    return float(match[1]) * {"ms": 0.001, "s": 1, "m": 60, "h": 3600}[match[2]]
