"""The HTTP face of the simulator: routes on pure ASGI, and how to serve them."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import asdict
from typing import Any
from urllib.parse import parse_qs

import orjson
import uvicorn

from simulator.anthropic import Anthropic
from simulator.audio import Audio
from simulator.behaviour import BehaviourError
from simulator.chat import RequestError, parse_json_object
from simulator.chunks import OpenAI, error_body
from simulator.completions import Completions
from simulator.connection import Connection, ConnectionCut, Receive, Scope, Send
from simulator.ernie import PATH as ERNIE_PATH
from simulator.ernie import Ernie, Tokens
from simulator.ledger import Ledger
from simulator.models import Models, SimulatorConfig
from simulator.texts import Answers
from simulator.yandex import Yandex

__all__ = ["ASGIApp", "SimulatorConfig", "build_server", "create_app", "run"]

ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]
Handler = Callable[[Scope, Connection], Awaitable[None]]

_MODELS_PATH = "/simulator/models/"
_STARTED_AT = int(time.time())


class _Simulator:
    def __init__(self, config: SimulatorConfig) -> None:
        self._models = Models(config)
        self._ledger = Ledger()
        self._tokens = Tokens()
        answers = Answers.from_files(config.answers)
        chat, messages, yandex, ernie = (
            Completions(self._models, answers, self._ledger, dialect).handle
            for dialect in (OpenAI(), Anthropic(), Yandex(), Ernie(self._tokens))
        )
        audio = Audio(self._models, self._ledger)
        self._routes: dict[str, dict[str, Handler]] = {
            "/v1/chat/completions": {"POST": chat},
            "/chat/completions": {"POST": chat},
            "/v1/messages": {"POST": messages},
            "/foundationModels/v1/completion": {"POST": yandex},
            "/oauth/2.0/token": {"POST": self._tokens.issue},
            "/v1/audio/speech": {"POST": audio.speak},
            "/v1/audio/transcriptions": {"POST": audio.write_down},
            "/v1/models": {"GET": self._list_models},
            "/healthz": {"GET": self._health},
            "/simulator/stats": {"GET": self._stats},
            "/simulator/streams": {"GET": self._streams},
            "/simulator/requests": {"GET": self._requests},
            "/simulator/reset": {"POST": self._reset},
            "/simulator/tokens": {"GET": self._count_tokens, "DELETE": self._expire_tokens},
        }
        self._routes_below: dict[str, dict[str, Handler]] = {
            _MODELS_PATH: {
                "GET": self._behaviour,
                "PUT": self._set_behaviour,
                "DELETE": self._restore_behaviour,
            },
            ERNIE_PATH: {"POST": ernie},
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise RuntimeError(f"only HTTP is served, not {scope['type']}")
        connection = Connection(receive, send)
        path = scope["path"]
        below = (methods for start, methods in self._routes_below.items() if path.startswith(start))
        methods = self._routes.get(path) or next(below, {})
        handler = methods.get(scope["method"])
        if handler is None:
            status, problem = (405, "Method not allowed") if methods else (404, "Unknown path")
            await connection.answer(status, error_body(status, f"{problem}: {scope['method']} {path}"))
            return
        try:
            await handler(scope, connection)
        except RequestError as error:
            await connection.answer(400, error_body(400, str(error), error.param))
        except BehaviourError as error:
            await connection.answer(400, error_body(400, str(error), error.field))

    async def _list_models(self, scope: Scope, connection: Connection) -> None:
        models = [
            {"id": name, "object": "model", "created": _STARTED_AT, "owned_by": "simulator"}
            for name in self._models.names()
        ]
        await _answer_json(connection, {"object": "list", "data": models})

    async def _health(self, scope: Scope, connection: Connection) -> None:
        await _answer_json(connection, {"status": "ok"})

    async def _stats(self, scope: Scope, connection: Connection) -> None:
        await _answer_json(connection, self._ledger.stats(self._models.names()))

    async def _streams(self, scope: Scope, connection: Connection) -> None:
        await _answer_json(connection, {"streams": self._ledger.last_streams(_last(scope))})

    async def _requests(self, scope: Scope, connection: Connection) -> None:
        await _answer_json(connection, {"requests": self._ledger.last_requests(_last(scope))})

    async def _reset(self, scope: Scope, connection: Connection) -> None:
        self._ledger.reset()
        await _answer_json(connection, self._ledger.stats(self._models.names()))

    async def _count_tokens(self, scope: Scope, connection: Connection) -> None:
        await _answer_json(connection, {"issued": self._tokens.issued})

    async def _expire_tokens(self, scope: Scope, connection: Connection) -> None:
        self._tokens.expire()
        await self._count_tokens(scope, connection)

    async def _behaviour(self, scope: Scope, connection: Connection) -> None:
        await _answer_json(connection, asdict(self._models.behaviour(_model_name(scope))))

    async def _set_behaviour(self, scope: Scope, connection: Connection) -> None:
        self._models.set(_model_name(scope), parse_json_object(await connection.read_body()))
        await self._behaviour(scope, connection)

    async def _restore_behaviour(self, scope: Scope, connection: Connection) -> None:
        self._models.restore(_model_name(scope))
        await self._behaviour(scope, connection)


def create_app(config: SimulatorConfig) -> ASGIApp:
    """The simulator as an ASGI app; raises ValueError or OSError for a bad answers file."""
    return _Simulator(config)


def build_server(host: str, port: int, config: SimulatorConfig) -> uvicorn.Server:
    """The server, not yet running; port 0 takes a free one."""
    # dictConfig keeps filters, so this one outlives uvicorn's own logging set-up.
    logging.getLogger("uvicorn.error").addFilter(_is_unexpected)
    return uvicorn.Server(
        uvicorn.Config(
            create_app(config),
            host=host,
            port=port,
            http="httptools",
            loop="auto",  # uvloop wherever it exists
            ws="none",
            lifespan="off",
            access_log=False,
            log_level="warning",
            server_header=False,
            backlog=4096,
            timeout_keep_alive=75,  # s; longer than clients keep idle connections
            timeout_graceful_shutdown=1,  # s; a stalled stream would hold the process for ever
        )
    )


def run(host: str, port: int, config: SimulatorConfig) -> None:
    """Serve until SIGINT or SIGTERM."""
    with suppress(KeyboardInterrupt):  # uvicorn raises SIGINT again once it has stopped
        build_server(host, port, config).run()


def _is_unexpected(record: logging.LogRecord) -> bool:
    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error, ConnectionCut | asyncio.CancelledError)


async def _answer_json(connection: Connection, value: Any) -> None:
    await connection.answer(200, orjson.dumps(value))


def _model_name(scope: Scope) -> str:
    name: str = scope["path"].removeprefix(_MODELS_PATH)
    if not name:
        raise RequestError("You must name a model.", "model")
    return name


def _last(scope: Scope) -> int:
    values = parse_qs(scope["query_string"].decode("latin-1")).get("last", ["1000000"])
    if not values[0].isdecimal():
        raise RequestError("It must be a whole number.", "last")
    return int(values[0])
