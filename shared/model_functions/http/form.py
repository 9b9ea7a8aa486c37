"""Reads multipart/form-data; the only module that imports werkzeug.

Its decoder is the one that needs no edge: bytes in, events out. functions-framework brings it, whichever edge serves.
"""

from dataclasses import dataclass

from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.http import parse_options_header
from werkzeug.sansio.multipart import Data, Epilogue, Field, File, MultipartDecoder

from model_functions.errors import InvalidRequest, PayloadTooLarge

#: Fields and files of one form.
MAX_PARTS = 100


@dataclass
class Part:
    """A field of a form, or one of its files.

    Args:
        filename: None for a field.
    """

    name: str
    filename: str | None
    data: bytes = b""


def read_form(body: bytes, content_type: str) -> list[Part]:
    """The parts, in order. Raises InvalidRequest for a body that is no form, PayloadTooLarge for too many parts."""
    boundary = parse_options_header(content_type)[1].get("boundary", "")
    if not boundary:
        raise InvalidRequest("The form names no boundary in its Content-Type. Let your client write that header.")
    decoder = MultipartDecoder(boundary.encode(), max_parts=MAX_PARTS)
    try:
        decoder.receive_data(body)
        decoder.receive_data(None)
        return _parts(decoder)
    except RequestEntityTooLarge as exc:
        raise PayloadTooLarge(f"The form has more than {MAX_PARTS} parts. Send fewer per request.") from exc
    except Exception as exc:
        # A body that its boundary does not divide ends the decoder in several ways.
        raise InvalidRequest(
            f'The form cannot be read: its boundary "{boundary[:40]}" does not divide the body into whole parts.'
        ) from exc


def _parts(decoder: MultipartDecoder) -> list[Part]:
    parts: list[Part] = []
    while not isinstance(event := decoder.next_event(), Epilogue):
        if isinstance(event, Field | File):
            parts.append(Part(event.name or "", getattr(event, "filename", None)))
        elif isinstance(event, Data):
            parts[-1].data += event.data
    return parts
