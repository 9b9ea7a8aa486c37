"""JSON Lines: a value a line, an object by columns or the model's data itself."""

import json
from collections.abc import Iterator
from typing import Any, NoReturn

from deploy.batch.files import Files
from deploy.batch.parts import InputRow, Part
from deploy.batch.readers.text_lines import lines_of, parts

__all__ = ["parts", "rows"]


def rows(files: Files, part: Part) -> Iterator[InputRow]:
    name = part.files[0].name
    for line in lines_of(files, part):
        yield _row(name, line.number, line.data)


def _row(file: str, number: int, data: bytes) -> InputRow:
    try:
        value = _DECODER.decode(data.decode())
        if b"\\u" in data:
            # Half a surrogate pair is no character: nothing could write it out again.
            json.dumps(value, ensure_ascii=False).encode()
    except UnicodeDecodeError as exc:
        return _bad(file, number, data, "invalid_encoding", f"The line is not UTF-8: byte {exc.start} cannot be read.")
    except UnicodeEncodeError:
        return _bad(file, number, data, "invalid_encoding", "The line spells half a surrogate pair.")
    except json.JSONDecodeError as exc:
        return _bad(file, number, data, "invalid_json", f"The line is not JSON: {exc.msg} at column {exc.colno}.")
    except ValueError as exc:
        return _bad(file, number, data, "invalid_json", f"The line is not JSON: {exc}.")
    except RecursionError:
        return _bad(file, number, data, "json_too_deep", "The line is nested too deeply.")
    return InputRow(file, number, value if isinstance(value, dict) else {"data": value}, data)


def _bad(file: str, number: int, data: bytes, code: str, message: str) -> InputRow:
    return InputRow(file, number, {}, data, (code, message))


def _constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f'it has "{twice[:60]}" twice')
    return found


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_constant)
