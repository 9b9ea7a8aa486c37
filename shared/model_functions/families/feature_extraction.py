"""Feature extraction: texts in; their vectors, their similarities, or a ranking out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from model_functions.engines import EmbeddingEngine, TextRefused, Tokens
from model_functions.errors import InvalidInput
from model_functions.inputs import TextInput, check_count, json_type, one_or_many
from model_functions.parameters import Parameter
from model_functions.rows import Row, Rows, RowWrapper
from model_functions.schemas import COUNT, NUMBER, array, record, string
from model_functions.source import Source
from model_functions.tensors import TensorSpec
from model_functions.text_rows import TEXT_BATCH, text_rows

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from model_functions.engines.pooling import Head

#: Texts in one request, those of all its comparisons together.
MAX_TEXTS = 512
#: The names under which models keep the prompt of what is searched, as sentence-transformers tries them.
_DOCUMENT_PROMPTS = ("document", "passage", "corpus")
_FORMS = 'a text, {"source_sentence": …, "sentences": […]} or {"query": …, "documents": […]}'


class Form(NamedTuple):
    """An item that compares one text with others: the fields that hold them, and what each other is called."""

    one: str
    others: str


SIMILARITY, RANKING = Form("source_sentence", "sentences"), Form("query", "documents")


@dataclass(frozen=True)
class Item:
    """What is asked of some texts.

    Args:
        form: None: the vector of the only text; else how alike the others are to the first.
        places: where in the request each text stands.
    """

    form: Form | None
    texts: list[str]
    places: list[str]


class SentenceInput(TextInput):
    """A text, one of the FORMS, or a list of them."""

    kind = "sentences"

    def items(self, data: Any) -> tuple[list[Any], bool]:
        if isinstance(data, list):
            check_count(data, self.max_items)
            items, single = [self._item(item, f"data[{index}]") for index, item in enumerate(data)], False
        else:
            items, single = [self._item(data, "data")], True
        count = sum(len(item.texts) for item in items)
        if count > MAX_TEXTS:
            raise InvalidInput("data", f"data has {count} texts; the limit is {MAX_TEXTS}. Send fewer per request.")
        return items, single

    def schema(self) -> dict[str, Any]:
        text = {"type": "string", "minLength": 1, "maxLength": self.max_characters}
        others = {"type": "array", "items": text, "minItems": 1, "maxItems": MAX_TEXTS - 1}
        objects = [
            {
                "type": "object",
                "properties": {form.one: text, form.others: others},
                "required": list(form),
                "additionalProperties": False,
            }
            for form in (SIMILARITY, RANKING)
        ]
        return one_or_many({"anyOf": [text, *objects]}, self.max_items)

    def _item(self, item: Any, path: str) -> Item:
        if isinstance(item, str):
            return Item(None, [self._text(item, path)], [path])
        if not isinstance(item, dict):
            raise InvalidInput(path, f"{path} is {json_type(item)}. Send {_FORMS}.")
        form = next((form for form in (SIMILARITY, RANKING) if set(item) == set(form)), None)
        if form is None:
            names = ", ".join(f'"{name[:40]}"' for name in list(item)[:5]) or "no fields"
            raise InvalidInput(path, f"{path} has {names}. Send {_FORMS}.")
        others = item[form.others]
        if not isinstance(others, list) or not others:
            what = "an empty list" if others == [] else json_type(others)
            raise InvalidInput(f"{path}.{form.others}", f"{path}.{form.others} is {what}. Send a list of strings.")
        places = [f"{path}.{form.one}", *(f"{path}.{form.others}[{index}]" for index in range(len(others)))]
        texts = [self._text(text, place) for text, place in zip([item[form.one], *others], places, strict=True)]
        return Item(form, texts, places)


class Text(NamedTuple):
    """A text for the model: its prompt in front of it is not part of it."""

    text: str
    prompt: str
    place: str


class Encoded(NamedTuple):
    """A text's tokens, and how many of the first are its prompt's."""

    tokens: Tokens
    prompt_tokens: int


class FeatureExtractionWrapper(RowWrapper):
    """A text's prediction is its vector, a list of numbers.

    Of ``{"source_sentence", "sentences"}`` it is the list of similarities, of ``{"query", "documents"}`` the ranking
    ``[{"index", "score", "document"}]``, best first.
    """

    family, task = "feature_extraction", "feature-extraction"
    input_name = "text"
    formats = ("sentence_transformers",)
    speaks = ("openai_embeddings",)
    batch = TEXT_BATCH
    declared = (
        Parameter("normalize", "boolean", "Give each vector the length 1.", False),
        Parameter("prompt", "string", "Put before each text; of a ranking before the query alone.", None, 0, 1000),
        Parameter("prompt_name", "string", "One of the model's own prompts, put before as prompt is.", None),
        Parameter("truncate", "boolean", "Cut a text that is too long for the model instead of refusing it.", False),
        Parameter(
            "similarity",
            "string",
            "What is compared: the vectors' cosine, their dot product, or their distance (as a negative number).",
            "cosine",
            choices=("cosine", "dot", "euclidean", "manhattan"),
        ),
        Parameter("top_k", "integer", "Of a ranking so many documents, the best ones; by default all.", None, 1, 512),
        Parameter("return_documents", "boolean", "Repeat the documents in a ranking.", True),
    )

    def __init__(
        self,
        engine: EmbeddingEngine,
        head: Head,
        *,
        prompts: Mapping[str, str] | None = None,
        assumed: str = "",
        max_characters: int = 10_000,
        max_items: int = MAX_TEXTS,
        defaults: Mapping[str, Any] | None = None,
        bounds: Mapping[str, tuple[float, float]] | None = None,
    ) -> None:
        """
        Args:
            head: from the engine's vectors of tokens to the vector of the text.
            prompts: what a request may put before its texts, by name.
        """
        self.prompts = dict(prompts or {})
        own = [
            replace(parameter, choices=tuple(self.prompts)) if parameter.name == "prompt_name" else parameter
            for parameter in self.declared
            if self.prompts or parameter.name != "prompt_name"
        ]
        super().__init__(SentenceInput(max_characters, max_items), defaults=defaults, bounds=bounds, declared=own)
        self.engine = engine
        self.head = head
        self.assumed = assumed

    @classmethod
    def recognises(cls, source: Source) -> str | None:
        name = source.architecture
        # A model without a head; that of another task ends in these.
        bare = name.endswith("Model") and not name.endswith(("HeadModel", "HeadsModel", "MTModel"))
        bare &= not {"image_size", "vision_config"} & source.config.keys()
        return f"config.json names the architecture {name}" if bare else super().recognises(source)

    @classmethod
    def from_source(
        cls,
        source: str,
        *,
        max_tokens: int | None = None,
        defaults: Mapping[str, Any] | None = None,
        **settings: Any,
    ) -> Self:
        """From a folder or Hub id of sentence-transformers or of a plain Hugging Face model.

        Args:
            max_tokens: the longest text in tokens; None: what the source says.
            settings: the other arguments of the wrapper.
        """
        from model_functions.engines import sentence_folder
        from model_functions.engines.pooling import Normalize
        from model_functions.engines.tokenizers import lower_cased
        from model_functions.engines.transformers import TransformersEmbedder

        told = sentence_folder.read(source)
        limit = max_tokens or told.max_tokens
        engine = TransformersEmbedder.from_pretrained(source, max_tokens=limit, subfolder=told.encoder)
        if told.lower_case:
            lower_cased(engine.tokenizer)
        # The parameter takes the last step's place, so that a request can leave it out.
        ends = bool(told.head.layers) and isinstance(told.head.layers[-1], Normalize)
        head = replace(told.head, layers=told.head.layers[:-1]) if ends else told.head
        own = {"normalize": ends, "similarity": told.similarity, "prompt_name": told.default_prompt}
        brought = {name: value for name, value in own.items() if value is not None}
        assumed = (
            ""
            if told.is_told
            else "It has no modules.json, so a text's vector is taken to be the mean of its tokens' vectors, not "
            "normalized (--set normalize=true)."
        )
        return cls(
            engine, head, prompts=told.prompts, assumed=assumed, defaults=brought | dict(defaults or {}), **settings
        )

    def check(self, items: list[Item], parameters: dict[str, Any]) -> None:
        if parameters["prompt"] is not None and self._named_prompt(parameters) is not None:
            raise InvalidInput(
                "parameters.prompt", 'The request has both "prompt" and "prompt_name". Send one of them.'
            )

    def preprocess(self, items: list[Item], parameters: dict[str, Any]) -> Rows:
        texts = [text for item in items for text in self._texts(item, parameters)]
        prompts = {prompt: self._prompt_tokens(prompt) for prompt in {text.prompt for text in texts}}
        rows = text_rows(self._tokens(texts, truncate=parameters["truncate"]))
        return Rows(
            [
                Row(Encoded(row.features, prompts[text.prompt]), row.size, (row.kind, prompts[text.prompt]))
                for row, text in zip(rows, texts, strict=True)
            ],
            asked=items,
        )

    def forward_rows(self, rows: list[Encoded], parameters: dict[str, Any]) -> list[NDArray[np.float32]]:
        # Imported here: numpy comes with the engine, while the weights are on their way.
        from model_functions.engines.texts import together

        tokens = together([row.tokens for row in rows])
        hidden, mask = self.engine.last_hidden_state(tokens), tokens.arrays["attention_mask"]
        return list(self.head.apply(hidden, mask, rows[0].prompt_tokens))

    def postprocess(self, outputs: Rows, parameters: dict[str, Any]) -> list[Any]:
        import numpy as np

        from model_functions.engines.pooling import normalized

        stacked = np.stack(outputs.outputs)
        vectors = normalized(stacked) if parameters["normalize"] else stacked
        answers: list[Any] = []
        done = 0
        for item in outputs.asked:
            answers.append(_answer(item, vectors[done : done + len(item.texts)], parameters))
            done += len(item.texts)
        return answers

    def prediction_schema(self) -> dict[str, Any]:
        place = {"index": COUNT, "score": NUMBER, "document": string()}
        return {"anyOf": [array(NUMBER), array(record(place, ["index", "score"]))]}

    def tensor_outputs(self) -> list[TensorSpec]:
        return [TensorSpec("embedding", "float32", (None, None))]

    def tensors_of(self, predictions: list[Any]) -> dict[str, NDArray[Any]]:
        import numpy as np

        return {"embedding": np.array(predictions, np.float32)}

    def _texts(self, item: Item, parameters: dict[str, Any]) -> list[Text]:
        """The item's texts with their prompts: a query and documents have the model's own, unless one is sent."""
        sent = parameters["prompt"]
        if sent is None and (name := self._named_prompt(parameters)) is not None:
            sent = self.prompts[name]
        if item.form == RANKING:
            document = next((self.prompts[name] for name in _DOCUMENT_PROMPTS if name in self.prompts), "")
            first, other = self.prompts.get("query", "") if sent is None else sent, document
        else:
            usual = parameters.get("prompt_name")
            first = other = sent if sent is not None else self.prompts[usual] if usual is not None else ""
        prompts = [first, *[other] * (len(item.texts) - 1)]
        return [Text(*row) for row in zip(item.texts, prompts, item.places, strict=True)]

    def _named_prompt(self, parameters: dict[str, Any]) -> str | None:
        """The name of the prompt that the request chose; None when it is the usual one."""
        name: str | None = parameters.get("prompt_name")
        return None if name is None or name == self.parameters["prompt_name"].default else name

    def _prompt_tokens(self, prompt: str) -> int:
        """How many of a text's first tokens are the prompt's, where pooling leaves them out."""
        if not prompt or self.head.pooling.include_prompt:
            return 0
        [words] = self.engine.encode([prompt]).words
        # A special token behind it stands behind the text instead.
        return len(words) - (words[-1] is None)

    def _tokens(self, texts: list[Text], *, truncate: bool) -> Tokens:
        try:
            return self.engine.encode([text.prompt + text.text for text in texts], truncate=truncate)
        except TextRefused as exc:
            raise InvalidInput(texts[exc.index].place, exc.message) from exc


def _answer(item: Item, vectors: NDArray[np.float32], parameters: dict[str, Any]) -> Any:
    from model_functions.engines.pooling import SIMILARITIES

    if item.form is None:
        return vectors[0].tolist()
    scores = SIMILARITIES[parameters["similarity"]](vectors[0], vectors[1:]).tolist()
    if item.form == SIMILARITY:
        return scores
    ranked = sorted(range(len(scores)), key=lambda index: -scores[index])[: parameters["top_k"]]
    documents = item.texts[1:]
    return [
        {"index": index, "score": scores[index]}
        | ({"document": documents[index]} if parameters["return_documents"] else {})
        for index in ranked
    ]
