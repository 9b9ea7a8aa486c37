"""What the families that write text share: their parameters and their three steps."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import accumulate
from typing import TYPE_CHECKING, Any, ClassVar, Self

from model_functions.engines import GenerationEngine, Tokens
from model_functions.errors import InvalidInput
from model_functions.inputs import MAX_ITEMS, TextInput
from model_functions.parameters import Parameter
from model_functions.rows import Batch, Row, Rows, RowWrapper
from model_functions.schemas import one_or_list, record, string
from model_functions.source import Source
from model_functions.string_tensors import string_spec, strings
from model_functions.tensors import TensorSpec
from model_functions.text_rows import text_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Tokens that one request may make the model consider: items × beams or sequences × new tokens.
MAX_WORK = 32_768

GENERATION_PARAMETERS = (
    Parameter("max_new_tokens", "integer", "The longest answer, in tokens.", 128, 1, 512),
    Parameter("min_new_tokens", "integer", "The shortest answer, in tokens.", 0, 0, 512),
    Parameter("num_beams", "integer", "Candidates that the search keeps; 1 is greedy.", 1, 1, 8),
    Parameter("num_return_sequences", "integer", "Answers for each text, best first.", 1, 1, 8),
    Parameter("length_penalty", "number", "Above 0 beams prefer long answers, below 0 short ones.", 1.0, -5, 5),
    Parameter("early_stopping", "boolean", "Stop when as many candidates as beams are finished.", False),
    Parameter("no_repeat_ngram_size", "integer", "Runs of so many tokens occur once; 0 is off.", 0, 0, 10),
    Parameter("repetition_penalty", "number", "Above 1 makes repeating words less likely.", 1.0, 0.5, 5),
    Parameter("do_sample", "boolean", "Draw the answer instead of searching for it.", False),
    Parameter("temperature", "number", "Below 1 draws are safer, above 1 bolder.", 1.0, 0.001, 5),
    Parameter("top_k", "integer", "Draw from so many tokens only; 0 is off.", 50, 0, 1000),
    Parameter("top_p", "number", "Draw from the likeliest tokens that add up to this.", 1.0, 0.01, 1),
    Parameter("seed", "integer", "The same seed draws the same answer.", None, 0, 2**63 - 1),
    Parameter("prefix", "string", "Put before each text, as the model was trained.", "", 0, 100),
)


class GenerationWrapper(RowWrapper):
    """Text in, text out, through the engine's ``generate``.

    A prediction is ``{answer_key: text}``, or a list of them when several sequences are asked for.
    """

    declared: ClassVar[tuple[Parameter, ...]] = GENERATION_PARAMETERS
    # A step takes hardly longer for several texts than for one, whatever their lengths.
    batch = Batch(2048, 16, bucketed=False)
    answer_key: ClassVar[str]
    input_name = "text"
    speaks = ("generate",)
    default_prefixes: ClassVar[Mapping[str, str]] = {}
    """The prefix that an architecture was trained with, by its ``model_type``."""
    model_types: ClassVar[tuple[str, ...]] = ()
    """Those that were trained for nothing else than this task."""

    def __init__(
        self,
        engine: GenerationEngine,
        *,
        max_characters: int = 10_000,
        max_items: int = MAX_ITEMS,
        defaults: Mapping[str, Any] | None = None,
        bounds: Mapping[str, tuple[float, float]] | None = None,
    ) -> None:
        languages = () if engine.multilingual else ("source_language", "target_language")
        declared = [possible(p, engine.longest_answer) for p in self.declared if p.name not in languages]
        super().__init__(
            TextInput(max_characters, max_items),
            defaults=brought(declared, engine.generation_defaults()) | dict(defaults or {}),
            bounds=bounds,
            declared=declared,
        )
        self.engine = engine

    @classmethod
    def from_source(
        cls, source: str, *, defaults: Mapping[str, Any] | None = None, max_tokens: int | None = None, **settings: Any
    ) -> Self:
        """From a Hugging Face Hub id or folder.

        Args:
            max_tokens: the longest text in tokens; None: what the tokenizer and the model say.
            settings: ``max_characters``, ``max_items`` and ``bounds`` of the wrapper.
        """
        from model_functions.engines.transformers import TransformersGenerator

        engine = TransformersGenerator.from_pretrained(source, max_tokens=max_tokens)
        prefix = cls.default_prefixes.get(engine.model.config.model_type)
        trained = {} if prefix is None else {"prefix": prefix}
        return cls(engine, defaults=trained | dict(defaults or {}), **settings)

    @classmethod
    def recognises(cls, source: Source) -> str | None:
        if not source.architecture.endswith(("ForConditionalGeneration", "MTModel")):
            return None
        if source.model_type in cls.model_types:
            return f"config.json says model_type {source.model_type}"
        tasks = [name for name in source.config.get("task_specific_params") or {} if name.startswith(cls.task)]
        return f"config.json has task_specific_params for {tasks[0]}" if tasks else None

    def copied_bytes(self) -> tuple[int, int]:
        return getattr(self.engine, "copied_bytes", (0, 0))

    def check(self, items: list[Any], parameters: dict[str, Any]) -> None:
        check_search(len(items), parameters)

    def tokens(self, items: list[str], parameters: dict[str, Any]) -> Tokens:
        """What the engine reads of the texts. Raises InvalidInput."""
        texts = [parameters["prefix"] + text for text in items]
        return self.engine.encode_from(texts, parameters.get("source_language"))

    def preprocess(self, items: list[str], parameters: dict[str, Any]) -> Rows:
        tokens = self.tokens(items, parameters)
        if parameters["do_sample"]:
            # What is drawn follows from the seed and from all that is drawn with it.
            return Rows([Row(tokens, kind=object())])
        return Rows([Row(row.features, row.size, tuple(sorted(parameters.items()))) for row in text_rows(tokens)])

    def forward_rows(self, rows: list[Tokens], parameters: dict[str, Any]) -> list[list[str]]:
        return self.forward_while(rows, parameters, None)

    def forward_while(
        self, rows: list[Tokens], parameters: dict[str, Any], check: Callable[[], None] | None
    ) -> list[list[str]]:
        """The answers to each row's texts."""
        from model_functions.engines.texts import together

        texts = self.engine.decode(self.engine.generate(together(rows), parameters, check))
        counts = [len(row.arrays["input_ids"]) * parameters["num_return_sequences"] for row in rows]
        ends = list(accumulate(counts))
        return [texts[end - count : end] for count, end in zip(counts, ends, strict=True)]

    def tensor_outputs(self) -> list[TensorSpec]:
        return [string_spec(self.answer_key)]

    def tensors_of(self, predictions: list[Any]) -> dict[str, NDArray[Any]]:
        return answer_tensors(predictions, self.answer_key)

    def postprocess(self, outputs: Rows, parameters: dict[str, Any]) -> list[Any]:
        answers = [{self.answer_key: text} for texts in outputs.outputs for text in texts]
        count = parameters["num_return_sequences"]
        if count == 1:
            return answers
        return [answers[start : start + count] for start in range(0, len(answers), count)]

    def prediction_schema(self) -> dict[str, Any]:
        return one_or_list(record({self.answer_key: string()}))


