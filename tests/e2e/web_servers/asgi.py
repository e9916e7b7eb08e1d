"""A shop for ASGI servers: `uvicorn asgi:application`."""

from __future__ import annotations

import shop

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route


async def place(request: Request) -> JSONResponse:
    return JSONResponse(shop.place(await request.json()), 202)


application = Starlette(routes=[Route("/orders", place, methods=["POST"])])
shop.opens()
