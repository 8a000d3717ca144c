"""The OpenAPI document: what the doors' decorators say of their routes, put together and completed.

Doors read bodies by hand, so that errors are exact and nothing is read before the key; FastAPI can't see what
they take. Each says it with `told`, and the schemas come from the very models that read the bodies, and that
most answers are (`api/schemas.py`, `api/admin/shapes.py`).
"""

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from api.http.routes import all_routes
from api.schemas import Error
from common.errors import (
    BadRequest,
    Conflict,
    FastReplyError,
    Forbidden,
    Gone,
    NotFound,
    RateLimited,
    TooLarge,
    TurnFailed,
    Unauthorized,
    store_is_away,
    turn_error,
)

Json = dict[str, Any]
Content = dict[str, Json]
"""By media type, as OpenAPI has it: what a body looks like, with examples."""

_REF = "#/components/schemas/{model}"
_VERSION = "0.1.0"
_DESCRIPTION = """
Fast Reply is an LLM gateway for voice agents: a small model speaks at once, and the good one takes over.

Any OpenAI client works unchanged with this server's `/v1` as its base URL. Send your API key as a bearer
token. A page in a browser, whose `EventSource` can't send headers, uses a short-lived token and sends it as
`?token=`.

Every error has OpenAI's shape, whatever its status. A stream that has begun sends its error as an event of
that shape, and then ends as usual. The project's `docs/` explain every field in full.
"""
_TAGS = {
    "chat": "Ask for an answer, resume its stream, stop it.",
    "sessions": "Read, follow, replay and delete recorded sessions.",
    "knowledge": "Manage the documents that answers may be based on.",
    "usage": "See how much was used, by day and profile.",
    "administration": "Manage tenants, keys, secrets, profiles and limits, and make tokens for browsers.",
    "operations": "Check the health of the server.",
}
_SCHEMES = {
    "token": {
        "type": "apiKey",
        "in": "query",
        "name": "token",
        "description": "A browser token, `frt_…`, from `POST /v1/tokens`. Only GET requests take it so.",
    }
}
_REFUSALS: tuple[FastReplyError, ...] = (  # an example of each status
    BadRequest("messages: Field required", code="missing_required_parameter", param="messages"),
    Unauthorized("this key is not valid", code="invalid_api_key"),
    Forbidden("the key lacks the scope chat", code="missing_scope"),
    NotFound("there is no such session", code="session_not_found", param="session"),
    Conflict("this key was used with another request", code="idempotency_key_reused"),
    Gone("the session's turns are no longer kept", code="turn_gone", param="turn"),
    TooLarge("the body is larger than 1048576 bytes", code="body_too_large"),
    RateLimited(
        "more than 600 turns a minute",
        code="rate_limit_exceeded",
        kind="requests",
        retry_after_s=1,
        headers={},
    ),
    TurnFailed(turn_error("upstream_unreachable", "no connection"), {}),
    store_is_away(),
    TurnFailed(turn_error("turn_deadline", "the turn took longer than it may"), {}),
)
_HEADERS: Json = {
    "Retry-After": {
        "description": "The number of seconds to wait before trying again.",
        "schema": {"type": "integer", "minimum": 0},
    },
    "WWW-Authenticate": {
        "description": "The scheme to authenticate with.",
        "schema": {"type": "string", "const": "Bearer"},
    },
}
TURN_HEADERS: Json = {
    "X-Session-ID": {"description": "The session's name, percent-encoded.", "schema": {"type": "string"}},
    "X-Turn-ID": {"description": "The turn's name.", "schema": {"type": "string"}},
}

TURN_REFUSED = (404, 409, 429, 502, 504)
"""What may become of a request to start a turn."""

_models: dict[str, type[BaseModel]] = {}  # whose schemas the doors refer to


def told(
    tag: str,
    summary: str,
    *,
    gives: Mapping[int, Content],
    takes: Content | None = None,
    takes_nothing_too: bool = False,
    asks: Sequence[Json] = (),
    refuses: Sequence[int] = (),
    headers: Json | None = None,
) -> dict[str, Any]:
    """A route's part of the document, as arguments of its decorator; its docstring is the description.

    `asks`: parameters that the route reads itself. `refuses`: what `document` doesn't add by itself.
    """
    extra: Json = {"parameters": list(asks)} if asks else {}
    if takes:
        extra["requestBody"] = {"required": not takes_nothing_too, "content": takes}
    answers: dict[int | str, Json] = {}
    for status, content in gives.items():
        answers[status] = {
            "description": "The request succeeded; there is nothing to return."
            if status == 204
            else "The request succeeded."
        }
        if content:
            answers[status] |= {"content": content}
        if headers:
            answers[status] |= {"headers": headers}
    answers |= {status: _refusal(status) for status in refuses}
    return {"tags": [tag], "summary": summary, "responses": answers, "openapi_extra": extra}


