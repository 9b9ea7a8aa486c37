"""Translation: a text in one language, the same text in another."""

from typing import ClassVar

from model_functions.generation import GENERATION_PARAMETERS, GenerationWrapper
from model_functions.parameters import Parameter


class TranslationWrapper(GenerationWrapper):
    """Marian, FSMT, T5, NLLB, M2M100: whatever transformers loads as a sequence-to-sequence model."""

    family, task = "translation", "translation"
    answer_key = "translation_text"
    model_types = ("marian", "fsmt", "m2m_100", "nllb-moe")
    declared: ClassVar[tuple[Parameter, ...]] = (
        *GENERATION_PARAMETERS,
        Parameter("source_language", "string", "The text's language, for a model that knows several.", None, 1, 20),
        Parameter("target_language", "string", "The answer's language, for a model that knows several.", None, 1, 20),
    )
