"""From the bytes of an image to the pixels that a model reads; the only module that imports PIL."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from model_functions.errors import InvalidInput

#: What is read. TIFF and the other forms that Pillow knows are read by code that few have attacked yet.
FORMATS = ("PNG", "JPEG", "WEBP", "GIF")

#: The most pixels of an image, before and after it is resized: a camera's 24 megapixels, 75 MB as RGB.
MAX_PIXELS = 25_000_000

# Ours is lower, and says in words what is wrong.
Image.MAX_IMAGE_PIXELS = None

_ORIENTATION = 0x0112
#: What sets an image upright, by its EXIF orientation.
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

#: How files begin that people take for an image which we could read.
_OTHERS = {
    b"BM": "a BMP image",
    b"II*\0": "a TIFF image",
    b"MM\0*": "a TIFF image",
    b"\0\0\1\0": "an icon",
    b"%PDF": "a PDF file",
    b"\0\0\0\x0cjP": "a JPEG 2000 image",
    b"PK": "a zip file",
    b"{": "JSON",
    b"<!DOCTYPE": "an HTML page",
    b"<html": "an HTML page",
    b"--": "a form whose content type is missing",
}


def decoded(data: bytes, path: str, *, grey: bool = False, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """The image upright, in RGB or grey, what is transparent on white; of an animation the first frame.

    Args:
        path: of the data in the request, for errors.

    Raises InvalidInput for what is no image, is broken, or has too many pixels, which its header says.
    """
    _check_webp(data, path, max_pixels)
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
    except Exception as exc:
        # A decoder of garbage raises nearly anything.
        raise InvalidInput(path, f"{path} is {_kind(data)}. Send a PNG, JPEG, WebP or GIF image.") from exc
    _check_pixels(image.size, path, max_pixels)
    try:
        if image.format == "PNG":
            # Reading alone does not look at the checksums.
            image.verify()
            image = Image.open(io.BytesIO(data), formats=("PNG",))
        image.load()
        return _flattened(_upright(image), "L" if grey else "RGB")
    except Exception as exc:
        reason = str(exc).partition("\n")[0][:80]
        raise InvalidInput(
            path, f"{path} is a {image.format} image that is cut off or broken ({reason}). Send the whole file."
        ) from exc


def _kind(data: bytes) -> str:
    """What the data looks like, for the message that it is no image we read."""
    start = data[:1024].lstrip()
    if b"<svg" in start:
        return "an SVG drawing, which has no pixels"
    if data[4:12] in (b"ftypheic", b"ftypheix", b"ftypmif1", b"ftypavif"):
        return "a HEIC or AVIF image"
    if _begins_as_ours(data):
        return "an image whose header is cut off or broken"
    return next((name for begin, name in _OTHERS.items() if start.startswith(begin)), "no image")


def _begins_as_ours(data: bytes) -> bool:
    return data.startswith((b"\x89PNG", b"\xff\xd8\xff", b"GIF8")) or (data[:4] + data[8:12] == b"RIFFWEBP")


def _check_pixels(size: tuple[int, int], path: str, limit: int) -> None:
    width, height = size
    if width * height > limit:
        raise InvalidInput(path, f"{path} has {width} × {height} pixels; the limit is {limit:,}. Send it smaller.")


def _check_webp(data: bytes, path: str, limit: int) -> None:
    """Pillow takes memory for the whole canvas of a WebP as it opens it, so that its header is looked at before."""
    if data[:4] + data[8:12] != b"RIFFWEBP":
        return
    kind, header = data[12:16], data[20:30]
    if kind == b"VP8X":
        size = 1 + int.from_bytes(header[4:7], "little"), 1 + int.from_bytes(header[7:10], "little")
    elif kind == b"VP8L":
        bits = int.from_bytes(header[1:5], "little")
        size = 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    else:
        size = int.from_bytes(header[6:8], "little") & 0x3FFF, int.from_bytes(header[8:10], "little") & 0x3FFF
    _check_pixels(size, path, limit)


def _upright(image: Image.Image) -> Image.Image:
    try:
        orientation = image.getexif().get(_ORIENTATION)
    except Exception:  # noqa: BLE001 - broken notes beside the image; it is whole itself
        return image
    turn = _UPRIGHT.get(orientation) if isinstance(orientation, int) else None
    return image if turn is None else image.transpose(turn)


def _flattened(image: Image.Image, mode: str) -> Image.Image:
    if image.mode.startswith("I"):
        return _from_sixteen_bits(image).convert(mode)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGB", image.size, "white")
        white.paste(image, mask=image.getchannel("A"))
        image = white
    return image.convert(mode)


def _from_sixteen_bits(image: Image.Image) -> Image.Image:
    """By the upper eight bits, as Pillow reads colours of sixteen; its own conversion would cut at 255."""
    values = np.asarray(image)
    clear = image.info.get("transparency")
    eight = (values >> 8).astype(np.uint8)
    return Image.fromarray(np.where(values == clear, np.uint8(255), eight) if isinstance(clear, int) else eight)


@dataclass(frozen=True)
class ImageProcessor:
    """What happens between an image and the model's input, in this order.

    Args:
        channels: 3 for RGB, 1 for grey.
        size: (height, width) to resize to, or (shortest edge,) to keep the proportions; None: as it is.
        longest: the most that the longest edge may have then.
        resample: Pillow's number of the filter.
        crop: (height, width) of the middle that is kept; black stands where the image is smaller.
        scale: what the values from 0 to 255 are multiplied with.
        shift: is added then.
        mean, std: of each channel; empty: they are left as they are.
        std_again: a second division, by the standard deviation alone, which EfficientNet was trained with.
        flips: turns RGB into BGR.
    """

    channels: int
    size: tuple[int, int] | tuple[int] | None
    resample: int
    crop: tuple[int, int] | None
    scale: float | None
    shift: float = 0.0
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    std_again: tuple[float, ...] = ()
    flips: bool = False
    longest: int | None = None

    @property
    def shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of what every image becomes. Raises ValueError where they would differ."""
        fixed = self.crop or self.size
        if fixed is None or len(fixed) != 2:
            raise ValueError(
                "The processor leaves images of different shapes, which make no batch. Give it a crop_size, or a "
                "size with height and width."
            )
        return (self.channels, *fixed)

    @classmethod
    def from_config(cls, config: Mapping[str, Any], channels: int) -> Self:
        """What a transformers processor does, from its ``to_dict``.

        Raises ValueError for one that does what this class does not know.
        """
        kind = str(config.get("image_processor_type"))
        if kind not in _READERS:
            raise ValueError(f"{kind} does what is not known here. Known are: {', '.join(sorted(_READERS))}.")
        if channels not in (1, 3):
            raise ValueError(f"The model reads {channels} channels. Images have 3, or 1 if they are grey.")
        if config.get("do_pad"):
            raise ValueError(f"The {kind} pads its images (do_pad), which is not known here.")
        config = dict(config) | {
            name: [config[name]] * channels
            for name in ("image_mean", "image_std")
            if isinstance(config.get(name), int | float)
        }
        steps = _plain_steps(config)
        steps |= _READERS[kind](config, steps)
        found = cls(channels=channels, resample=int(_or(config.get("resample"), Image.Resampling.BILINEAR)), **steps)
        for name in ("mean", "std", "std_again"):
            count = len(getattr(found, name))
            if count not in (0, channels):
                raise ValueError(
                    f"The {kind} has {count} values of image_{name[:4]}, and the model {channels} channels."
                )
        _ = found.shape
        return found

    def __call__(self, image: Image.Image, path: str) -> NDArray[np.float32]:
        """Shape (channels, height, width). Raises InvalidInput for an image too narrow to be resized."""
        if self.size is not None:
            size = self._resized(image.height, image.width)
            _check_proportions(image, size, path)
            image = image.resize((size[1], size[0]), resample=Image.Resampling(self.resample))
        values = np.asarray(image)
        values = values[None] if values.ndim == 2 else np.moveaxis(values, -1, 0)
        if self.crop is not None:
            values = _middle(values, *self.crop)
        return self._scaled(values)

    def _resized(self, height: int, width: int) -> tuple[int, int]:
        assert self.size is not None  # noqa: S101 - as the caller has seen
        if len(self.size) == 2:
            return self.size
        short, long = sorted((height, width))
        new_short = self.size[0]
        if self.longest is not None and long / short * new_short > self.longest:
            exact = self.longest * short / long
            new_short, new_long = round(exact), int(exact * long / short)
        else:
            new_long = int(new_short * long / short)
        return (new_long, new_short) if width <= height else (new_short, new_long)

    def _scaled(self, values: NDArray[np.uint8]) -> NDArray[np.float32]:
        # In transformers' own order and precision, so that the results are equal and not only close.
        pixels = values.astype(np.float32) if self.scale is None else (values * self.scale).astype(np.float32)
        if self.shift:
            pixels += np.float32(self.shift)
        if self.mean:
            pixels = (pixels - _column(self.mean)) / _column(self.std)
        if self.std_again:
            pixels = pixels / _column(self.std_again)
        return np.ascontiguousarray(pixels[::-1] if self.flips else pixels)


