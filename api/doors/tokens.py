"""Short-lived tokens for browsers: a page must hold no key, and its EventSource can send no header."""

import secrets
import time
from typing import Annotated, Literal, get_args

import orjson
from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from api.auth.tokens import BrowserToken
from api.auth.trail import note_access
from api.body import read_body
from api.http.identity import Member
from api.openapi import examples
from api.openapi.document import as_json, told
from api.requests.turn_request import first_error
from api.schemas import NewToken
from api.services import Services
from common.errors import BadRequest, Forbidden
from common.names import valid_session
from common.turn.overrides import TokenOverrides

router = APIRouter()

_MOST_BYTES = 10_000
Given = Literal["chat", "read"]
_GIVEN: tuple[Given, ...] = get_args(Given)


class TokenRequest(BaseModel):
    """The rights of a token. Without `scopes` it has all of the key's scopes that a token may have.

    It opens only `session`, or a new one if none is named, or with `unbound` all of the tenant's sessions. It
    may ask only `profile`, if one is named, and set only `overrides` of it.
    """

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    ttl_s: Annotated[int, Field(ge=1, le=3_600)] = 600
    scopes: Annotated[list[Given], Field(min_length=1)] | None = None
    session: str | None = None
    unbound: bool = False
    profile: str | None = None
    overrides: TokenOverrides | None = None


@router.post(
    "/v1/tokens",
    **told(
        "administration",
        "Create a browser token",
        takes=as_json(TokenRequest, one=examples.TOKEN_REQUEST),
        takes_nothing_too=True,
        gives={200: as_json(NewToken, one=examples.NEW_TOKEN)},
    ),
)
async def make_token(request: Request, who: Member) -> NewToken:
    """Create a token that a browser may use in place of the key, for up to an hour."""
    services: Services = request.app.state.services
    if who.token:
        raise Forbidden("a token can't make tokens", code="token_from_token")
    asked = _read(await read_body(request, _MOST_BYTES))
    scopes = asked.scopes or [scope for scope in _GIVEN if scope in who.scopes] or _GIVEN
    if missing := set(scopes) - who.scopes:
        raise Forbidden(f"the key lacks the scope {min(missing)}", code="missing_scope", param="scopes")
    if asked.unbound and "admin" not in who.scopes:
        raise Forbidden(
            "a token for every session takes a key of the scope admin", code="missing_scope", param="unbound"
        )
    if asked.profile is not None and who.tenant.get(asked.profile) is None:
        raise BadRequest("there is no such profile", code="invalid_value", param="profile")
    signer = services.authenticator.tokens
    if not signer.can_sign:
        raise BadRequest("this server has no FAST_REPLY_SECRET_KEY to sign tokens with", code="no_secret_key")
    expires_ms = int(time.time() * 1000) + asked.ttl_s * 1000
    session = None if asked.unbound else asked.session or "s" + secrets.token_hex(10)
    token = BrowserToken(who.key, tuple(scopes), expires_ms, session, asked.profile, asked.overrides)
    text = signer.sign(token)
    if text is None:
        raise BadRequest("overrides: a token can't hold so much", code="invalid_value", param="overrides")
    if who.key:
        note_access(
            request, f"key:{who.key}", who.tenant.id, "token.made", tuple(scopes), target=session or "*"
        )
    return NewToken(object="token", token=text, expires_at=expires_ms, session=session)


def _read(raw: bytes) -> TokenRequest:
    try:
        asked = TokenRequest.model_validate(orjson.loads(raw) if raw else {})
    except orjson.JSONDecodeError:
        raise BadRequest("the body is not valid JSON", code="invalid_json") from None
    except ValidationError as error:
        raise first_error(error) from None
    if asked.unbound and asked.session is not None:
        raise BadRequest("unbound: the token is for one session", code="invalid_value", param="unbound")
    if asked.session is not None and not valid_session(asked.session):
        raise BadRequest("no session can have this name", code="invalid_value", param="session")
    return asked
