"""The API described by itself: the OpenAPI document, and a page that shows it. All of it comes from here."""

from functools import cache
from pathlib import Path

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse
from fastapi.staticfiles import StaticFiles
from fastapi_offline import FastAPIOffline
from starlette.routing import Mount

from api.http.identity import Anybody
from common.errors import NotFound

router = APIRouter(include_in_schema=False)

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Fast Reply</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="docs/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</body>
</html>
"""
# A file of its own: nothing inline may run on our pages.
_START = 'SwaggerUIBundle({url: "openapi.json", dom_id: "#swagger-ui", deepLinking: true})\n'
_TYPES = {"swagger-ui-bundle.js": "text/javascript", "swagger-ui.css": "text/css"}
_FOR_A_DAY = {"Cache-Control": "max-age=86400"}


@router.get("/openapi.json")
async def openapi(request: Request, who: Anybody) -> Response:
    """The OpenAPI document."""
    return JSONResponse(request.app.openapi())


@router.get("/docs")
async def page(who: Anybody) -> Response:
    """The document as a page."""
    return HTMLResponse(_PAGE)


@router.get("/docs/start.js")
async def start(who: Anybody) -> Response:
    """What opens the document on the page."""
    return Response(_START, media_type="text/javascript")


@router.get("/docs/{name}")
async def asset(name: str, who: Anybody) -> Response:
    """Swagger UI's own files."""
    if name not in _TYPES:
        raise NotFound("there is no such file")
    return Response(_read(name), media_type=_TYPES[name], headers=_FOR_A_DAY)


@cache
def _read(name: str) -> bytes:
    """Return a file of Swagger UI's from where `fastapi_offline` serves it."""
    (served,) = (route.app for route in FastAPIOffline(None, None).routes if isinstance(route, Mount))
    assert isinstance(served, StaticFiles)
    path, _ = served.lookup_path(name)
    return Path(path).read_bytes()
