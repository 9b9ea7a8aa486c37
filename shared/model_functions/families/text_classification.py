"""Text classification: a text, or a pair of texts, in; labels with their scores out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from model_functions.engines import ClassificationEngine, TextRefused, Tokens
from model_functions.errors import InvalidInput
from model_functions.inputs import MAX_ITEMS, TextInput, check_count, json_type, one_or_many
from model_functions.parameters import Parameter
from model_functions.rows import Row, Rows, RowWrapper
from model_functions.schemas import NUMBER, array, nullable, record, scored, string
from model_functions.string_tensors import check_tensor_names, string_spec, texts
from model_functions.tensors import TensorSpec
from model_functions.text_rows import TEXT_BATCH, text_rows
from model_functions.wrapper import Prepared

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MAX_CANDIDATES = 64


class Asked(NamedTuple):
    """One thing for the model to read: a text or a pair, and where in the request it stands."""

    text: str
    pair: str | None
    place: str


class TextOrPairInput(TextInput):
    """A string or ``{"text", "text_pair"}``, or a list of them.

    Args:
        pairs: whether the page offers a field for the second text.
    """

    def __init__(self, max_characters: int, max_items: int, *, pairs: bool) -> None:
        super().__init__(max_characters, max_items)
        self.kind = "pair" if pairs else "text"

    def items(self, data: Any) -> tuple[list[Any], bool]:
        if not isinstance(data, list):
            return [self._asked(data, "data")], True
        check_count(data, self.max_items)
        return [self._asked(item, f"data[{index}]") for index, item in enumerate(data)], False

    def schema(self) -> dict[str, Any]:
        text = {"type": "string", "minLength": 1, "maxLength": self.max_characters}
        pair = {
            "type": "object",
            "properties": {"text": text, "text_pair": nullable(text)},
            "required": ["text"],
            "additionalProperties": False,
        }
        return one_or_many({"anyOf": [text, pair]}, self.max_items)

    def _asked(self, item: Any, path: str) -> Asked:
        if not isinstance(item, dict):
            return Asked(self._text(item, path), None, path)
        unknown = [name for name in item if name not in ("text", "text_pair")]
        if unknown or "text" not in item:
            what = f'has "{unknown[0][:40]}"' if unknown else 'has no "text"'
            raise InvalidInput(path, f'{path} {what}. A pair is {{"text": …, "text_pair": …}}.')
        text = self._text(item["text"], f"{path}.text")
        pair = None if item.get("text_pair") is None else self._text(item["text_pair"], f"{path}.text_pair")
        return Asked(text, pair, path)

    def _text(self, value: Any, path: str) -> str:
        if not isinstance(value, str):
            raise InvalidInput(
                path, f'{path} is {json_type(value)}. Send a string, {{"text": …, "text_pair": …}}, or a list of them.'
            )
        return super()._text(value, path)


class TextClassificationWrapper(RowWrapper):
    """A prediction is ``[{"label", "score"}]``, best first.

    With ``candidate_labels``, which a model of entailment takes, it is ``{"sequence", "labels", "scores"}``, so too.
    """

    family, task = "text_classification", "text-classification"
    input_name = "text"
    architectures = ("ForSequenceClassification",)
    batch = TEXT_BATCH
    declared = (
        Parameter("top_k", "integer", "So many labels, the best ones; by default all.", None, 1, 10_000),
        Parameter(
            "function_to_apply",
            "string",
            "What makes scores of the model's own labels: softmax, sigmoid (each label for itself) or none.",
            None,
            choices=("softmax", "sigmoid", "none"),
        ),
        Parameter(
            "candidate_labels",
            "strings",
            "Labels of your own instead of the model's: zero-shot classification.",
            None,
            1,
            MAX_CANDIDATES,
        ),
        Parameter(
            "hypothesis_template",
            "string",
            "The sentence that a candidate label is tried in; {} stands for the label.",
            "This example is {}.",
            2,
            300,
        ),
        Parameter("multi_label", "boolean", "Judge each candidate label for itself: several may be true.", False),
    )

    def __init__(
        self,
        engine: ClassificationEngine,
        *,
        pairs: bool = False,
        max_characters: int = 10_000,
        max_items: int = MAX_ITEMS,
        defaults: Mapping[str, Any] | None = None,
        bounds: Mapping[str, tuple[float, float]] | None = None,
    ) -> None:
        entailment = [index for index, label in enumerate(engine.labels) if label.lower().startswith("entail")]
        zero_shot = () if entailment else ("candidate_labels", "hypothesis_template", "multi_label")
        super().__init__(
            TextOrPairInput(max_characters, max_items, pairs=pairs or bool(entailment)),
            defaults={"function_to_apply": engine.function_to_apply} | dict(defaults or {}),
            bounds=bounds,
            declared=[parameter for parameter in self.declared if parameter.name not in zero_shot],
        )
        self.engine = engine
        self.entailment = entailment[0] if entailment else None

    @classmethod
    def from_source(cls, source: str, *, max_tokens: int | None = None, example: Any = None, **settings: Any) -> Self:
        """From a Hugging Face Hub id or folder.

        Args:
            max_tokens: the longest text or pair in tokens; None: what the tokenizer and the model say.
            example: where it is a pair, the page offers a field for the second text.
            settings: the other arguments of the wrapper.
        """
        from model_functions.engines.transformers import TransformersClassifier

        engine = TransformersClassifier.from_pretrained(source, max_tokens=max_tokens)
        return cls(engine, pairs=isinstance(example, dict), **settings)

    def check(self, items: list[Asked], parameters: dict[str, Any]) -> None:
        candidates = parameters.get("candidate_labels")
        if candidates is None:
            return
        for index, label in enumerate(candidates):
            _check_candidate(f"parameters.candidate_labels[{index}]", label, candidates[:index])
        if "{}" not in parameters["hypothesis_template"]:
            raise InvalidInput(
                "parameters.hypothesis_template",
                '"hypothesis_template" has no {} for the label. Write it as "This example is {}.".',
            )
        for item in items:
            if item.pair is not None:
                raise InvalidInput(
                    item.place, f"{item.place} is a pair, and candidate_labels judge one text. Send the text alone."
                )

    def preprocess(self, items: list[Asked], parameters: dict[str, Any]) -> Rows:
        read = items
        if parameters.get("candidate_labels") is not None:
            read = [item._replace(pair=hypothesis) for item in items for hypothesis in _hypotheses(parameters)]
        rows: dict[int, Row] = {}
        for places in _alike(read):
            rows |= zip(places, text_rows(self._tokens(read, places)), strict=True)
        return Rows([rows[place] for place in range(len(read))], asked=items)

    def forward_rows(self, rows: list[Tokens], parameters: dict[str, Any]) -> list[NDArray[np.float32]]:
        # Imported here: numpy comes with the engine, while the weights are on their way.
        from model_functions.engines.texts import together

        return list(self.engine.logits(together(rows)))

    def tensor_inputs(self) -> list[TensorSpec]:
        text = string_spec(self.input_name)
        return [text, replace(text, name="text_pair", optional=True)] if self.input.kind == "pair" else [text]

    def tensor_outputs(self) -> list[TensorSpec]:
        return [string_spec("label"), TensorSpec("scores", "float32", (None, len(self.engine.labels)))]

    def tensor_labels(self, output: str) -> list[str]:
        return self.engine.labels if output == "scores" else []

    def data_of(self, tensors: Mapping[str, NDArray[Any]]) -> list[Any]:
        check_tensor_names(tensors, self.tensor_inputs())
        first = texts(tensors["text"], "text")
        if "text_pair" not in tensors:
            return list[Any](first)
        second = texts(tensors["text_pair"], "text_pair")
        if len(first) != len(second):
            raise InvalidInput(
                "inputs.text_pair",
                f"inputs.text_pair has {len(second)} texts, and inputs.text has {len(first)}. Send equally many.",
            )
        return [{"text": text, "text_pair": pair} for text, pair in zip(first, second, strict=True)]

    def finish_tensors(self, prepared: Prepared, outputs: Rows) -> dict[str, NDArray[Any]]:
        """The scores are those of all labels, in the model's order, or in that of candidate_labels."""
        from model_functions.engines.scores import with_best

        labels = prepared.parameters.get("candidate_labels") or self.engine.labels
        return with_best(self._scores(outputs, prepared.parameters), labels)

    def postprocess(self, outputs: Rows, parameters: dict[str, Any]) -> list[Any]:
        candidates, top_k = parameters.get("candidate_labels"), parameters["top_k"]
        each = self._scores(outputs, parameters)
        if candidates is None:
            return [
                [{"label": label, "score": score} for label, score in _best_first(self.engine.labels, row)[:top_k]]
                for row in each
            ]
        answers = []
        for item, scores in zip(outputs.asked, each, strict=True):
            best = _best_first(candidates, scores)[:top_k]
            labels, numbers = [label for label, _ in best], [score for _, score in best]
            answers.append({"sequence": item.text, "labels": labels, "scores": numbers})
        return answers

    def prediction_schema(self) -> dict[str, Any]:
        labelled = scored(self.engine.labels)
        if "candidate_labels" not in self.parameters:
            return labelled
        ranked = {"sequence": string(), "labels": array(string()), "scores": array(NUMBER)}
        return {"anyOf": [labelled, record(ranked)]}

    def _scores(self, outputs: Rows, parameters: dict[str, Any]) -> NDArray[np.float32]:
        """Shape (items, labels): the model's own labels, or the candidates."""
        import numpy as np

        from model_functions.engines.scores import APPLIED

        logits, candidates = np.stack(outputs.outputs), parameters.get("candidate_labels")
        if candidates is None:
            return APPLIED[parameters["function_to_apply"]](logits)
        return self._entailed(logits.reshape(len(outputs.asked), len(candidates), -1), parameters["multi_label"])

    def _tokens(self, read: list[Asked], places: list[int]) -> Tokens:
        texts, pairs = [read[place].text for place in places], [read[place].pair for place in places]
        try:
            return self.engine.encode(texts, [pair for pair in pairs if pair is not None] or None)
        except TextRefused as exc:
            raise InvalidInput(read[places[exc.index]].place, exc.message) from exc

    def _entailed(self, logits: NDArray[np.float32], multi_label: bool) -> NDArray[np.float32]:
        """How true each candidate label is, shape (texts, candidates), as transformers' zero-shot pipeline has it."""
        from model_functions.engines.scores import softmax

        assert self.entailment is not None  # noqa: S101 - candidate_labels are declared for it alone
        if multi_label or logits.shape[1] == 1:
            return softmax(logits[:, :, [self._contradiction(), self.entailment]])[:, :, 1]
        return softmax(logits[:, :, self.entailment])

    def _contradiction(self) -> int:
        named = [index for index, label in enumerate(self.engine.labels) if label.lower().startswith("contra")]
        return named[0] if named else (-1 if self.entailment == 0 else 0)


def _best_first(labels: list[str], scores: NDArray[np.float32]) -> list[tuple[str, float]]:
    return sorted(zip(labels, scores.tolist(), strict=True), key=lambda pair: -pair[1])


def _hypotheses(parameters: dict[str, Any]) -> list[str]:
    return [parameters["hypothesis_template"].replace("{}", label) for label in parameters["candidate_labels"]]


def _alike(read: list[Asked]) -> Iterator[list[int]]:
    """The places of texts, and those of pairs: tokenizers do not mix them."""
    for paired in (False, True):
        if places := [place for place, one in enumerate(read) if (one.pair is not None) == paired]:
            yield places


def _check_candidate(path: str, label: str, earlier: list[str]) -> None:
    if not label.strip():
        raise InvalidInput(path, f"{path} is an empty text. Send at least one word.")
    if label in earlier:
        raise InvalidInput(path, f'{path} says "{label}" again. Send each label once.')
