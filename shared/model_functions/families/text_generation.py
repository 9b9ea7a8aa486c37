"""Text generation: a text or a chat in, what follows it out, whole or token by token."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

from model_functions.engines import WritingEngine
from model_functions.errors import InvalidInput
from model_functions.generation import GENERATION_PARAMETERS, answer_tensors, brought, check_search, possible
from model_functions.inputs import MAX_ITEMS, Asked, PromptInput
from model_functions.parameters import Parameter, check_parameters
from model_functions.schemas import COUNT, one_or_list, record, string
from model_functions.string_tensors import check_tensor_names, string_spec, texts
from model_functions.tensors import TensorSpec
from model_functions.wrapper import STREAM, ModelWrapper

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from model_functions.engines.continuation import Answer, Writing
    from model_functions.engines.likelihood import Token

#: Tokens of an answer, at most, and where nobody says how many.
LONGEST_ANSWER, DEFAULT_ANSWER = 4096, 128

_OWN = {
    "max_new_tokens": Parameter(
        "max_new_tokens", "integer", "The longest answer, in tokens.", DEFAULT_ANSWER, 1, LONGEST_ANSWER
    ),
    "min_new_tokens": Parameter("min_new_tokens", "integer", "The shortest answer, in tokens.", 0, 0, LONGEST_ANSWER),
    "num_return_sequences": Parameter("num_return_sequences", "integer", "Answers for each prompt.", 1, 1, 8),
    "seed": Parameter(
        "seed",
        "integer",
        "The same seed draws the same answer, for a prompt alone or among others.",
        None,
        0,
        2**63 - 1,
    ),
}


@dataclass(frozen=True)
class Prompt:
    """What the model goes on with.

    Args:
        text: that of a chat is as the model's template writes it.
    """

    text: str
    numbers: list[int]


class TextGenerationWrapper(ModelWrapper):
    """Decoders: GPT-2, Llama, Qwen, whatever transformers loads as a causal language model."""

    family, task = "text_generation", "text-generation"
    input_name = "text"
    architectures = ("ForCausalLM", "LMHeadModel")
    speaks = ("generate", "openai_chat", "openai_completions")
    declared: ClassVar[tuple[Parameter, ...]] = (
        *(_OWN.get(p.name, p) for p in GENERATION_PARAMETERS if p.name != "prefix"),
        Parameter("min_p", "number", "Draw from tokens at least so likely, in parts of the likeliest.", 0.0, 0, 1),
        Parameter("typical_p", "number", "Draw from tokens as surprising as usual, up to this share.", 1.0, 0.001, 1),
        Parameter(
            "presence_penalty", "number", "Above 0 makes tokens that the answer has already less likely.", 0.0, -2, 2
        ),
        Parameter("frequency_penalty", "number", "The same, for each time that it has them.", 0.0, -2, 2),
        Parameter("stop", "strings", "Texts that end the answer, which is told without them.", None, 0, 8),
        Parameter("return_full_text", "boolean", "Put the prompt before its answer.", False),
        Parameter(
            "logprobs",
            "integer",
            "Tell the answer's tokens, how likely they were, and so many of the likeliest in the place of each.",
            None,
            0,
            20,
        ),
        STREAM,
    )

    def __init__(
        self,
        engine: WritingEngine,
        *,
        max_characters: int = 100_000,
        max_items: int = MAX_ITEMS,
        defaults: Mapping[str, Any] | None = None,
        bounds: Mapping[str, tuple[float, float]] | None = None,
    ) -> None:
        # One position at least is the prompt's, and half of them where nobody says how long the answer may be.
        positions = engine.positions or 2 * LONGEST_ANSWER
        usual = {"max_new_tokens": min(DEFAULT_ANSWER, positions // 2)}
        declared = [possible(p, positions - 1).published(default=usual.get(p.name)) for p in self.declared]
        super().__init__(
            PromptInput(max_characters, max_items, chats=engine.chat is not None),
            defaults=brought(declared, engine.generation_defaults()) | dict(defaults or {}),
            bounds=bounds,
            declared=declared,
        )
        self.engine = engine

    @classmethod
    def from_source(cls, source: str, *, max_tokens: int | None = None, **settings: Any) -> Self:
        """From a Hugging Face Hub id or folder.

        Args:
            max_tokens: of a prompt and its answer together; None: what the tokenizer and the model say.
            settings: ``max_characters``, ``max_items``, ``defaults`` and ``bounds`` of the wrapper.
        """
        from model_functions.engines.transformers import TransformersWriter

        return cls(TransformersWriter.from_pretrained(source, max_tokens=max_tokens), **settings)

    def stream(self, data: Any, parameters: Mapping[str, Any] | None = None) -> Generator[dict[str, Any], None, Any]:
        items, single = self.input.items(data)
        values = check_parameters(self.parameters, parameters or {})
        self.check(items, values)
        if values["num_beams"] > 1:
            raise InvalidInput(
                "parameters.stream",
                f'"num_beams" is {values["num_beams"]}, and beams are chosen from at the end only. '
                'Set it to 1, or leave "stream" out.',
            )
        pieces = self._steps(items, single, values)
        while True:
            try:
                piece = next(pieces)
            except StopIteration as end:
                return end.value
            if piece is not None:
                yield piece

    def steps(
        self, data: Any, parameters: Mapping[str, Any] | None = None
    ) -> Generator[dict[str, Any] | None, None, Any]:
        """``stream`` in single steps, and with beams: it pauses also where it has no piece to give, with None.

        A step of one is a step of everybody who writes with this wrapper. Only one may be inside at a time; any may
        be closed between steps. At the end it returns what ``predict`` would.
        """
        items, single = self.input.items(data)
        values = check_parameters(self.parameters, parameters or {})
        self.check(items, values)
        return (yield from self._steps(items, single, values))

    @property
    def writes_together(self) -> bool:
        return self.engine.scheduler is not None

    def room(self, data: Any) -> int | None:
        """Tokens that answers to all prompts of the data could have; None: any number. Raises InvalidInput."""
        positions = self.engine.positions
        if positions is None:
            return None
        items, _ = self.input.items(data)
        return positions - max(len(self._read(item).numbers) for item in items)

    def check(self, items: list[Asked], parameters: dict[str, Any]) -> None:
        check_search(len(items), parameters)
        if parameters["num_beams"] > 1:
            # A logprobs of 0 asks for something, a penalty of 0 for nothing.
            given = {"logprobs": None, "presence_penalty": 0, "frequency_penalty": 0}
            for name, silent in given.items():
                if parameters.get(name, silent) != silent:
                    raise InvalidInput(
                        f"parameters.{name}",
                        f'"num_beams" is {parameters["num_beams"]}, and beams are compared as wholes. Set it to 1, or '
                        f'leave "{name}" out.',
                    )
        if parameters["return_full_text"] and any(item.messages for item in items):
            raise InvalidInput(
                "parameters.return_full_text",
                '"return_full_text" is true, and a chat is no text that an answer could follow. Leave it out.',
            )

    def preprocess(self, items: list[Asked], parameters: dict[str, Any]) -> list[Prompt]:
        prompts = [self._prompt(item, parameters["max_new_tokens"]) for item in items]
        self._check_room(prompts, parameters)
        return prompts

    def forward(self, features: list[Prompt], parameters: dict[str, Any]) -> tuple[list[Prompt], list[Answer]]:
        writing = self._writing(features, parameters)
        for _ in writing.by_beams() if parameters["num_beams"] > 1 else writing.steps():
            pass
        return features, writing.answers

    def postprocess(self, outputs: tuple[list[Prompt], list[Answer]], parameters: dict[str, Any]) -> list[Any]:
        prompts, answers = outputs
        count = parameters["num_return_sequences"]
        predictions = [
            {"generated_text": answer.text}
            | _facts(prompts[number // count], answer)
            | _tokens(answer.tokens, parameters)
            for number, answer in enumerate(answers)
        ]
        if count == 1:
            return predictions
        return [predictions[start : start + count] for start in range(0, len(predictions), count)]

    def prediction_schema(self) -> dict[str, Any]:
        counts = {"prompt_tokens": COUNT, "generated_tokens": COUNT}
        facts = {"generated_text": string(), "finish_reason": string(), "stop_sequence": string(), **counts}
        return one_or_list(record(facts, ["generated_text", "finish_reason", *counts]))

    def tensor_outputs(self) -> list[TensorSpec]:
        return [string_spec("generated_text")]

    def data_of(self, tensors: Mapping[str, NDArray[Any]]) -> list[str]:
        check_tensor_names(tensors, self.tensor_inputs())
        return texts(tensors[self.input_name], self.input_name)

    def tensors_of(self, predictions: list[Any]) -> dict[str, NDArray[Any]]:
        return answer_tensors(predictions, "generated_text")

    def copied_bytes(self) -> tuple[int, int]:
        kept = self.engine.memory_bytes()
        return kept, kept

    def _steps(
        self, items: list[Asked], single: bool, values: dict[str, Any]
    ) -> Generator[dict[str, Any] | None, None, Any]:
        prompts, count = self.preprocess(items, values), values["num_return_sequences"]
        writing = self._writing(prompts, values)
        if values["num_beams"] > 1:
            yield from writing.by_beams()
        else:
            for piece in writing.steps():
                if piece is None:
                    yield None
                    continue
                item, sequence = divmod(piece.number, count)
                place = ({} if single else {"index": item}) | ({} if count == 1 else {"sequence": sequence})
                facts = _facts(prompts[item], writing.answers[piece.number]) if piece.ended else {}
                yield place | {"text": piece.text} | _tokens(piece.tokens, values) | facts
        predictions = self.postprocess((prompts, writing.answers), values)
        return predictions[0] if single else predictions

    def _prompt(self, item: Asked, longest_answer: int) -> Prompt:
        prompt = self._read(item)
        count, positions = len(prompt.numbers), self.engine.positions
        if not count:
            raise InvalidInput(item.path, "The model's tokenizer finds nothing in this text. Send words.")
        if positions is not None and count + longest_answer > positions:
            room = positions - count
            way_out = f'"max_new_tokens" of at most {room}' if room > 0 else f"at most {positions - 1} tokens"
            raise InvalidInput(
                item.path,
                f"The prompt has {count} tokens, and with {longest_answer} new ones that is {count + longest_answer}; "
                f"the model reads {positions}. Send {way_out}.",
            )
        return prompt

    def _read(self, item: Asked) -> Prompt:
        if item.text:
            return Prompt(item.text, self.engine.numbers(item.text, special=True))
        if item.messages:
            assert self.engine.chat is not None  # noqa: S101 - the input refuses a chat where there is none
            text = self.engine.chat.render(item.messages, item.path)
            # A template writes the special tokens itself.
            return Prompt(text, self.engine.numbers(text, special=False))
        highest, count = max(item.tokens), self.engine.vocabulary
        if highest >= count:
            raise InvalidInput(
                item.path, f"{item.path} has the token {highest}, and the model knows those from 0 to {count - 1}."
            )
        return Prompt(self.engine.text(item.tokens), item.tokens)

    def _check_room(self, prompts: list[Prompt], parameters: dict[str, Any]) -> None:
        """Refuses what would never find room beside nothing else."""
        answers = max(parameters["num_beams"], parameters["num_return_sequences"])
        longest = max(len(prompt.numbers) for prompt in prompts)
        if not self.engine.fits(longest, parameters["max_new_tokens"], answers):
            raise InvalidInput(
                "parameters",
                f"{answers} answers of {parameters['max_new_tokens']} tokens to a prompt of {longest}, side by side, "
                "are more than the memory for them holds. Ask for fewer or shorter ones.",
            )

    def _writing(self, prompts: list[Prompt], parameters: dict[str, Any]) -> Writing:
        # Imported here: a function that waits for its first request has no use for numpy.
        from model_functions.engines.continuation import Writing

        openings = [prompt.text if parameters["return_full_text"] else "" for prompt in prompts]
        return Writing(self.engine, [prompt.numbers for prompt in prompts], openings, parameters)


def _facts(prompt: Prompt, answer: Answer) -> dict[str, Any]:
    """How the answer ended, and what it took."""
    stopped = {} if answer.stop_sequence is None else {"stop_sequence": answer.stop_sequence}
    counts = {"prompt_tokens": len(prompt.numbers), "generated_tokens": answer.count}
    return {"finish_reason": answer.finish_reason} | stopped | counts


def _tokens(tokens: list[Token], parameters: dict[str, Any]) -> dict[str, Any]:
    """The tokens, where they are asked for."""
    # A wrapper that was published before the parameter does not have it.
    if parameters.get("logprobs") is None:
        return {}
    return {"tokens": [_likely(token) | {"top": list(map(_likely, token.top))} for token in tokens]}


def _likely(token: Token) -> dict[str, Any]:
    return {"id": token.number, "text": token.text, "logprob": token.logprob, "special": token.special}
