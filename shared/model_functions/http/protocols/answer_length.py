"""How long an answer shall be, for callers who say no more than that."""

from typing import Any

from model_functions.wrapper import ModelWrapper


def answer_length(longest: Any, wrapper: ModelWrapper) -> dict[str, Any]:
    """The parameters of a longest answer: a model's usual shortest one, of which callers cannot know, gives way."""
    usual = wrapper.parameters["min_new_tokens"].default
    gives_way = isinstance(longest, int) and 0 < longest < usual
    return {"max_new_tokens": longest} | ({"min_new_tokens": longest} if gives_way else {})
