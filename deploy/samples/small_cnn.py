"""A small convolutional network that tells digits, and how the tensor samples train it."""

import sys
from typing import Any

import torch
from torch import nn
from tqdm import tqdm

from deploy.samples import Score
from deploy.samples.digits import MINIMUM_ACCURACY, split
from deploy.samples.optimisation import reproducible

EPOCHS = 25
BATCH = 128
PEAK_RATE = 0.01


class SmallCnn(nn.Module):
    """Ten logits for each image of shape (count, 8, 8)."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(8, 24, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Dropout(0.2),
            nn.Linear(24 * 4 * 4, 10),
        )

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.layers(pixels.unsqueeze(1))
        return logits


def trained(seed: int, *, title: str, progress: bool) -> tuple[Any, Score]:
    """A network, ready for inference, and how many held-out digits it tells right."""
    train, held_out = split()
    with reproducible(seed):
        model = SmallCnn()
        images, labels = torch.from_numpy(train.images), torch.from_numpy(train.labels)
        optimizer = torch.optim.Adam(model.parameters(), lr=PEAK_RATE)
        steps = EPOCHS * -(-len(images) // BATCH)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, PEAK_RATE, total_steps=steps)
        for _ in tqdm(range(EPOCHS), desc=title, unit="epoch", disable=not (progress and sys.stderr.isatty())):
            for places in torch.split(torch.randperm(len(images)), BATCH):
                optimizer.zero_grad()
                loss: Any = nn.functional.cross_entropy(model(_shifted(images[places])), labels[places])
                loss.backward()
                optimizer.step()
                schedule.step()
        model.eval()
        with torch.inference_mode():
            found = model(torch.from_numpy(held_out.images)).argmax(dim=1).numpy()
    accuracy = float((found == held_out.labels).mean())
    return model, Score("accuracy", accuracy, MINIMUM_ACCURACY, len(held_out.labels), "digits").require()


def _shifted(images: torch.Tensor) -> torch.Tensor:
    """The images moved by up to a pixel, as nobody writes exactly in the middle."""
    down, right = torch.randint(-1, 2, (2,)).tolist()
    padded = nn.functional.pad(images, (1, 1, 1, 1))
    return padded[:, 1 + down : 9 + down, 1 + right : 9 + right]
