"""OpenAI's embeddings: the vectors of texts."""

import base64
import sys
from array import array
from dataclasses import dataclass
from typing import Any

from model_functions.errors import InvalidInput
from model_functions.http.message import Response
from model_functions.http.protocols.openai_fields import WITHOUT_EFFECT, model_name_of, shown, whole
from model_functions.http.question import Question, answer_json
from model_functions.inputs import json_type
from model_functions.loaded import LoadedModel
from model_functions.wrapper import Prepared


@dataclass(slots=True)
class EmbeddingQuestion(Question):
    """The vectors of texts.

    Args:
        in_base64: as the client library asks for them, which is shorter and exact.
        dimensions: that the vectors shall have; None: their own.
    """

    in_base64: bool
    dimensions: int | None
    tokens: int = 0

    def prepared(self, prepared: Prepared) -> None:
        self.tokens = sum(row.size for row in prepared.features.rows)

    def answer(self, model: LoadedModel, prediction: Any) -> Response:
        vectors = prediction if isinstance(self.data, list) else [prediction]
        size = len(vectors[0])
        if self.dimensions not in (None, size):
            raise InvalidInput(
                "dimensions",
                f'"dimensions" is {self.dimensions}, and the vectors of {model.manifest.name} have {size}. '
                "Leave it out.",
            )
        data = [
            {"object": "embedding", "index": index, "embedding": _base64(vector) if self.in_base64 else vector}
            for index, vector in enumerate(vectors)
        ]
        usage = {"prompt_tokens": self.tokens, "total_tokens": self.tokens}
        return answer_json(model, {"object": "list", "data": data, "model": model.manifest.name, "usage": usage})


def read_embedding(fields: dict[str, Any], request_id: str) -> Question:
    if "input" not in fields:
        raise InvalidInput("input", 'The request has no "input". Send a text, or a list of texts.')
    texts, form, size = fields.pop("input"), fields.pop("encoding_format", "float"), fields.pop("dimensions", None)
    for index, text in enumerate(texts if isinstance(texts, list) else [texts]):
        if isinstance(text, int | list) and not isinstance(text, bool):
            raise InvalidInput(
                "input",
                '"input" has tokens, and each model has tokens of its own. Send texts '
                "(LangChain: check_embedding_ctx_length=False).",
            )
        if not isinstance(text, str):
            raise InvalidInput(
                "input", f'"input"{f"[{index}]" if isinstance(texts, list) else ""} is {json_type(text)}. Send texts.'
            )
    if form not in ("float", "base64"):
        raise InvalidInput("encoding_format", f'"encoding_format" is {shown(form)}. Send "float" or "base64".')
    name = model_name_of(fields)
    parameters = {key: value for key, value in fields.items() if key not in WITHOUT_EFFECT}
    return EmbeddingQuestion(
        name, texts, parameters, form == "base64", None if size is None else whole("dimensions", size)
    )


def _base64(vector: list[float]) -> str:
    numbers = array("f", vector)
    if sys.byteorder == "big":
        numbers.byteswap()
    return base64.b64encode(numbers.tobytes()).decode()
