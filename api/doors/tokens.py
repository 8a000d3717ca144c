"""Short-lived tokens for browsers: a page must hold no key, and its EventSource can send no header."""

import time
from typing import Annotated, Any, Literal, get_args

import orjson
from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from api import examples
from api.answers import NewToken
from api.body import read_body
from api.identity import Member
from api.openapi import as_json, told
from api.requests import first_error
from api.services import Services
from common.errors import BadRequest, Forbidden
from common.keys import valid_session
from common.tenants.tokens import Token

router = APIRouter()

_MOST_BYTES = 10_000
Given = Literal["chat", "read"]
_GIVEN: tuple[Given, ...] = get_args(Given)


class TokenRequest(BaseModel):
    """What a token is to be good for. `scopes`: all of the key's that a token may have, if none are named."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    ttl_s: Annotated[int, Field(ge=1, le=3_600)] = 600
    scopes: Annotated[list[Given], Field(min_length=1)] | None = None
    session: str | None = None


@router.post(
    "/v1/tokens",
    **told(
        "administration",
        "Make a browser token",
        takes=as_json(TokenRequest, one=examples.TOKEN_REQUEST),
        takes_nothing_too=True,
        gives={200: as_json(NewToken, one=examples.NEW_TOKEN)},
    ),
)
async def make_token(request: Request, who: Member) -> dict[str, Any]:
    """A token that stands in for the key for up to an hour, in all or only in one session."""
    services: Services = request.app.state.services
    if who.by_token:
        raise Forbidden("a token can't make tokens", code="token_from_token")
    asked = _read(await read_body(request, _MOST_BYTES))
    scopes = asked.scopes or [scope for scope in _GIVEN if scope in who.scopes] or _GIVEN
    if missing := set(scopes) - who.scopes:
        raise Forbidden(f"the key lacks the scope {min(missing)}", code="missing_scope", param="scopes")
    signer = services.doorkeeper.tokens
    if not signer.can_sign:
        raise BadRequest("this server has no FAST_REPLY_SECRET_KEY to sign tokens with", code="no_secret_key")
    expires_ms = int(time.time() * 1000) + asked.ttl_s * 1000
    token = Token(who.key, tuple(scopes), expires_ms, asked.session)
    return {"object": "token", "token": signer.sign(token), "expires_at": expires_ms}


def _read(raw: bytes) -> TokenRequest:
    try:
        asked = TokenRequest.model_validate(orjson.loads(raw) if raw else {})
    except orjson.JSONDecodeError:
        raise BadRequest("the body is not valid JSON", code="invalid_json") from None
    except ValidationError as error:
        raise first_error(error) from None
    if asked.session is not None and not valid_session(asked.session):
        raise BadRequest("no session can have this name", code="invalid_value", param="session")
    return asked
