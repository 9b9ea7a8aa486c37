"""The part of CEL that our IAM conditions are written in: startsWith, endsWith, ==, getAttribute, &&, ||, assertion."""

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.fakes.control_plane.routing import ApiError

_TOKEN = re.compile(r"""("[^"]*"|'[^']*')|(\|\|)|(&&)|(!(?!=))""")


@dataclass(frozen=True)
class Asked:
    """What a condition may look at.

    Args:
        attributes: what ``api.getAttribute`` gives, as the prefix of a list.
        claims: of the token that is judged; None where no token is.
    """

    resource: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)
    claims: Mapping[str, str] | None = None


def check(expression: str) -> None:
    """Raises ApiError for what is no condition, or one that is not understood here."""
    holds(expression, Asked("projects/_/buckets/b"))


def holds(expression: str, asked: Asked) -> bool:
    value = value_of(expression, asked)
    if not isinstance(value, bool):
        raise ApiError(400, f"Condition expression compilation failed: {expression} is not boolean.")
    return value


def value_of(expression: str, asked: Asked) -> bool | str:
    words = {2: " or ", 3: " and ", 4: " not "}
    text = _TOKEN.sub(lambda match: words.get(match.lastindex or 0, match[0]), expression)
    try:
        return _value(ast.parse(text.strip(), mode="eval").body, asked)
    except (SyntaxError, TypeError) as exc:
        raise ApiError(400, f"Condition expression compilation failed: {expression}: {exc}") from exc


def _value(node: ast.expr, asked: Asked) -> bool | str:
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.Attribute(value=ast.Name(id="resource"), attr="name"):
            return asked.resource
        case ast.Attribute(value=ast.Name(id="assertion"), attr=claim) if asked.claims is not None:
            return asked.claims.get(claim, "")
        case ast.Call(func=ast.Attribute(value=subject, attr=method), args=arguments):
            return _called(subject, method, arguments, asked)
        case ast.Compare(left=left, ops=[ast.Eq()], comparators=[right]):
            return _value(left, asked) == _value(right, asked)
        case ast.BoolOp(op=operator, values=nodes):
            # All of them, so that a mistake in the last one shows.
            values = [bool(_value(value, asked)) for value in nodes]
            return any(values) if isinstance(operator, ast.Or) else all(values)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return not _value(operand, asked)
    raise TypeError(f"undeclared reference in {ast.unparse(node)}")


def _called(subject: ast.expr, method: str, nodes: list[ast.expr], asked: Asked) -> bool | str:
    arguments = [str(_value(node, asked)) for node in nodes]
    match subject, method, arguments:
        case ast.Name(id="api"), "getAttribute", [name, default]:
            return asked.attributes.get(name, default)
        case _, "startsWith", [prefix]:
            return str(_value(subject, asked)).startswith(prefix)
        case _, "endsWith", [suffix]:
            return str(_value(subject, asked)).endswith(suffix)
    raise TypeError(f"no matching overload of {method}")
