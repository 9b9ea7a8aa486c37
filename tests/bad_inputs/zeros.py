"""Very many zeros, packed at once: to have zlib read them all would take every run of tests seconds."""

import struct
import zlib

_PIECE = 1024 * 1024
_ZEROS = bytes(_PIECE)


def deflated(count: int) -> bytes:
    """Raw deflate. Each piece is packed as if nothing stood before it, so that one is packed for all."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    piece = packer.compress(_ZEROS) + packer.flush(zlib.Z_FULL_FLUSH)
    return piece * (count // _PIECE) + packer.compress(_ZEROS[: count % _PIECE]) + packer.flush()


def zlibbed(count: int) -> bytes:
    """The same with zlib's header and sum; of zeros it is their number."""
    return b"\x78\xda" + deflated(count) + struct.pack(">HH", count % 65_521, 1)


def gzipped(count: int) -> bytes:
    """The same as a file of gzip."""
    crc = 0
    for _ in range(count // _PIECE):
        crc = zlib.crc32(_ZEROS, crc)
    crc = zlib.crc32(_ZEROS[: count % _PIECE], crc)
    return b"\x1f\x8b\x08\0\0\0\0\0\2\xff" + deflated(count) + struct.pack("<II", crc, count)
