"""The sample of the tensorflow family: a small convolutional network that reads handwritten digits, by Keras."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from deploy.samples import Score
from deploy.samples.digits import MINIMUM_ACCURACY, split
from deploy.samples.training import main
from model_functions.engines.tensorflow import library
from model_functions.families.tensorflow import TensorflowWrapper

FAMILY = "tensorflow"
DESCRIPTION = "Reads a handwritten digit of 8 × 8 points, 0 for paper to 1 for ink."
SEED = 8
EPOCHS = 24
BATCH = 64

#: A one, as a caller draws it.
_ONE = [[0.0, 0.0, 0.1, 0.8, 0.7, 0.0, 0.0, 0.0]] + [[0.0, 0.0, 0.0, 0.9, 0.9, 0.0, 0.0, 0.0]] * 7
_ZERO = [
    [0.0, 0.0, 0.4, 0.9, 0.8, 0.2, 0.0, 0.0],
    [0.0, 0.1, 1.0, 0.8, 0.9, 0.9, 0.1, 0.0],
    *[[0.0, 0.3, 1.0, 0.1, 0.1, 1.0, 0.4, 0.0]] * 4,
    [0.0, 0.1, 0.9, 0.7, 0.8, 1.0, 0.2, 0.0],
    [0.0, 0.0, 0.4, 1.0, 0.9, 0.3, 0.0, 0.0],
]
EXAMPLES = [_ZERO, _ONE, [_ZERO, _ONE]]


def wrapper(folder: Path) -> TensorflowWrapper:
    """What is published of the folder that train() made."""
    return TensorflowWrapper.from_source(str(folder / "model.keras"), example=_ZERO)


def train(folder: Path, *, progress: bool = True) -> Score:
    """Trains on images that are moved a little each time, and writes the model with the names of its classes."""
    # Loaded first, it keeps TensorFlow from talking.
    library()
    import keras
    import tensorflow as tf

    keras.utils.set_random_seed(SEED)
    tf.config.experimental.enable_op_determinism()
    known, held_out = split()
    model = _network()
    model.compile(optimizer=keras.optimizers.Adam(3e-3), loss="sparse_categorical_crossentropy")
    orders = np.random.default_rng(SEED)
    for _ in tqdm(range(EPOCHS), desc="digits", unit="epoch", disable=not (progress and sys.stderr.isatty())):
        order = orders.permutation(len(known.labels))
        for start in range(0, len(order), BATCH):
            chosen = order[start : start + BATCH]
            model.train_on_batch(known.images[chosen], known.labels[chosen])
    found = np.asarray(model(held_out.images, training=False)).argmax(axis=1)
    model.save(folder / "model.keras")
    (folder / "model.json").write_text(json.dumps({"postprocess": {"output_0": [{"labels": [*map(str, range(10))]}]}}))
    accuracy = float((found == held_out.labels).mean())
    return Score("accuracy", accuracy, MINIMUM_ACCURACY, len(found), "digits").require()


def _network() -> Any:
    from keras import Input, Sequential, layers

    return Sequential(
        [
            Input((8, 8), name="image"),
            layers.Reshape((8, 8, 1)),
            layers.Rescaling(2.0, offset=-1.0),
            layers.RandomTranslation(0.1, 0.1, fill_mode="constant", fill_value=-1.0, seed=SEED),
            layers.Conv2D(16, 3, padding="same", activation="relu"),
            layers.Conv2D(32, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dropout(0.3, seed=SEED),
            layers.Dense(64, activation="relu"),
            layers.Dense(10, activation="softmax"),
        ]
    )


if __name__ == "__main__":
    main("digits_tensorflow")
