"""Tiny but real TensorFlow models, made where TensorFlow is: ``python -m tests.tiny_tensorflow FOLDER`` makes one."""

import sys
from pathlib import Path
from typing import Any


def saved_model(folder: Path) -> Path:
    """Three signatures: one doubles numbers, one looks words up in a table, one tells of the whole batch."""
    import tensorflow as tf

    vocabulary = folder.with_suffix(".txt")
    vocabulary.write_text("anna\nberlin\nparis\n")

    class Model(tf.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.factor = tf.Variable(2.0)
            words = tf.lookup.TextFileInitializer(
                *(str(vocabulary), tf.string, tf.lookup.TextFileIndex.WHOLE_LINE),
                *(tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER),
            )
            self.table = tf.lookup.StaticHashTable(words, -1)

    model = Model()

    def double(x: Any) -> Any:
        return {"doubled": x * model.factor}

    def find(word: Any) -> Any:
        return {"number": model.table.lookup(word), "word": tf.strings.upper(word)}

    def total(x: Any) -> Any:
        checked = tf.debugging.assert_non_negative(x, message="x has a negative number")
        with tf.control_dependencies([checked]):
            return {"total": tf.reduce_sum(x)}

    signatures = {
        "serving_default": _graph(double, x=tf.TensorSpec([None, 2], tf.float32)),
        "find": _graph(find, word=tf.TensorSpec([None], tf.string)),
        "total": _graph(total, x=tf.TensorSpec([None], tf.float32)),
    }
    tf.saved_model.save(model, str(folder), signatures=signatures)
    return folder


def types_model(folder: Path) -> Path:
    """Gives back what it is given, of nearly every type."""
    import tensorflow as tf

    kinds = ("float16", "bfloat16", "float64", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
    specs = {kind: tf.TensorSpec([None, 2], kind) for kind in (*kinds, "bool", "string")}

    def same(**given: Any) -> Any:
        return {kind: tf.identity(one) for kind, one in given.items()}

    model = tf.Module()
    tf.saved_model.save(model, str(folder), signatures={"serving_default": _graph(same, **specs)})
    return folder


def image_model() -> Any:
    """A Keras CNN of 8 × 8 images, with layers that only work while it is trained."""
    from keras import Input, Sequential, layers, utils

    utils.set_random_seed(0)
    parts = [
        *(Input((8, 8), name="image"), layers.Reshape((8, 8, 1)), layers.Rescaling(2.0, -1.0)),
        *(layers.RandomTranslation(0.1, 0.1), layers.Conv2D(4, 3, activation="relu"), layers.BatchNormalization()),
        *(layers.Flatten(), layers.Dropout(0.5), layers.Dense(3, activation="softmax")),
    ]
    return Sequential(parts)


def mixed_model() -> Any:
    """A Keras model of numbers, words and texts, with the preprocessing of each, and of two outputs."""
    import keras
    import numpy as np
    from keras import layers

    keras.utils.set_random_seed(0)
    age, city = keras.Input((1,), name="age"), keras.Input((1,), name="city", dtype="string")
    text = keras.Input((), name="text", dtype="string")
    normal = layers.Normalization()
    normal.adapt(np.arange(10.0).reshape(-1, 1))
    words = layers.TextVectorization(output_sequence_length=4, vocabulary=["hello", "world"])
    cities = layers.StringLookup(vocabulary=["paris", "rome"], output_mode="one_hot")
    both = [normal(age), cities(city), layers.Flatten()(layers.Embedding(10, 3)(words(text)))]
    # A layer that draws has a seed, drawn when it is made.
    joined = layers.Dropout(0.5)(layers.Concatenate()(both))
    score, flag = layers.Dense(1, name="score"), layers.Dense(1, activation="sigmoid", name="flag")
    given = {"age": age, "city": city, "text": text}
    return keras.Model(given, {"score": score(joined), "flag": flag(joined)})


def _graph(function: Any, **specs: Any) -> Any:
    import tensorflow as tf

    return tf.function(function, autograph=False).get_concrete_function(**specs)


if __name__ == "__main__":
    saved_model(Path(sys.argv[1]))
