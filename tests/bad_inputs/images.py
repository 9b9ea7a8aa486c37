"""Files that are no images, that are cut off, or that would be as large as a house."""

import base64
import io
import struct
import zlib
from typing import Any

from PIL import Image

from tests.bad_inputs.entries import Asked
from tests.bad_inputs.zeros import zlibbed
from tests.tiny_models import picture


def png(width: int, height: int, *, bits: int = 1, color: int = 0, packed: bytes = zlib.compress(bytes(100))) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, bits, color, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", packed) + _chunk(b"IEND", b"")


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def _saved(image: Image.Image, kind: str, **settings: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **settings)
    return file.getvalue()


def _bomb(width: int, height: int, *, bits: int = 1) -> bytes:
    """A whole PNG of one colour, which a decoder would unpack."""
    packed = zlibbed(height * (1 + (width * bits + 7) // 8))
    return png(width, height, bits=8 if bits == 24 else bits, color=2 if bits == 24 else 0, packed=packed)


def _gif(width: int, height: int, frames: int = 1) -> bytes:
    """Black, by the fewest bytes."""
    head = b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + bytes(6)
    frame = b"," + struct.pack("<HHHHB", 0, 0, width, height, 0) + b"\x02\x02\x44\x01\x00"
    return head + frame * frames + b";"


def _frames(kind: str, count: int) -> bytes:
    pictures = [Image.new("L", (4, 4), number % 256) for number in range(count)]
    return _saved(pictures[0], kind, save_all=True, append_images=pictures[1:], duration=1)


def _webp(width: int, height: int) -> bytes:
    """A canvas, as its header says it."""
    sizes = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return b"RIFF" + struct.pack("<I", 30) + b"WEBPVP8X" + struct.pack("<I", 10) + bytes(4) + sizes + bytes(12)


def _jpeg_size(width: int, height: int) -> bytes:
    """A JPEG whose header has been told another size."""
    whole = bytearray(picture(kind="JPEG"))
    start = whole.index(b"\xff\xc0") + 5
    whole[start : start + 4] = struct.pack(">HH", height, width)
    return bytes(whole)


_PNG, _JPEG = picture(), picture(kind="JPEG")
_WEBP = _saved(Image.new("RGB", (40, 40), "red"), "WEBP")
_TEXT_CHUNK = _chunk(b"zTXt", b"a\0\0" + zlibbed(64 * 1024 * 1024))
_PROFILE = _chunk(b"iCCP", b"a\0\0" + zlibbed(64 * 1024 * 1024))

#: What is no whole image of ours. Pixels are counted before any is unpacked; 422 names the image of a list that has too
#: many, where a 413 of the whole request could not.
_REFUSED = {
    "C109 one byte": b"x",
    "C109 a text": b"hello",
    "C110 a signature alone": b"\x89PNG\r\n\x1a\n",
    "C110 a header alone": png(4, 4)[:33],
    **{
        f"C111 {percent} % of a {kind}": whole[: len(whole) * percent // 100]
        for kind, whole in (("PNG", _PNG), ("JPEG", _JPEG), ("WebP", _WEBP))
        for percent in (10, 50, 90)
    },
    "C113 no pixels": png(0, 0),
    "C113 65,535 × 65,535": png(65_535, 65_535),
    "C113 2^31 × 2^31": png(2**31 - 1, 2**31 - 1),
    "C114 a bomb of 13,300 × 13,300": _bomb(13_300, 13_300),
    "C115 the same in colour": _bomb(13_300, 13_300, bits=24),
    "C116 a JPEG that says 65,000 × 65,000": _jpeg_size(65_000, 65_000),
    "C116 a WebP that says 16,000 × 16,000": _webp(16_000, 16_000),
    "C116 a GIF that says 65,535 × 65,535": _gif(65_535, 65_535),
    "C119 an SVG": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    "C119 a TIFF": b"II*\0" + bytes(40),
    "C119 a BMP": _saved(Image.new("L", (4, 4)), "BMP"),
    "C119 a PDF": b"%PDF-1.7\n",
    "C119 an EPS": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
    "C119 a PSD": b"8BPS\0\1" + bytes(40),
    "C119 an ICNS": b"icns\0\0\0\x08",
    "C119 a HEIC": b"\0\0\0\x18ftypheic" + bytes(40),
    "C119 a JPEG 2000": b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(40),
    "D300 a PNG of 0 × 1": png(0, 1),
    "D300 a PNG of 3 bits": png(4, 4, bits=3),
    "D300 a PNG of another colour": png(4, 4, color=5),
    "D300 a PNG with another sum": _PNG[:40] + b"\xff\xff\xff\xff" + _PNG[44:],
    "D301 a PNG of which too little is packed": png(400, 400, packed=zlib.compress(b"\0")),
    "D301 a PNG whose pixels are no zlib": png(4, 4, packed=b"hello"),
    "D302 a GIF that ends in its frame": _gif(40, 40)[:-4],
    "D302 a WebP that says more bytes than it has": _WEBP[:4] + b"\xff\xff\xff\x7f" + _WEBP[8:30],
    "D303 a JPEG of markers alone": b"\xff\xd8" + b"\xff\xe0\x00\x02" * 100_000,
    "D303 a JPEG without tables": b"\xff\xd8\xff\xc0\x00\x11\x08\x00\x10\x00\x10\x03"
    b"\x01\x22\x00\x02\x11\x01\x03\x11\x01\xff\xd9",
    "D304 a RIFF of sounds": b"RIFF\x24\0\0\0WAVEfmt " + bytes(28),
    # Sounds are no family of this project; what looks like one is no image.
    "C125 an empty WAV": b"RIFF\0\0\0\0WAVE",
    "C125 a sound of ten hours by its header": b"RIFF\xff\xff\xff\xffWAVEfmt \x10\0\0\0\1\0\1\0"
    b"\x80\xbb\0\0\0\x77\1\0\2\0\x10\0data\xff\xff\xff\xff",
}

_GREY = Image.linear_gradient("L").resize((32, 32))


def _palette() -> bytes:
    return _saved(_GREY.convert("P"), "PNG", transparency=0)


#: What is an image, however strange.
_ACCEPTED = {
    "C113 a pixel": _saved(Image.new("L", (1, 1)), "PNG"),
    "C117 a CMYK JPEG": _saved(_GREY.convert("CMYK"), "JPEG"),
    "C117 sixteen bits": _saved(_GREY.convert("I;16"), "PNG"),
    "C117 a palette with alpha": _palette(),
    "C117 grey with alpha": _saved(_GREY.convert("LA"), "PNG"),
    "C117 one bit": _saved(_GREY.convert("1"), "PNG"),
    "C117 progressive": _saved(_GREY.convert("RGB"), "JPEG", progressive=True),
    "C118 a GIF of 10,000 frames": _gif(8, 8, 10_000),
    "C118 a PNG of 1,000 frames": _frames("PNG", 1_000),
    "C118 a WebP of 300 frames": _frames("WEBP", 300),
    "C121 a zip behind a PNG": _PNG + b"PK\x03\x04" + bytes(100),
    "D310 a PNG with 64 MB of text in it": _PNG[:33] + _TEXT_CHUNK + _PNG[33:],
    "D310 a PNG with a profile of 64 MB": _PNG[:33] + _PROFILE + _PNG[33:],
    "D311 a JPEG with broken notes": _JPEG[:2] + b"\xff\xe1\x00\x10Exif\0\0II*\0\xff\xff\xff\xff" + _JPEG[2:],
    "D312 a line of 65,535 pixels": _bomb(65_535, 1),
    "D312 a column of 65,535 pixels": _bomb(1, 65_535),
}


def text(file: bytes) -> str:
    return base64.b64encode(file).decode()


IMAGES = [
    *(Asked(name, text(file)) for name, file in _REFUSED.items()),
    *(Asked(name, text(file), None) for name, file in _ACCEPTED.items()),
    Asked("C109 nothing", ""),
    Asked("C121 a JPEG that is declared a PNG", f"data:image/png;base64,{text(_JPEG)}", None),
    Asked("C121 a PNG that is declared a JPEG", f"data:image/jpeg;base64,{text(_PNG)}", None),
    Asked("C122 no base64", "grandma.png"),
    Asked("C122 base64 cut off", text(_PNG)[:-3]),
    Asked("C122 line ends", "\n".join(text(_PNG)[start : start + 76] for start in range(0, len(text(_PNG)), 76)), None),
    Asked("C122 another alphabet", base64.urlsafe_b64encode(bytes([251, 255]) * 40).decode()),
    Asked("C122 padding inside", text(_PNG)[:8] + "=" + text(_PNG)[9:]),
    Asked("C122 not in ASCII", text(_PNG)[:-2] + "ÿ="),
    Asked("C122 a data: URL", f"data:image/png;base64,{text(_PNG)}", None),
    Asked("C122 a data: URL of a page", f"data:text/html;base64,{text(b'<b>')}"),
    Asked("C122 a data: URL without an end", "data:image/png;base64"),
    Asked("C122 an address", "https://example.com/cat.png"),
    Asked("C124 an address of the platform", "http://169.254.169.254/computeMetadata/v1/"),
    Asked("C124 a file's address", "file:///etc/passwd"),
    Asked("D320 a number", 5),
    Asked("D320 an object", {"bytes": text(_PNG)}),
    Asked("D320 a bad image among good ones", [text(_PNG), text(b"hello")]),
    Asked("D320 10,000 images", ["eA=="] * 10_000),
    Asked("D321 six megabytes that are no image", text(b"\xff\xd8\xff" + bytes(4_000_000))),
]
