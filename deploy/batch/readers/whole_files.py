"""Files each of which is a row."""

from collections.abc import Iterable, Iterator

from deploy.batch.files import Files, Found
from deploy.batch.parts import PART_BYTES, InputRow, Part


def parts(files: Files, found: Iterable[Found], rows: int) -> Iterator[Part]:
    number, taken = 0, list[Found]()
    for one in found:
        if taken and (len(taken) >= rows or sum(other.size for other in taken) + one.size > PART_BYTES):
            yield Part(number, tuple(taken), 1, len(taken))
            number, taken = number + 1, []
        taken.append(one)
    if taken:
        yield Part(number, tuple(taken), 1, len(taken))


def contents(files: Files, part: Part) -> Iterator[tuple[InputRow, bytes]]:
    """For each file a row without data, and its bytes."""
    for one in part.files:
        with files.open(one) as file:
            yield InputRow(one.name, None, {}), file.read()
