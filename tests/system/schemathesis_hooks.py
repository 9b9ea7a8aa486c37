"""What schemathesis cannot make up: images, and deadlines that can be met."""

import base64
from typing import Any

import schemathesis
from hypothesis import strategies

from tests.tiny_models import picture

_PICTURES = [picture(8, 8), picture(20, 10, kind="JPEG"), picture(4, 4, grey=True)]
#: Milliseconds within which every answer comes.
_PATIENCE = 60_000

_pictures = strategies.sampled_from(_PICTURES)
for media in ("image/*", "application/octet-stream"):
    schemathesis.openapi.media_type(media, _pictures)
schemathesis.openapi.format("image", _pictures.map(lambda picture: base64.b64encode(picture).decode()))


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    """A deadline that is allowed and cannot be met is refused as it should; here it would hide what else is wrong."""
    headers = case.headers or {}
    for name, value in list(headers.items()):
        if name.lower() == "x-request-timeout-ms" and str(value).isdecimal() and 1 <= int(value) <= 3_600_000:
            headers[name] = str(max(int(value), _PATIENCE))
