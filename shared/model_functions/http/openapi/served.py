"""What a function serves, as its description needs it: the models' own words, and schemas made of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Record = dict[str, Any]


@dataclass(frozen=True)
class Model:
    """One model, read off its record (http.description).

    Args:
        needs_name: whether a request that names no model is not about this one.
    """

    record: Record
    needs_name: bool

    @property
    def name(self) -> str:
        return str(self.record["model_name"])

    @property
    def family(self) -> str:
        return str(self.record["family"])

    @property
    def kind(self) -> str:
        return str(self.record.get("kind", ""))

    @property
    def media(self) -> list[str]:
        return list(self.record.get("media", ()))

    @property
    def streams(self) -> bool:
        return bool(self.record.get("streams"))

    @property
    def versions(self) -> list[str]:
        """The two spellings of the revision that is served."""
        revision = str(self.record["revision"])
        return [revision, str(int(revision, 16))]

    @property
    def examples(self) -> list[Any]:
        """Values of ``data``; the publisher gave them."""
        return list(self.record["examples"])

    @property
    def items(self) -> list[Any]:
        """The same, one item each."""
        found: list[Any] = []
        for example in self.examples:
            found += example if self.is_batch(example) else [example]
        return found

    def is_batch(self, data: Any) -> bool:
        """Whether it is a list of items, as far as an example shows: a chat and a row are lists, too."""
        if not isinstance(data, list) or not data:
            return False
        if self.kind == "prompt":
            return isinstance(data[0], str | list)
        if self.kind in ("row", "tensors"):
            return isinstance(data[0], dict) or (self.kind == "row" and isinstance(data[0], list))
        return True

    @property
    def chats(self) -> bool:
        """Whether it takes a list of messages."""
        forms = self.record["data"].get("anyOf", ())
        return self.kind == "prompt" and any(form.get("items", {}).get("type") == "object" for form in forms)

    @property
    def inputs(self) -> list[Record]:
        """Name, dtype and shape of each input where a protocol speaks of tensors."""
        return list(self.record.get("tensors", {}).get("inputs", ()))

    @property
    def outputs(self) -> list[Record]:
        return list(self.record.get("tensors", {}).get("outputs", ()))

    def speaks(self, what: str) -> bool:
        return what in self.record.get("speaks", ())

    def schema(self, what: str) -> Record:
        """A reference to one of the model's ``schemas``."""
        return reference("schemas", f"{self.name}.{what}")

    def named(self, field: str = "model_name") -> tuple[Record, list[str]]:
        """The schema of a field that names the model, and the field if it is required."""
        if self.needs_name:
            return {field: {"const": self.name}}, [field]
        return {field: {"enum": [self.name, None]}}, []

    def schemas(self) -> dict[str, Record]:
        """What ``schema`` refers to."""
        data = self.record["data"]
        several = _several(data)
        item = several["items"] if several else {}
        own = {
            "data": data,
            "item": item,
            "items": several or {"type": "array", "items": item, "minItems": 1},
            "parameters": {
                "type": "object",
                "properties": {name: parameter(schema) for name, schema in self.record["parameters"].items()},
                "additionalProperties": False,
            },
            "prediction": self.record.get("prediction", {}),
        }
        return {f"{self.name}.{what}": schema for what, schema in own.items()}


@dataclass(frozen=True)
class Served:
    """A function and its models.

    Args:
        is_gateway: whether it asks other functions.
        predict_route, health_route: where Vertex AI asks a container.
        access: how a caller proves who it is, any of http.openapi.PROOFS; none: everybody may ask.
    """

    title: str
    models: list[Model]
    is_gateway: bool
    predict_route: str | None = None
    health_route: str | None = None
    access: tuple[str, ...] = ()

    @property
    def names(self) -> list[str]:
        return [model.name for model in self.models]

    @property
    def default(self) -> Model | None:
        """The model of a request that names none."""
        return next((model for model in self.models if not model.needs_name), None)

    def speaking(self, what: str) -> list[Model]:
        return [model for model in self.models if model.speaks(what)]

    @property
    def places(self) -> dict[str, list[str]]:
        """What may stand in a path, whichever model it asks for."""
        versions = [version for model in self.models for version in model.versions]
        labels = sorted({str(model.record["alias"]) for model in self.models})
        return {"model": self.names, "version": versions, "label": labels}


def models_of(records: list[Record], default: str | None) -> list[Model]:
    """The models that can be asked.

    Args:
        records: as http.description makes them.
        default: the name of the model of a request that names none.
    """
    names = [record["model_name"] for record in records]
    # A name that two families have is none at the gateway.
    return [Model(one, one["model_name"] != default) for one in records if names.count(one["model_name"]) == 1]


def parameter(schema: Mapping[str, Any]) -> Record:
    """A declared parameter; one without a default may be null, which leaves the choice to the model."""
    if "default" in schema:
        return dict(schema)
    return {**schema, "type": [schema["type"], "null"]} | (
        {"enum": [*schema["enum"], None]} if "enum" in schema else {}
    )


def spelled(schema: Mapping[str, Any]) -> Record:
    """A declared parameter where a query or a form has it as text: a list as JSON, or the only string in it."""
    facts = {name: fact for name, fact in schema.items() if name in ("description", "default")}
    return {"type": "string", "minLength": 1, **facts} if schema["type"] == "array" else dict(schema)


def reference(kind: str, name: str) -> Record:
    return {"$ref": f"#/components/{kind}/{name}"}


def _several(data: Mapping[str, Any]) -> Record | None:
    """The last alternative of a model's data, if it is that of a list of items (inputs.one_or_many)."""
    last = (data.get("anyOf") or [{}])[-1]
    return dict(last) if last.get("type") == "array" and "items" in last else None
