"""How long an answer shall be, for callers who say no more than that, or nothing."""

from typing import Any

from model_functions.wrapper import ModelWrapper


def answer_length(longest: Any, wrapper: ModelWrapper, data: Any = None) -> dict[str, Any]:
    """The parameters of a longest answer. What is usual for a model, of which callers cannot know, gives way: its
    shortest answer to the longest, and where there is none, its longest to the room that the prompts leave.

    Args:
        longest: None: what the model usually writes.
        data: the prompts.
    """
    usual = {name: wrapper.parameters[name].default for name in ("max_new_tokens", "min_new_tokens")}
    if longest is None:
        writer: Any = wrapper
        room = writer.room(data)
        if room is None or not 0 < room < usual["max_new_tokens"]:
            return {}
        longest = room
    gives_way = isinstance(longest, int) and 0 < longest < usual["min_new_tokens"]
    return {"max_new_tokens": longest} | ({"min_new_tokens": longest} if gives_way else {})
