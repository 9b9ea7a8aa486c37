"""The tutorial's way, run as ``__main__``: three classes of one name, each dumped whole with dill.

Usage: tutorial.py TAGGER_FOLDER GENERATOR_FOLDER TARGET_FOLDER
"""

import re
import sys
from pathlib import Path

import dill


def build(tagger_folder, generator_folder):  # noqa: C901 - the tutorial is one function
    from transformers import AutoModelForSeq2SeqLM, AutoTokenizer, pipeline

    class ModelWrapper:
        def __init__(self):
            self.pipe = pipeline("token-classification", tagger_folder, aggregation_strategy="simple")

        def prepare_data(self, data):
            return data if isinstance(data, list) else [data]

        def predict(self, data):
            texts = self.prepare_data(data)
            found = [[entity | {"score": float(entity["score"])} for entity in one] for one in self.pipe(texts)]
            return {"statusCode": 200, "body": found}

    entities = ModelWrapper()

    class ModelWrapper:
        def __init__(self, model, tokenizer):
            self.model = model
            self.tokenizer = tokenizer

        def prepare_data(self, request):
            return self.tokenizer([request["data"]], return_tensors="pt", return_token_type_ids=False)

        def predict(self, features):
            tokens = self.model.generate(**features, max_new_tokens=6, do_sample=False)
            return {"statusCode": 200, "body": self.tokenizer.batch_decode(tokens, skip_special_tokens=True)[0]}

    model = AutoModelForSeq2SeqLM.from_pretrained(generator_folder)
    summaries = ModelWrapper(model, AutoTokenizer.from_pretrained(generator_folder))

    class ModelWrapper:
        def __init__(self, model):
            self.model = model

        def prepare_data(self, data):
            import numpy

            return numpy.array(data["rows"], dtype=float)

        def predict(self, data):
            if "rows" not in data:
                return {"statusCode": 400, "body": "no rows"}
            if not data["rows"]:
                return {"statusCode": 500, "body": "no row"}
            return {"statusCode": 200, "body": self.model.predict(self.prepare_data(data))}

    from sklearn.linear_model import LogisticRegression

    rows = [[0.0, 1.0], [1.0, 0.0], [0.1, 0.9], [0.8, 0.3]]
    sizes = ModelWrapper(LogisticRegression().fit(rows, ["small", "large", "small", "large"]))
    return {"entities": entities, "summaries": summaries, "sizes": sizes}


LIMIT = 3


class ModelWrapper:
    """Defined in ``__main__`` itself, with a global of it and no ``prepare_data``."""

    def __init__(self, words):
        self.words = words

    def predict(self, data):
        found = [word for word in self.words if re.match(data, word)]
        return {"statusCode": 200, "body": found[:LIMIT] if data.startswith("t") else found}


if __name__ == "__main__":
    target = Path(sys.argv[3])
    for name, wrapper in build(*sys.argv[1:3]).items():
        with open(target / f"{name}.dill", "wb") as file:
            dill.dump(wrapper, file)
    for name, recurse in (("words", True), ("words_without_globals", False)):
        with open(target / f"{name}.dill", "wb") as file:
            dill.dump(ModelWrapper(["one", "two", "three", "twelve", "twenty", "twice"]), file, recurse=recurse)
