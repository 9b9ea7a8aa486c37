"""Images are read in every form that people have, and become what transformers' own processors make of them."""

import io
import re
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from model_functions.engines.pillow import ImageProcessor, decoded
from model_functions.errors import InvalidInput

CORNER = (200, 40, 90)


def scene(width: int = 40, height: int = 30) -> Image.Image:
    """Another colour everywhere, and a corner that shows which side is up."""
    rows, columns = np.mgrid[0:height, 0:width]
    values = np.stack([rows * 255 // height, columns * 255 // width, (rows + columns) % 256], axis=-1).astype(np.uint8)
    values[: height // 3, : width // 3] = CORNER
    return Image.fromarray(values)


def written(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def noise(width: int, height: int, channels: int = 3) -> Image.Image:
    shape = (height, width, channels) if channels > 1 else (height, width)
    return Image.fromarray(np.random.default_rng(width * height).integers(0, 256, shape, dtype=np.uint8))


# As transformers


#: Each class of transformers with settings that take another way through it.
CONFIGS: list[tuple[str, dict[str, Any]]] = [
    ("ViT", {}),
    ("ViT", {"size": {"height": 20, "width": 31}, "resample": 3}),
    ("ViT", {"size": 24}),
    ("ViT", {"size": {"height": 16, "width": 16}, "do_normalize": False}),
    ("ViT", {"size": {"height": 16, "width": 16}, "do_rescale": False, "image_mean": [120.0] * 3, "image_std": 60.0}),
    ("ViT", {"do_resize": False, "do_center_crop": True, "crop_size": {"height": 33, "width": 17}}),
    ("ViT", {"do_resize": False, "do_center_crop": True, "crop_size": {"height": 90, "width": 20}}),
    ("DeiT", {}),
    ("Beit", {}),
    ("Beit", {"do_center_crop": True, "crop_size": {"height": 200, "width": 250}}),
    ("ConvNext", {}),
    ("ConvNext", {"size": {"shortest_edge": 224}}),
    ("ConvNext", {"size": {"shortest_edge": 30}, "crop_pct": 0.95, "resample": 2}),
    ("EfficientNet", {}),
    ("EfficientNet", {"rescale_offset": True, "include_top": False, "do_center_crop": True}),
    ("MobileNetV1", {}),
    ("MobileNetV2", {}),
    ("MobileViT", {}),
    ("MobileViT", {"do_flip_channel_order": False}),
    ("Levit", {}),
    ("PoolFormer", {}),
    ("PoolFormer", {"crop_pct": 0.95, "size": {"height": 60, "width": 80}}),
    ("Bit", {"size": {"shortest_edge": 40, "longest_edge": 50}, "crop_size": {"height": 40, "width": 40}}),
    ("CLIP", {}),
    ("Siglip", {}),
    ("Pvt", {"resample": 0}),
    ("Segformer", {"resample": 1}),
]

SIZES = [(224, 224), (37, 91), (91, 37), (300, 299), (3, 5)]


def reference(name: str, settings: dict[str, Any]) -> Any:
    import transformers

    return getattr(transformers, f"{name}ImageProcessorPil")(**settings)


@pytest.mark.parametrize(("name", "settings"), CONFIGS, ids=lambda part: str(part)[:60])
def test_pixels_are_those_of_transformers(name: str, settings: dict[str, Any], tmp_path: Path) -> None:
    theirs = reference(name, settings)
    ours = ImageProcessor.from_config(theirs.to_dict(), 3)
    for size in SIZES:
        image = noise(*size)
        expected = np.asarray(theirs(image)["pixel_values"][0])
        found = ours(image, "data")
        assert found.shape == ours.shape
        np.testing.assert_array_equal(found, expected.astype(np.float32))


def test_grey_pixels_are_those_of_transformers() -> None:
    settings = {"size": {"height": 8, "width": 8}, "image_mean": [0.5], "image_std": [0.25]}
    theirs = reference("ViT", settings)
    ours = ImageProcessor.from_config(theirs.to_dict(), 1)
    image = noise(50, 30, 1)
    np.testing.assert_array_equal(ours(image, "data"), theirs(image)["pixel_values"][0])


@pytest.mark.parametrize(
    ("config", "channels", "message"),
    [
        ({"image_processor_type": "ImageGPTImageProcessor"}, 3, "ImageGPTImageProcessor does what is not known here."),
        ({}, 3, "None does what is not known here. Known are: BeitImageProcessor, "),
        ({"do_pad": True}, 3, "The ViTImageProcessor pads its images"),
        ({"size": {"shortest_edge": 224}}, 3, "The processor leaves images of different shapes, which make no batch."),
        ({"size": {"longest_edge": 224}}, 3, "The processor's size is given by longest_edge, which is not known here."),
        ({"do_resize": False}, 3, "The processor leaves images of different shapes"),
        ({}, 1, "The ViTImageProcessor has 3 values of image_mean, and the model 1 channels."),
        ({}, 4, "The model reads 4 channels. Images have 3, or 1 if they are grey."),
    ],
)
def test_a_processor_that_does_more_is_refused(config: dict[str, Any], channels: int, message: str) -> None:
    whole = reference("ViT", {}).to_dict() | config if config or channels != 3 else {}
    with pytest.raises(ValueError, match=re.escape(message)):
        ImageProcessor.from_config(whole, channels)


def test_a_line_of_pixels_is_not_widened_into_a_bomb() -> None:
    processor = ImageProcessor.from_config(reference("DeiT", {"size": {"shortest_edge": 256}}).to_dict(), 3)
    with pytest.raises(InvalidInput) as caught:
        processor(Image.new("RGB", (1, 200_000)), "data[2]")
    assert caught.value.message == ("data[2] has 1 × 200000 pixels, which is too narrow for this model. Crop it.")


# Forms


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF"])
def test_every_form_is_read(kind: str) -> None:
    known: dict[str, dict[str, Any]] = {"JPEG": {"quality": 98, "subsampling": 0}, "WEBP": {"lossless": True}}
    options = known.get(kind, {})
    found = decoded(written(scene(), kind, **options), "data")
    difference = np.abs(np.asarray(found, dtype=int) - np.asarray(scene(), dtype=int))
    assert (found.mode, found.size) == ("RGB", (40, 30))
    assert difference.mean() < {"PNG": 0.01, "WEBP": 0.01, "JPEG": 4, "GIF": 12}[kind]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_images_are_set_upright(kind: str, orientation: int) -> None:
    from PIL import ImageOps

    exif = Image.Exif()
    exif[0x0112] = orientation
    data = written(scene(), kind, exif=exif)
    expected = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")
    assert decoded(data, "data").tobytes() == expected.tobytes()
    assert expected.size == ((40, 30) if orientation < 5 else (30, 40))


def test_broken_notes_beside_a_whole_image_do_not_matter() -> None:
    data = written(scene(), "JPEG", exif=b"Exif\0\0garbage that is no TIFF header")
    assert decoded(data, "data").size == (40, 30)


def test_a_palette_shows_its_colours() -> None:
    palette = scene().convert("P", palette=Image.Palette.ADAPTIVE)
    assert decoded(written(palette), "data").tobytes() == palette.convert("RGB").tobytes()


def _clear_corner(mode: str) -> Image.Image:
    """Black, and transparent at the upper left."""
    image = Image.new("RGBA", (4, 4), (0, 0, 0, 255))
    image.putpixel((0, 0), (0, 0, 0, 0))
    image.putpixel((1, 0), (0, 0, 0, 128))
    return image.convert(mode)


@pytest.mark.parametrize(("mode", "kind"), [("RGBA", "PNG"), ("LA", "PNG"), ("RGBA", "WEBP")])
@pytest.mark.parametrize("grey", [False, True])
def test_what_is_transparent_is_white(mode: str, kind: str, grey: bool) -> None:
    options = {"lossless": True, "exact": True} if kind == "WEBP" else {}
    found = np.asarray(decoded(written(_clear_corner(mode), kind, **options), "data", grey=grey)).reshape(16, -1)[:, 0]
    assert found[:3].tolist() == [255, 127, 0]


@pytest.mark.parametrize("mode", ["P", "L", "RGB", "1"])
def test_a_colour_that_stands_for_transparent_is_white(mode: str) -> None:
    image = Image.new("L", (4, 4), 255)
    image.putpixel((1, 0), 0)
    black = (0, 0, 0) if mode == "RGB" else 0
    found = decoded(written(image.convert(mode), transparency=black), "data")
    assert np.asarray(found).min() == 255


@pytest.mark.parametrize(("mode", "black"), [("1", 0), ("L", 0), ("I;16", 0), ("CMYK", (255, 255, 255, 255))])
def test_grey_of_every_depth_and_inks_are_read(mode: str, black: Any) -> None:
    image = Image.new(mode, (8, 8), black)
    white = (0, 0, 0, 0) if mode == "CMYK" else {"1": 1, "L": 255, "I;16": 65535}[mode]
    for place in ((x, y) for x in range(4, 8) for y in range(8)):
        image.putpixel(place, white)
    found = np.asarray(decoded(written(image, "JPEG" if mode == "CMYK" else "PNG"), "data"))
    assert found.shape == (8, 8, 3)
    assert found[:, 0].max() < 6
    assert found[:, 7].min() > 250


def test_sixteen_bits_are_scaled_and_not_cut() -> None:
    values = np.linspace(0, 65535, 256).astype(np.uint16).reshape(16, 16)
    found = np.asarray(decoded(written(Image.fromarray(values)), "data", grey=True))
    np.testing.assert_array_equal(found, values >> 8)
    clear = struct.pack(">H", int(values[0, 3]))
    marked = written(Image.fromarray(values)).replace(b"\0\0\0\rIHDR", b"\0\0\0\rIHDR")
    place = marked.index(b"IDAT") - 4
    found = np.asarray(decoded(marked[:place] + chunk(b"tRNS", clear) + marked[place:], "data", grey=True))
    assert found[0, 3] == 255


def test_of_an_animation_the_first_frame_is_read() -> None:
    frames = [Image.new("RGB", (9, 9), colour) for colour in ("red", "blue", "green")]
    for kind in ("GIF", "PNG", "WEBP"):
        options = {"lossless": True} if kind == "WEBP" else {}
        data = written(frames[0], kind, save_all=True, append_images=frames[1:], **options)
        assert decoded(data, "data").getpixel((4, 4)) == (255, 0, 0)


# Refusals


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(width: int, height: int, *chunks: bytes) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


def jpeg(width: int, height: int) -> bytes:
    data = bytearray(written(scene(), "JPEG"))
    place = data.index(b"\xff\xc0") + 5
    data[place : place + 4] = struct.pack(">HH", height, width)
    return bytes(data)


def gif(width: int, height: int) -> bytes:
    data = bytearray(written(scene(), "GIF"))
    data[6:10] = struct.pack("<HH", width, height)
    return bytes(data)


def gif_with_a_large_frame() -> bytes:
    data = bytearray(written(scene(), "GIF"))
    place = data.index(b"\x2c\0\0\0\0") + 5
    data[place : place + 4] = struct.pack("<HH", 60_000, 60_000)
    return bytes(data)


def webp(kind: str) -> bytes:
    if kind == "VP8X":
        body = b"VP8X" + struct.pack("<I", 10) + bytes(4) + (16_382).to_bytes(3, "little") * 2
    elif kind == "VP8L":
        body = b"VP8L" + struct.pack("<I", 10) + b"\x2f" + struct.pack("<I", 16_382 | 16_382 << 14) + bytes(5)
    else:
        body = b"VP8 " + struct.pack("<I", 10) + b"\x10\0\0\x9d\x01\x2a" + struct.pack("<HH", 16_383, 16_383)
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


BOMBS = {
    "PNG": png(100_000, 100_000),
    "JPEG": jpeg(65_500, 65_500),
    "GIF": gif(65_535, 65_535),
    "GIF frame": gif_with_a_large_frame(),
    "WebP": webp("VP8X"),
    "WebP lossless": webp("VP8L"),
    "WebP lossy": webp("VP8 "),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_by_its_header(name: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        decoded(BOMBS[name], "data[1]")
    assert caught.value.path == "data[1]"
    assert caught.value.message.endswith(" pixels; the limit is 25,000,000. Send it smaller.")


def test_what_is_packed_beside_the_pixels_is_not_unpacked_without_end() -> None:
    packed = zlib.compress(bytes(50_000_000), 9)
    for extra in (chunk(b"zTXt", b"k\0\0" + packed), chunk(b"iCCP", b"k\0\0" + packed)):
        with pytest.raises(InvalidInput):
            decoded(png(1, 1, extra), "data")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF"])
@pytest.mark.parametrize("part", [0.02, 0.3, 0.6, 0.95])
def test_a_file_that_is_cut_off_is_refused(kind: str, part: float) -> None:
    whole = written(noise(60, 60), kind)
    with pytest.raises(InvalidInput) as caught:
        decoded(whole[: int(len(whole) * part)], "data")
    assert "cut off or broken" in caught.value.message


def test_a_wrong_checksum_is_refused() -> None:
    data = bytearray(written(scene()))
    data[data.index(b"IDAT") + 20] ^= 0xFF
    with pytest.raises(InvalidInput, match="data is a PNG image that is cut off or broken"):
        decoded(bytes(data), "data")


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"<?xml version='1.0'?>\n<svg xmlns='http://www.w3.org/2000/svg'/>", "an SVG drawing, which has no pixels"),
        (written(scene(), "BMP"), "a BMP image"),
        (written(scene(), "TIFF"), "a TIFF image"),
        (b"\0\0\0\x18ftypheic\0\0\0\0", "a HEIC or AVIF image"),
        (b"%PDF-1.7", "a PDF file"),
        (b'{"data": 1}', "JSON"),
        (b"<!DOCTYPE html><p>", "an HTML page"),
        (b"hello", "no image"),
        (bytes(1000), "no image"),
    ],
)
def test_what_is_no_image_of_ours_is_named(data: bytes, what: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        decoded(data, "data")
    assert caught.value.message == f"data is {what}. Send a PNG, JPEG, WebP or GIF image."