def plain_processor(
    size: tuple[int, int],
    mean: Sequence[float] = (),
    std: Sequence[float] = (),
    *,
    crop: tuple[int, int] | None = None,
    resample: str = "bilinear",
) -> ImageProcessor:
    """Resizes, crops, scales to values from 0 to 1, and normalizes where mean and std are given."""
    filters = {one.name.lower(): int(one) for one in Image.Resampling}
    if resample not in filters:
        raise ValueError(f'There is no way to resample called "{resample}". There are: {", ".join(filters)}.')
    if len(mean) != len(std) or len(mean) not in (0, 1, 3):
        raise ValueError(f"There are {len(mean)} values of mean and {len(std)} of std. Give 3 of each, or 1 for grey.")
    return ImageProcessor(
        channels=len(mean) or 3,
        size=(size[0], size[1]),
        resample=filters[resample],
        crop=None if crop is None else (crop[0], crop[1]),
        scale=1 / 255,
        mean=tuple(map(float, mean)),
        std=tuple(map(float, std)),
    )


def _column(values: tuple[float, ...]) -> NDArray[np.float32]:
    return np.array(values, dtype=np.float32)[:, None, None]


def _check_proportions(image: Image.Image, size: tuple[int, int], path: str) -> None:
    """A line of pixels, widened to the model's shortest edge, would be as large as a bomb."""
    if math.prod(size) > MAX_PIXELS:
        raise InvalidInput(
            path, f"{path} has {image.width} × {image.height} pixels, which is too narrow for this model. Crop it."
        )


