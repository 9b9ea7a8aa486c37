"""The sample of the pytorch family: tells handwritten digits, by a small convolutional network."""

import json
from pathlib import Path

import torch

from deploy.samples import Score
from deploy.samples.digits import split
from deploy.samples.small_cnn import trained
from deploy.samples.training import main
from model_functions.families.pytorch import PytorchWrapper

FAMILY = "pytorch"
DESCRIPTION = "Tells which digit is drawn on 8 × 8 pixels, 0 for paper to 1 for ink."
EXAMPLES = [split()[1].images[index].tolist() for index in (3, 4, 5)]
SEED = 2


def wrapper(folder: Path) -> PytorchWrapper:
    """What is published of the folder that train() made."""
    return PytorchWrapper.from_source(str(folder / "digits.pt2"), example=EXAMPLES[0], trusted=True)


def train(folder: Path, *, progress: bool = True) -> Score:
    """Trains the network and exports its program for any number of images."""
    model, score = trained(SEED, title="digits_pytorch", progress=progress)
    # The exporter guards against sizes below two, which it would take for a dimension that is always one.
    images = {"pixels": {0: torch.export.Dim("batch", min=1, max=1024)}}
    program = torch.export.export(model, (torch.zeros(2, 8, 8),), dynamic_shapes=images)
    torch.export.save(program, folder / "digits.pt2")
    steps = {"postprocess": {"output": ["softmax", {"labels": [str(digit) for digit in range(10)]}]}}
    (folder / "digits.json").write_text(json.dumps(steps, indent=2))
    return score


if __name__ == "__main__":
    main("digits_pytorch")
