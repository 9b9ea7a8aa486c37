"""Functions that give back the body that they get: the frame alone, on each edge."""

from typing import Any

from starlette.responses import Response


def flask_echo(request: Any) -> Any:
    return request.get_data(), {"Content-Type": "application/json"}


async def asgi_echo(request: Any) -> Response:
    return Response(await request.body(), media_type="application/json")