def _middle(values: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """As transformers crops: where the image is smaller, the larger half of the border stands before it."""
    rows, columns = values.shape[1:]
    if height > rows or width > columns:
        wide = np.zeros((values.shape[0], max(height, rows), max(width, columns)), dtype=values.dtype)
        top, left = -((rows - wide.shape[1]) // 2), -((columns - wide.shape[2]) // 2)
        wide[:, top : top + rows, left : left + columns] = values
        start = (rows - height) // 2 + top, (columns - width) // 2 + left
        return wide[:, start[0] : start[0] + height, start[1] : start[1] + width]
    top, left = (rows - height) // 2, (columns - width) // 2
    return values[:, top : top + height, left : left + width]


Steps = dict[str, Any]


def _plain_steps(config: Mapping[str, Any]) -> Steps:
    """The steps that all of transformers' processors share."""
    crop = config.get("crop_size") if config.get("do_center_crop") else None
    normalizes = bool(config.get("do_normalize"))
    return {
        **(_size(config["size"]) if config.get("do_resize") else {"size": None}),
        "crop": None if crop is None else (int(crop["height"]), int(crop["width"])),
        "scale": float(_or(config.get("rescale_factor"), 1 / 255)) if config.get("do_rescale") else None,
        "mean": _values(config, "image_mean") if normalizes else (),
        "std": _values(config, "image_std") if normalizes else (),
    }


def _size(size: Mapping[str, int]) -> Steps:
    given = {name: int(value) for name, value in size.items() if value is not None}
    if set(given) == {"height", "width"}:
        return {"size": (given["height"], given["width"])}
    if "shortest_edge" in given and set(given) <= {"shortest_edge", "longest_edge"}:
        return {"size": (given["shortest_edge"],), "longest": given.get("longest_edge")}
    raise ValueError(f"The processor's size is given by {', '.join(given)}, which is not known here.")


def _values(config: Mapping[str, Any], name: str) -> tuple[float, ...]:
    return tuple(map(float, config[name]))


def _or(value: Any, default: Any) -> Any:
    return default if value is None else value


def _nothing_else(config: Mapping[str, Any], steps: Steps) -> Steps:
    return {}


def _convnext(config: Mapping[str, Any], steps: Steps) -> Steps:
    if steps["size"] is None:
        return {}
    if len(steps["size"]) != 1 or steps["crop"] is not None:
        raise ValueError("A ConvNextImageProcessor has a shortest_edge, and crops by crop_pct.")
    edge = steps["size"][0]
    if edge >= 384:
        return {"size": (edge, edge)}
    return {"size": (int(edge / _or(config.get("crop_pct"), 224 / 256)),), "crop": (edge, edge)}


def _efficientnet(config: Mapping[str, Any], steps: Steps) -> Steps:
    again = _values(config, "image_std") if config.get("include_top") else ()
    return {"shift": -1.0 if config.get("rescale_offset") and steps["scale"] is not None else 0.0, "std_again": again}


def _levit(config: Mapping[str, Any], steps: Steps) -> Steps:
    size = steps["size"]
    return {"size": (int(256 / 224 * size[0]),)} if size is not None and len(size) == 1 else {}


def _poolformer(config: Mapping[str, Any], steps: Steps) -> Steps:
    size, part = steps["size"], config.get("crop_pct")
    if size is None or part is None:
        return {}
    whole = tuple(int(edge / part) for edge in size)
    return {"size": whole[:1] if len(set(whole)) == 1 else whole}


def _mobilevit(config: Mapping[str, Any], steps: Steps) -> Steps:
    return {"mean": (), "std": (), "flips": bool(_or(config.get("do_flip_channel_order"), True))}


#: What each of transformers' processors does besides the plain steps.
_READERS: dict[str, Callable[[Mapping[str, Any], Steps], Steps]] = {
    **dict.fromkeys(
        (
            *("BeitImageProcessor", "BitImageProcessor", "CLIPImageProcessor", "DeiTImageProcessor"),
            *("MobileNetV1ImageProcessor", "MobileNetV2ImageProcessor", "PvtImageProcessor"),
            *("SegformerImageProcessor", "SiglipImageProcessor", "ViTImageProcessor"),
        ),
        _nothing_else,
    ),
    "ConvNextImageProcessor": _convnext,
    "EfficientNetImageProcessor": _efficientnet,
    "LevitImageProcessor": _levit,
    "MobileViTImageProcessor": _mobilevit,
    "PoolFormerImageProcessor": _poolformer,
}
