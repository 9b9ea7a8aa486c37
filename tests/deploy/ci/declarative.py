"""A Jenkinsfile's syntax and structure, as the Declarative Pipeline's documentation has it.

Jenkins's own linter is a running Jenkins. Groovy's grammar is checked by tree-sitter; which steps plugins bring is not.
"""

from collections.abc import Iterator

import tree_sitter_groovy
from tree_sitter import Language, Node, Parser

_ANYWHERE = {"agent", "environment", "options", "tools", "post"}
_PIPELINE = _ANYWHERE | {"stages", "parameters", "triggers", "libraries"}
_STAGE = _ANYWHERE | {"when", "input", "failFast", "steps", "stages", "parallel", "matrix"}
_WORK = {"steps", "stages", "parallel", "matrix"}
_POST = {
    *("always", "changed", "fixed", "regression", "aborted", "failure", "success", "unstable", "unsuccessful"),
    "cleanup",
}


def mistakes(text: str) -> list[str]:
    root = Parser(Language(tree_sitter_groovy.language())).parse(text.encode()).root_node
    if root.has_error:
        return [f"line {_broken(root).start_point[0] + 1}: this is no Groovy."]
    pipelines = [block for block in _blocks(root) if _name(block) == "pipeline"]
    if len(pipelines) != 1:
        return ['There is no "pipeline { … }".']
    return list(_of_pipeline(pipelines[0]))


def _of_pipeline(pipeline: Node) -> Iterator[str]:
    sections = {_name(block): block for block in _blocks(_body(pipeline))}
    yield from _unknown("pipeline", sections, _PIPELINE)
    for wanted in ("agent", "stages"):
        if wanted not in sections:
            yield f'The pipeline has no "{wanted}".'
    if "stages" in sections:
        yield from _of_stages(sections["stages"])
    yield from _of_post("pipeline", sections)


def _of_stages(stages: Node) -> Iterator[str]:
    blocks = list(_blocks(_body(stages)))
    if not blocks:
        yield '"stages" has no stage.'
    for block in blocks:
        if _name(block) != "stage":
            yield f'"stages" has "{_name(block)}", which is no stage.'
            continue
        named = block.child_by_field_name("arguments")
        name = named.text.decode().strip("()'\"") if named is not None and named.text is not None else ""
        sections = {_name(inner): inner for inner in _blocks(_body(block))}
        yield from _unknown(f"stage {name}", sections, _STAGE)
        if len(_WORK & set(sections)) != 1:
            yield f"stage {name} needs one of {', '.join(sorted(_WORK))}."
        if "steps" in sections and not _body(sections["steps"]).named_child_count:
            yield f"stage {name} has no steps."
        yield from _of_post(f"stage {name}", sections)


def _of_post(where: str, sections: dict[str, Node]) -> Iterator[str]:
    if "post" in sections:
        yield from _unknown(
            f"post of {where}", {_name(block): block for block in _blocks(_body(sections["post"]))}, _POST
        )


def _unknown(where: str, sections: dict[str, Node], known: set[str]) -> Iterator[str]:
    for name in sorted(set(sections) - known):
        yield f'{where} has "{name}", which does not belong there.'


def _blocks(node: Node) -> Iterator[Node]:
    """The calls that stand in it, each as ``name { … }``, ``name(…) { … }`` or ``name argument``."""
    for statement in node.named_children:
        for child in statement.named_children if statement.type == "expression_statement" else [statement]:
            if child.type in ("method_invocation", "juxt_function_call"):
                yield child


def _name(block: Node) -> str:
    found = block.child_by_field_name("name")
    return found.text.decode() if found is not None and found.text is not None else ""


def _body(block: Node) -> Node:
    return block.child_by_field_name("body") or block


def _broken(node: Node) -> Node:
    return next((_broken(child) for child in node.children if child.has_error or child.is_missing), node)
