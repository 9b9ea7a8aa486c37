"""The least that a function can do by ASGI: it answers its body."""

import functions_framework.aio
from starlette.requests import Request
from starlette.responses import Response


@functions_framework.aio.http  # type: ignore[untyped-decorator]
async def predict(request: Request) -> Response:
    return Response(await request.body(), media_type="application/json")
