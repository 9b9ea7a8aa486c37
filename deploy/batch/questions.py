"""What a row asks of the model: its ``data``, found among the row's columns."""

import json
from collections.abc import Iterable
from typing import Any

from deploy.batch.parts import InputRow
from model_functions.errors import InvalidInput
from model_functions.families.tabular import RowInput
from model_functions.wrapper import ModelWrapper

#: What columns of data are called, the likeliest first.
NAMES = ("data", "inputs", "text", "prompt", "sentence", "document", "image", "instance")
#: Kinds of inputs of which an item is one value; of the others it may be a whole row.
VALUES = ("text", "prompt", "sentences", "image")
#: Kinds that read what is spelled as it is.
TEXTS = (*VALUES, "pair")


def data_column(columns: Iterable[str], kind: str, asked: str | None) -> str | None:
    """The column that holds the data; None where the row itself is the data.

    Args:
        kind: of the model's input.
        asked: the column that somebody named.

    Raises ValueError where there is none.
    """
    names = list(columns)
    known = ", ".join(names) or "none"
    if asked is not None:
        if asked not in names:
            raise ValueError(f'There is no column "{asked}". The columns: {known}.')
        return asked
    for name in NAMES if kind != "row" else NAMES[:2]:
        if name in names:
            return name
    if kind not in VALUES:
        return None
    if len(names) == 1:
        return names[0]
    raise ValueError(f"None of the columns is called {', '.join(NAMES[:3])} or the like: {known}. Say which: --data.")


def data_of(row: InputRow, wrapper: ModelWrapper, asked: str | None, *, spelled: bool) -> Any:
    """The row's data. Raises InvalidInput.

    Args:
        spelled: whether its values are texts, whatever they mean.
    """
    try:
        column = data_column(row.columns, wrapper.input.kind, asked)
    except ValueError as exc:
        raise InvalidInput("", str(exc)) from exc
    if isinstance(wrapper.input, RowInput) and column is None:
        return _table_row(row.columns, wrapper.input, spelled=spelled)
    spelled = spelled and wrapper.input.kind not in TEXTS
    if column is None:
        return {name: _parsed(value) if spelled else value for name, value in row.columns.items()}
    return _parsed(row.columns[column]) if spelled else row.columns[column]


def _table_row(columns: dict[str, Any], table: RowInput, *, spelled: bool) -> dict[str, Any]:
    """The model's own columns: a row may have others, as its key."""
    known = {column.name: column for column in table.columns}
    mine = {name: columns[name] for name in known if name in columns}
    return {name: known[name].parse(text) for name, text in mine.items()} if spelled else mine


def _parsed(text: Any) -> Any:
    try:
        return json.loads(text)
    except (ValueError, TypeError):
        return text
