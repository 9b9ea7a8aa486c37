"""What the page of the first version posted its form to, described."""

from model_functions.errors import NotAcceptable
from model_functions.http.openapi import own
from model_functions.http.openapi.section import ASKING, JSON_BODY, Section, json_body
from model_functions.http.openapi.served import Model, Record, Served, spelled
from model_functions.http.prediction import FORM
from model_functions.http.protocols.bodies import URLENCODED
from model_functions.http.protocols.tutorial import refuse
from model_functions.schemas import either, record, string

_ABOUT = "The form of the functions' first version. What it posts, /predict takes as JSON."


def describe(served: Served) -> Section:
    section = Section(served, "Forms", _ABOUT, refuse, own.error())
    forms = either([_form(model) for model in served.models])
    texts = {model.name: item for model in served.models if isinstance(item := model.items[0], str)}
    examples = {name: {"value": {"model_name": name, "data": text}} for name, text in texts.items()}
    section.add(
        *("POST", "/predict_proxy", "Predict what a form holds."),
        own.answers(served),
        [*ASKING, *JSON_BODY, NotAcceptable],
        body=json_body(either([own.request(model) for model in served.models]), own.examples(served))
        | {URLENCODED: {"schema": forms, "examples": examples}, FORM: {"schema": forms}},
        id="predict_form",
    )
    return section


def _form(model: Model) -> Record:
    name, required = model.named()
    fields = (name if required else {"model_name": {"const": model.name}}) | {"data": string(minLength=1)}
    more = {name: spelled(schema) for name, schema in model.record["parameters"].items()}
    return {"title": model.name, **record(fields | more, [*required, "data"])}
