"""The sample of the image family: reads a handwritten digit, scanned or drawn with the mouse."""

import base64
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from torch.nn import functional
from transformers import ResNetConfig, ResNetForImageClassification, ViTImageProcessorPil

from deploy.samples import Score
from deploy.samples.batches import Batch
from deploy.samples.digits import MINIMUM_ACCURACY, Digits, split
from deploy.samples.optimisation import fit, reproducible
from deploy.samples.saving import save
from deploy.samples.training import main
from model_functions.families.image_classification import ImageClassificationWrapper

FAMILY = "image_classification"
DESCRIPTION = "Reads a handwritten digit: draw one, or send an image of one, dark on light."
SEED = 5
#: Pixels of the model's input, four times those of the scans.
SIDE = 32
EPOCHS = 32
BATCH = 64
PEAK_RATE = 4e-3
#: Drawings of a digit that the scans have in one form only.
DRAWN = 100


def png(image: NDArray[np.float32]) -> bytes:
    """A scan as a PNG, dark on light."""
    file = io.BytesIO()
    Image.fromarray(np.uint8(255) - (image * 255).astype(np.uint8)).save(file, "PNG", optimize=True)
    return file.getvalue()


def _examples() -> list[str]:
    """Scans that are held out, a few hundred bytes each in base64."""
    _, held_out = split()
    return [base64.b64encode(png(image)).decode() for image in held_out.images[:3]]


EXAMPLES: list[str] = _examples()


def wrapper(folder: Path) -> ImageClassificationWrapper:
    """What is published of the folder that train() made."""
    return ImageClassificationWrapper.from_source(str(folder), defaults={"top_k": 10})


def train(folder: Path, *, progress: bool = True) -> Score:
    """Trains a small ResNet on scans that are moved, turned, squeezed, and drawn with other pens."""
    seen, held_out = split()
    with reproducible(SEED):
        # A second thread saves a third of the time here, and costs five times as much where others compute too.
        torch.set_num_threads(1)
        model = ResNetForImageClassification(_config())
        fit(model, DrawnAnew(with_drawings(seen)), peak_rate=PEAK_RATE, title="digits_model", progress=progress)
    processor = ViTImageProcessorPil(
        size={"height": SIDE, "width": SIDE}, resample=Image.Resampling.BICUBIC, image_mean=[0.5], image_std=[0.5]
    )
    save(model, processor, folder)
    published = wrapper(folder)
    answers = [published.predict(base64.b64encode(png(image)).decode()) for image in held_out.images]
    right = [answer[0]["label"] == str(label) for answer, label in zip(answers, held_out.labels, strict=True)]
    return Score("accuracy", float(np.mean(right)), MINIMUM_ACCURACY, len(right), "scans").require()


def _config() -> ResNetConfig:
    labels = {digit: str(digit) for digit in range(10)}
    return ResNetConfig(
        num_channels=1,
        embedding_size=24,
        hidden_sizes=[24, 48, 96],
        depths=[1, 1, 1],
        layer_type="basic",
        id2label=labels,
        label2id={label: digit for digit, label in labels.items()},
    )


def with_drawings(digits: Digits) -> Digits:
    """The scans at the model's size, with what is rare among them: printed digits, barless sevens, flagged ones."""
    scans = functional.interpolate(torch.from_numpy(digits.images)[:, None], (SIDE, SIDE), mode="bicubic")[:, 0]
    rng = np.random.default_rng(SEED)
    drawn = [(digit, _stroke(digit, rng)) for digit in (1, 7) for _ in range(DRAWN)]
    drawn += [(digit, _printed(digit)) for digit in range(10)] * (DRAWN // 4)
    labels, images = zip(*drawn, strict=True)
    return Digits(
        np.concatenate([scans.clamp(0, 1).numpy(), np.stack(images)]),
        np.concatenate([digits.labels, np.array(labels, dtype=np.int64)]),
    )


def _stroke(digit: int, rng: np.random.Generator) -> NDArray[np.float32]:
    near = rng.uniform(-2, 2, 6)
    shapes = {1: [(7, 11), (17, 2), (17, 30)], 7: [(5, 3), (26, 3), (14, 30)]}
    points = [(x + near[2 * i], y + near[2 * i + 1]) for i, (x, y) in enumerate(shapes[digit])]
    paper = Image.new("L", (SIDE, SIDE))
    ImageDraw.Draw(paper).line(points, fill=255, width=int(rng.integers(3, 7)), joint="curve")
    return _ink(paper)


def _printed(digit: int) -> NDArray[np.float32]:
    """In Pillow's own font."""
    paper = Image.new("L", (SIDE, SIDE))
    middle = (SIDE / 2, SIDE / 2)
    ImageDraw.Draw(paper).text(middle, str(digit), fill=255, font=ImageFont.load_default(SIDE * 1.2), anchor="mm")
    return _ink(paper)


def _ink(paper: Image.Image) -> NDArray[np.float32]:
    ink: NDArray[np.float32] = np.asarray(paper, dtype=np.float32) / np.float32(255)
    return ink


class DrawnAnew(Sequence[Batch]):
    """The digits in batches, each time as if another hand and pen had written them."""

    def __init__(self, digits: Digits) -> None:
        self.ink = torch.from_numpy(digits.images)[:, None]
        self.labels = torch.from_numpy(digits.labels)

    def __len__(self) -> int:
        return EPOCHS * (len(self.ink) // BATCH)

    def __getitem__(self, index: Any) -> Any:
        if index >= len(self):
            raise IndexError(index)
        chosen = torch.randint(len(self.ink), (BATCH,))
        return {"pixel_values": _photographed(_penned(_placed(self.ink[chosen]))), "labels": self.labels[chosen]}


def _between(low: float, high: float) -> torch.Tensor:
    """A number for each image of a batch."""
    return torch.empty(BATCH, 1, 1, 1).uniform_(low, high)


def _placed(ink: torch.Tensor) -> torch.Tensor:
    """Smaller or wider, turned, leaning, and anywhere on the paper."""
    height = _between(0.36, 1.05).flatten()
    width = (height * _between(0.75, 1.2).flatten()).clamp(max=1.1)
    turn, lean = _between(-0.2, 0.2).flatten(), _between(-0.25, 0.25).flatten()
    right, down = (_between(-1, 1).flatten() * (1.05 - size).clamp(min=0.08) for size in (width, height))
    rows = torch.stack([turn.cos() / width, (lean - turn.sin()) / width, -right / width])
    columns = torch.stack([turn.sin() / height, turn.cos() / height, -down / height])
    inverse = torch.stack([rows, columns]).permute(2, 0, 1)
    grid = functional.affine_grid(inverse, [BATCH, 1, SIDE, SIDE], align_corners=False)
    return functional.grid_sample(ink, grid, align_corners=False)


def _penned(ink: torch.Tensor) -> torch.Tensor:
    """Half as soft as a scan, half as sharp as a pen's line, thin or thick."""
    edge, sharpness = _between(0.2, 0.65), _between(8, 40)
    sharp = torch.sigmoid(sharpness * (ink - edge))
    return torch.where(_between(0, 1) < 0.5, ink, sharp)


def _photographed(ink: torch.Tensor) -> torch.Tensor:
    """Dark on light, sometimes light on dark; with little contrast; noisy. As the processor gives it."""
    ink = ink * _between(0.5, 1)
    paper = torch.where(_between(0, 1) < 0.2, ink, 1 - ink)
    return (paper + _between(0, 0.06) * torch.randn_like(paper)).clamp(0, 1) * 2 - 1


if __name__ == "__main__":
    main("digits_model")
