"""The sample of the onnx family: tells handwritten digits, by a small convolutional network."""

import json
from pathlib import Path

import torch

from deploy.samples import Score
from deploy.samples.digits import split
from deploy.samples.small_cnn import trained
from deploy.samples.training import main
from model_functions.families.onnx import OnnxWrapper

FAMILY = "onnx"
DESCRIPTION = "Tells which digit is drawn on 8 × 8 pixels, 0 for paper to 1 for ink."
EXAMPLES = [split()[1].images[index].tolist() for index in (0, 1, 2)]
SEED = 1


def wrapper(folder: Path) -> OnnxWrapper:
    """What is published of the folder that train() made."""
    return OnnxWrapper.from_source(str(folder / "digits.onnx"), example=EXAMPLES[0])


def train(folder: Path, *, progress: bool = True) -> Score:
    """Trains the network in torch and exports it for any number of images."""
    from deploy.lanes import graphs

    model, score = trained(SEED, title="digits_onnx", progress=progress)
    graph = graphs.exported(model, (torch.zeros(2, 8, 8),), ({0},), ["pixels"], ["digit"])
    (folder / "digits.onnx").write_bytes(graph.SerializeToString(deterministic=True))
    steps = {"postprocess": {"digit": ["softmax", {"labels": [str(digit) for digit in range(10)]}]}}
    (folder / "digits.json").write_text(json.dumps(steps, indent=2))
    return score


if __name__ == "__main__":
    main("digits_onnx")