def schema_of(model: type[BaseModel]) -> Json:
    """A reference to the model's schema, which comes into the document by it."""
    if _models.setdefault(model.__name__, model) is not model:
        raise TypeError(f"two models are called {model.__name__}")
    return {"$ref": _REF.format(model=model.__name__)}


def as_json(model: type[BaseModel], **examples: Any) -> Content:
    """A JSON body of this model. Examples by their names."""
    return {"application/json": {"schema": schema_of(model), "examples": _named(examples)}}


def as_text(kind: str, description: str, example: str, **schema: Any) -> Content:
    """A body of text: lines, plain text."""
    return {kind: {"schema": {"type": "string", "description": description, **schema}, "example": example}}


def as_events(description: str, example: str) -> Content:
    """A stream of server-sent events. OpenAPI 3.1 has no words for their shape."""
    return {"text/event-stream": {"schema": {"description": description}, "example": example}}


def as_bytes(kind: str, description: str) -> Content:
    """A body of bytes."""
    return {kind: {"schema": {"type": "string", "format": "binary", "description": description}}}


def header(name: str, description: str, example: Any = None, **schema: Any) -> Json:
    """A header that a route reads."""
    return _parameter("header", name, description, example, schema)


def query(name: str, description: str, example: Any = None, **schema: Any) -> Json:
    """A part of the query that a route reads."""
    return _parameter("query", name, description, example, schema)


def _parameter(place: str, name: str, description: str, example: Any, schema: Json) -> Json:
    about: Json = {
        "name": name,
        "in": place,
        "description": description,
        "schema": schema or {"type": "string"},
    }
    return about | ({} if example is None else {"example": example})


def _named(examples: Mapping[str, Any]) -> Json:
    return {name: {"value": value} for name, value in examples.items()}


def _refusal(status: int) -> Json:
    error = next(each for each in _REFUSALS if each.status == status)
    about: Json = {
        "description": (error.__doc__ or "").strip(),
        "content": {"application/json": {"schema": schema_of(Error), "example": error.body()}},
    }
    headers = [*error.headers, *(["Retry-After"] if error.retry_after_s else [])]
    return about | ({"headers": {name: _HEADERS[name] for name in headers}} if headers else {})


def document(app: FastAPI) -> Json:
    """The whole document. What every route of a kind may answer is added here, so that none forgets it."""
    made = get_openapi(
        title="Fast Reply",
        version=_VERSION,
        description=_DESCRIPTION.strip(),
        routes=app.routes,
        tags=[{"name": name, "description": text} for name, text in _TAGS.items()],
    )
    for route in all_routes(app):
        for method in (route.include_in_schema and route.methods) or ():
            _complete(made["paths"][route.path_format][method.lower()], route, method)
    components = made.setdefault("components", {})
    _, schemas = models_json_schema([(model, "validation") for model in _models.values()], ref_template=_REF)
    components["schemas"] = dict(sorted(schemas["$defs"].items()))
    components.setdefault("securitySchemes", {}).update(_SCHEMES)
    return made


def _complete(operation: Json, route: APIRoute, method: str) -> None:
    extra = route.openapi_extra or {}
    if "requestBody" in extra:
        operation["requestBody"] = extra["requestBody"]  # as it was told: FastAPI leaves out what is null
    # FastAPI's own 422 is never given: see `_not_valid` in api/main.py.
    answers = {str(status): answer for status, answer in route.responses.items()}
    usual = []
    if security := operation.get("security"):
        usual += [401, 403, 503]
        if method == "GET" and any("key" in each for each in security):
            security.append({"token": []})
    if "requestBody" in operation:
        usual += [400, 413]
    if "parameters" in operation:
        usual.append(400)
    if "{" in route.path:
        usual.append(404)
    for status in usual:
        answers.setdefault(str(status), _refusal(status))
    operation["responses"] = dict(sorted(answers.items()))
