"""Summarization: a long text in, its gist out."""

from model_functions.generation import GenerationWrapper


class SummarizationWrapper(GenerationWrapper):
    """T5, BART, Pegasus; beams and several sequences."""

    family, task = "summarization", "summarization"
    answer_key = "summary_text"
    model_types = ("pegasus", "pegasus_x", "bigbird_pegasus", "led")
    default_prefixes = dict.fromkeys(("t5", "mt5", "umt5", "longt5"), "summarize: ")
