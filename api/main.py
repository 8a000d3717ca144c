"""The API process."""

import math
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache

import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from uvicorn.config import STARTUP_FAILURE

from api.doors import (
    admin_audit,
    admin_keys,
    admin_parked,
    admin_secrets,
    admin_tenants,
    audio,
    chat,
    docs,
    health,
    knowledge,
    llm_request,
    models,
    rag,
    replay,
    sessions,
    spoken,
    tokens,
    turns,
    usage,
)
from api.http.connections import bounded_protocol
from api.http.cors import Cors
from api.http.elsewhere import no_such_route
from api.http.headers import SecurityHeaders, add_missing
from api.http.routes import check_routes
from api.limits.crowd import raise_file_limit
from api.openapi.document import document
from api.requests.session_lookup import QuotedPaths, TidyPaths
from api.services import open_services
from common.errors import BadRequest, FastReplyError, store_is_away
from common.process.logs import set_up_logs
from common.process.memory import freeze_start_up
from common.settings import Settings
from common.store.redis import StoreUnavailable


def create_app(settings: Settings) -> FastAPI:
    """The application; its services live from start-up to shutdown."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with open_services(settings) as services:
            app.state.services = services
            freeze_start_up()
            yield

    # Our own door shows the document; a redirect would name a scheme that a proxy's client doesn't use.
    app = FastAPI(
        lifespan=lifespan,
        openapi_url=None,
        redirect_slashes=False,
        generate_unique_id_function=lambda route: route.name,
    )
    doors = (
        chat,
        rag,
        audio,
        llm_request,
        knowledge,
        spoken,
        turns,
        replay,
        sessions,
        models,
        health,
        docs,
        tokens,
        usage,
        admin_tenants,
        admin_keys,
        admin_secrets,
        admin_audit,
        admin_parked,
    )
    for door in doors:
        app.include_router(door.router)
    check_routes(app)
    app.openapi = cache(lambda: document(app))  # type: ignore[method-assign]
    for middleware in (QuotedPaths, TidyPaths, Cors, SecurityHeaders):  # the last one is the outermost
        app.add_middleware(middleware)
    app.add_exception_handler(FastReplyError, _told)
    app.add_exception_handler(StoreUnavailable, _store_unavailable)
    app.add_exception_handler(RequestValidationError, _not_valid)
    app.add_exception_handler(HTTPException, _no_such_route)
    app.add_exception_handler(Exception, _bug)
    return app


async def _told(request: Request, error: Exception) -> Response:
    assert isinstance(error, FastReplyError)
    headers = dict(error.headers)
    if error.retry_after_s is not None:
        headers["Retry-After"] = str(error.retry_after_s)
    return JSONResponse(error.body(), error.status, headers)


async def _store_unavailable(request: Request, error: Exception) -> Response:
    return await _told(request, store_is_away())


async def _not_valid(request: Request, error: Exception) -> Response:
    """A path's or a query's parameter of the wrong type: told as doors tell it, without the value."""
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    param = str(first["loc"][-1])
    return await _told(request, BadRequest(f"{param}: {first['msg']}", code="invalid_value", param=param))


async def _no_such_route(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return await _told(request, no_such_route(request, error))


async def _bug(request: Request, error: Exception) -> Response:
    body = {"message": "internal error", "type": "server_error", "param": None, "code": "internal_error"}
    answer = JSONResponse({"error": body}, 500)
    add_missing(answer.headers)  # no middleware sees this one
    return answer


def serve(settings: Settings) -> None:
    """Serve until stopped; on SIGTERM streams get `drain_s` to end, then clients resume elsewhere."""
    set_up_logs(settings.log_level)
    raise_file_limit(settings.max_connections)
    server = uvicorn.Server(server_config(settings))
    server.run()
    if not server.started:
        sys.exit(STARTUP_FAILURE)


def server_config(settings: Settings) -> uvicorn.Config:
    """Return the configuration of the HTTP server."""
    return uvicorn.Config(
        create_app(settings),
        host=settings.host,
        port=settings.port,
        http=bounded_protocol(settings),
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        forwarded_allow_ips="127.0.0.1,::1",  # whatever the environment says: others could say they were near
        backlog=4096,
        # Longer than clients and balancers keep a quiet connection: else one closes just as it is used again.
        timeout_keep_alive=75,
        timeout_graceful_shutdown=math.ceil(settings.drain_s),
    )
