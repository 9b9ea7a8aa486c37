"""The OpenAPI description of a function, with the inputs of the models it serves."""

from typing import Any

from model_functions.errors import error_classes

Record = dict[str, Any]


def document(title: str, models: list[Record]) -> dict[str, Any]:
    """OpenAPI 3.1.

    Args:
        models: records as http.description makes them.
    """
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": "1", "description": "Trained models behind one endpoint."},
        "paths": {
            "/": {"get": _operation("What is served here.", {"type": "object"})},
            "/predict": {"post": _predict(models), "get": _predict_by_query(models)},
            "/warmup": {"post": _warm_up()},
            "/health": {"get": _operation("Whether the instance is alive.", {"type": "object"})},
            "/ready": {"get": _operation("Whether the instance can serve.", {"type": "object"}, 503)},
        },
        "components": {"schemas": {"Error": _error_schema()}},
    }


def _predict(models: list[Record]) -> dict[str, Any]:
    schemas = [_request_schema(model) for model in models]
    examples = {
        model["model_name"]: {"value": {"model_name": model["model_name"], "data": model["examples"][0]}}
        for model in models
    }
    operation = _operation("The prediction for one item, or for each of a list.", _answer_schema(), *_PREDICT_ERRORS)
    schema = {"anyOf": schemas} if schemas else {"type": "object"}
    if any(model.get("streams") for model in models):
        operation["responses"]["200"]["content"]["text/event-stream"] = {"schema": {"type": "string"}}
    content = {"application/json": {"schema": schema, "examples": examples}} | _file_content(models)
    body = {"requestBody": {"required": True, "content": content}}
    asked = _file_parameters(models)
    return operation | body | ({"parameters": asked} if asked else {})


def _file_content(models: list[Record]) -> dict[str, Any]:
    """What else the body may be: the types of files that models read, each with their names, and a form with them."""
    names: dict[str, list[str]] = {}
    for model in models:
        for media in model.get("media", ()):
            names.setdefault(media, []).append(model["model_name"])
    content: dict[str, Any] = {
        media: {"schema": {"type": "string", "format": "binary", "description": f"For {', '.join(readers)}."}}
        for media, readers in names.items()
    }
    forms = [_form_schema(model) for model in models if "media" in model]
    return content | ({"multipart/form-data": {"schema": {"anyOf": forms}}} if forms else {})


def _form_schema(model: Record) -> dict[str, Any]:
    file = {"type": "string", "format": "binary"}
    parameters = {"type": "object", "properties": model["parameters"], "additionalProperties": False}
    fields = {
        "model_name": {"const": model["model_name"]},
        "file": {"description": "One or several, under any name.", "anyOf": [file, {"type": "array", "items": file}]},
        "parameters": parameters | {"description": "As JSON; or each as a field of its own."},
    }
    return {
        "title": model["model_name"],
        "type": "object",
        "properties": fields | model["parameters"],
        "required": ["file"],
    }


def _file_parameters(models: list[Record]) -> list[dict[str, Any]]:
    """What the URL says where the body is a file."""
    found: dict[str, Any] = {}
    for model in models:
        if "media" in model:
            found |= {"model_name": {"type": "string"}} | model["parameters"]
    return [
        {"name": name, "in": "query", "schema": schema, "description": "Where the body is a file."}
        for name, schema in found.items()
    ]


def _predict_by_query(models: list[Record]) -> dict[str, Any]:
    names = [model["model_name"] for model in models]
    string = {"type": "string"}
    parameters = [
        {"name": "model_name", "in": "query", "schema": string | ({"enum": names} if names else {})},
        {"name": "data", "in": "query", "required": True, "schema": {"type": "array", "items": string}},
    ]
    operation = _operation("The same for a browser.", _answer_schema(), 405, *_PREDICT_ERRORS)
    return operation | {"parameters": parameters}


def _warm_up() -> dict[str, Any]:
    operation = _operation("Loads the model and predicts its sample.", {"type": "object"}, *_PREDICT_ERRORS)
    schema = {
        "type": "object",
        "properties": {"model_name": {"type": "string"}},
        "additionalProperties": False,
    }
    return operation | {"requestBody": {"content": {"application/json": {"schema": schema}}}}


def _request_schema(model: Record) -> dict[str, Any]:
    parameters = {"type": "object", "properties": model["parameters"], "additionalProperties": False}
    return {
        "title": model["model_name"],
        "description": model["description"],
        "type": "object",
        "properties": {
            "model_name": {"const": model["model_name"]},
            "data": model["data"],
            "inputs": model["data"],
            "parameters": parameters,
        },
        "oneOf": [{"required": ["data"]}, {"required": ["inputs"]}],
        "additionalProperties": False,
    }


_PREDICT_ERRORS = (400, 404, 406, 413, 415, 422, 500, 503)


def _operation(summary: str, schema: dict[str, Any], *statuses: int) -> dict[str, Any]:
    error = {"schema": {"$ref": "#/components/schemas/Error"}}
    errors = {
        str(status): {"description": _codes(status), "content": {"application/json": error}}
        for status in sorted(statuses)
    }
    answer = {"200": {"description": "The answer.", "content": {"application/json": {"schema": schema}}}}
    return {"summary": summary, "responses": answer | errors}


def _codes(status: int) -> str:
    return ", ".join(sorted({cls.code for cls in error_classes() if cls.status == status}))


def _answer_schema() -> dict[str, Any]:
    properties = {"model_name": {"type": "string"}, "revision": {"type": "string"}, "body": {}}
    return {"type": "object", "properties": properties, "required": list(properties)}


def _error_schema() -> dict[str, Any]:
    properties = {
        "code": {"enum": sorted({cls.code for cls in error_classes()})},
        "message": {"type": "string"},
        "status": {"type": "integer"},
        "request_id": {"type": "string"},
        "details": {"type": "array", "items": {"type": "object"}},
    }
    required = ["code", "message", "status", "request_id"]
    error = {"type": "object", "properties": properties, "required": required}
    return {"type": "object", "properties": {"error": error}, "required": ["error"]}