def answer_tensors(predictions: list[Any], key: str) -> dict[str, NDArray[Any]]:
    """The texts, shape (items,), or (items, sequences) where several are asked for."""
    several = bool(predictions) and isinstance(predictions[0], list)
    answers = [answer for found in predictions for answer in (found if several else [found])]
    texts = strings(answer[key] for answer in answers)
    return {key: texts.reshape(len(predictions), -1) if several else texts}


def check_search(texts: int, parameters: dict[str, Any]) -> None:
    """Refuses parameters that contradict each other, or together ask for too much."""
    beams, sequences = parameters["num_beams"], parameters["num_return_sequences"]
    longest, shortest = parameters["max_new_tokens"], parameters["min_new_tokens"]
    if sequences > beams and not parameters["do_sample"]:
        raise InvalidInput(
            "parameters.num_return_sequences",
            f'"num_return_sequences" is {sequences} and "num_beams" {beams}. Give at least as many beams, or '
            'set "do_sample" to true.',
        )
    if shortest > longest:
        raise InvalidInput(
            "parameters.min_new_tokens",
            f'"min_new_tokens" is {shortest} and "max_new_tokens" {longest}. Give at most as many.',
        )
    work = texts * max(beams, sequences) * longest
    if work > MAX_WORK:
        raise InvalidInput(
            "parameters",
            f"{texts} texts × {max(beams, sequences)} beams or sequences × {longest} new tokens make {work}; "
            f"the limit is {MAX_WORK}. Send fewer texts or ask for less.",
        )


def brought(declared: Iterable[Parameter], own: Mapping[str, Any]) -> dict[str, Any]:
    """What the model's own configuration says of the parameters, for where the publisher is silent."""
    return {p.name: own[p.name] for p in declared if p.name in own and _fits(p, own[p.name])}


def possible(parameter: Parameter, longest_answer: int | None) -> Parameter:
    """The parameter within what the model can write."""
    if parameter.name not in ("max_new_tokens", "min_new_tokens") or longest_answer is None:
        return parameter
    low, high = parameter.minimum or 0, parameter.maximum or longest_answer
    return parameter.published(bounds=(low, min(high, longest_answer)))


def _fits(parameter: Parameter, value: Any) -> bool:
    try:
        parameter.check(value)
    except InvalidInput:
        return False
    return True
