"""HTML answers: composed of files of this package, sealed by a Content-Security-Policy, working offline."""

import base64
import hashlib
import json
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

from model_functions.http.message import HTML, Response

_FOLDER = Path(__file__).parent / "page"
_PLAYGROUND = _FOLDER / "playground"


@cache
def playground(*, compressed: bool = False) -> Response:
    """The gateway's page: pick a model, fill its form, see the answer.

    Args:
        compressed: as gzip, which is a third of it.
    """
    if compressed:
        # Imported here: a function that waits for its first request shows no page.
        import gzip

        whole = playground()
        return Response(200, gzip.compress(whole.body, mtime=0), whole.headers | {"Content-Encoding": "gzip"})
    files = sorted(_PLAYGROUND.rglob("*.js"), key=lambda path: (path.name != "frame.js", path))
    # In the head, so that the colours are chosen before anything is painted.
    start = 'document.addEventListener("DOMContentLoaded", start);\n'
    script = "\n".join([*(path.read_text() for path in files), start])
    styles = [_file("page.css"), *(path.read_text() for path in sorted(_PLAYGROUND.glob("*.css")))]
    return _page((_PLAYGROUND / "page.html").read_text(), "".join(styles), script)


def docs(document: dict[str, Any]) -> Response:
    """The OpenAPI document for people.

    Args:
        document: as http.openapi makes it.
    """
    # Imported here: few ask for it.
    from model_functions.http.openapi.markup import content

    about = document["info"]
    html = _file("docs/page.html").replace("{{title}}", escape(about["title"]))
    html = html.replace("{{about}}", escape(about["description"])).replace("{{content}}", content(document))
    return _page(html, _file("page.css") + _file("docs/docs.css"), _file("docs/docs.js"))


def docs_entrance() -> Response:
    """The same page before it is known who asks: it asks for a key, and with that for the rest."""
    return _page(_file("docs/entrance.html"), _file("page.css") + _file("docs/docs.css"), _file("docs/docs.js"))


def description(title: str, models: list[dict[str, Any]]) -> Response:
    """What a family serves, for people.

    Args:
        models: records as http.description makes them.
    """
    return _article(title, "".join(map(_model, models)) or "<p>No model is published yet.</p>")


def _model(model: dict[str, Any]) -> str:
    rows = "".join(
        f"<tr><th>{escape(name)}</th><td>{escape(schema['description'])} "
        f"<code>{escape(_bounds(schema))}</code></td></tr>"
        for name, schema in model["parameters"].items()
    )
    example = _pre(_curl("post", "/predict", {"model_name": model["model_name"], "data": model["examples"][0]}))
    if "image/*" in model.get("media", ()):
        # In base64 an image would be a page long.
        target = f'"$URL/predict?model_name={model["model_name"]}"'
        example = _pre(f"curl -X POST {target} -H 'Content-Type: image/png' --data-binary @image.png")
    return (
        f"<section><h2>{escape(model['model_name'])}</h2><p>{escape(model['description'])} "
        f"Revision <code>{escape(model['revision'])}</code>.</p>{example}<table>{rows}</table></section>"
    )


def _bounds(schema: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in schema.items() if name != "description")


def _curl(method: str, path: str, body: Any) -> str:
    # Relative, because a page cannot know every name under which the function answers.
    quoted = json.dumps(body, ensure_ascii=False).replace("'", "'\\''")
    return f"curl -X {method.upper()} $URL{path} -H 'Content-Type: application/json' -d '{quoted}'"


def _pre(text: str) -> str:
    return f"<pre>{escape(text)}</pre>"


def _article(title: str, content: str) -> Response:
    html = _file("article.html").replace("{{title}}", escape(title)).replace("{{content}}", content)
    return _page(html, _file("page.css"), "")


def _page(html: str, style: str, script: str) -> Response:
    """One file, because a function does not know the prefix under which links would have to point."""
    html = html.replace("/*style*/", style).replace("/*script*/", script)
    policy = (
        f"default-src 'none'; style-src {_digest(style)}; script-src {_digest(script)}; connect-src 'self'; "
        "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    )
    return Response.text(html, HTML, {"Content-Security-Policy": policy, "Vary": "Accept, Accept-Encoding"})


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _file(name: str) -> str:
    return (_FOLDER / name).read_text()
