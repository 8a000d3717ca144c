"""JAICP's `llmRequest` read into a turn.

Source: https://help.cloud.just-ai.com/en/jaicp/bot-replies/llmRequest
"""

import logging
import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from api.requests.idempotency import name_key
from api.requests.platforms import tidy
from api.requests.policy_schema import WishedFiller
from api.requests.turn_request import (
    FIRST_ONLY,
    Message,
    Options,
    ShownAs,
    TurnRequest,
    first_error,
    read_object,
)
from common.errors import BadRequest
from common.net.named_server import NamedServer, is_template, shows
from common.security.credentials import Credentials
from common.security.url_guard import BlockedUrl, UrlGuard
from common.settings import Settings
from common.tenants.tenant import Tenant
from common.turn.policy import FillerPolicy

logger = logging.getLogger(__name__)

# Set by other properties, or of no use to speech: JAICP passes them over too.
_IGNORED = (
    "audio", "function_call", "functions", "logit_bias", "logprobs", "messages", "modalities", "model", "n",
    "stream", "stream_options", "tool_choice", "tools",
)  # fmt: skip
_OURS = ("accept", "content-type")  # are sent as the answer is read
_OF_THE_CONNECTION = ("connection", "content-length", "host", "transfer-encoding", "upgrade", "te", "trailer")
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}\Z")
_MAX_HEADER_CHARS = 8_000
_OPENAIS = re.compile(r"(?:gpt-|chatgpt-|o[1-9](?:-|\Z))[\w.:-]*\Z")


class LlmRequest(BaseModel):
    """The properties of an `llmRequest` reply. Others, which the platform adds, are ignored."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)

    provider: Literal["CAILA_OPEN_AI", "CUSTOM_LLM"] | None = None
    tokenSecret: str = ""
    url: str = ""
    headers: dict[str, str] = {}
    model: str | None = None
    temperature: float | None = Field(None, ge=0, le=2)
    parameters: dict[str, Any] = {}
    fillersPhraseConfig: Annotated[dict[str, Any], ShownAs(WishedFiller)] | None = None
    messages: Annotated[list[Message], FIRST_ONLY] = Field(min_length=1)
    bargeInReply: dict[str, Any] | bool | None = None
    tools: Annotated[list[dict[str, Any]], FIRST_ONLY] | None = None
    eventName: str = Field("functionCall", pattern=r"^[\w.:/-]{1,64}$")  # also in other letters
    sessionId: str | None = None
    session_id: str | None = None
    fast_reply: Options = Options()


def read_llm_request(
    raw: bytes,
    settings: Settings,
    tenant: Tenant,
    *,
    session: str | None,
    stream: bool,
    idempotency_key: str | None,
    request_id: str | None,
    caller: dict[str, str],
) -> TurnRequest:
    """Read the body; the arguments are what the headers say. Raises BadRequest."""
    body = read_object(raw)
    try:
        asked = LlmRequest.model_validate(_without_nulls(body := tidy(body)))
    except ValidationError as error:
        raise first_error(error) from None
    if asked.eventName in ("sentence", "error", "end"):
        raise BadRequest("eventName: this is the name of another event", param="eventName")
    server, credentials = _server(asked, settings, tenant)
    session = session or asked.sessionId or asked.session_id
    return TurnRequest(
        tenant=tenant.id,
        session=session,
        model=_model(asked),
        body=_body(asked, body["messages"]),
        stream=stream,
        include_usage=False,
        drafting=None,
        lanes=False,
        state=asked.fast_reply.state,
        policy=_policy(asked),
        memory=asked.fast_reply.memory,
        idempotency=name_key(body, idempotency_key, request_id, in_session=bool(session)),
        knowledge=asked.fast_reply.knowledge,
        caller=caller,
        meta=False,
        reply={"calls_event": asked.eventName},
        server=server,
        credentials=credentials,
    )


def _body(asked: LlmRequest, messages: list[Any]) -> dict[str, Any]:
    """Return the request for the full model."""
    ignored = sorted(asked.parameters.keys() & set(_IGNORED))
    tools = asked.tools
    if tools and asked.provider == "CAILA_OPEN_AI":
        ignored, tools = [*ignored, "tools"], None
    if ignored:
        logger.warning("parameters of an llmRequest are ignored", extra={"parameters": ignored})
    body = {name: value for name, value in asked.parameters.items() if name not in _IGNORED}
    if asked.temperature is not None:
        body["temperature"] = asked.temperature
    return {**body, "messages": messages, **({"tools": tools} if tools else {})}


def _policy(asked: LlmRequest) -> dict[str, Any]:
    """The policy's parts that the request sets."""
    wishes = dict(asked.fast_reply.wishes)
    if asked.fillersPhraseConfig is not None:
        fillers = _without_nulls(asked.fillersPhraseConfig)
        try:
            FillerPolicy.model_validate(fillers)
        except ValidationError as error:
            raise first_error(error, "fillersPhraseConfig.") from None
        wishes["filler"] = fillers
    barge_in = _barge_in(asked.bargeInReply)
    return wishes if barge_in is None else {**wishes, "barge_in": barge_in}


def _barge_in(reply: dict[str, Any] | bool | None) -> bool | None:
    """Return True if the caller may cut in; None where that isn't said.

    Source: https://github.com/just-ai/jaicf-kotlin (`BargeInReplyData`: with `bargin_transition` and the
    intent's `type`, `intent` or `ignoreBargeIn`), and `bargeInReply` of JAICP's own scripts
    """
    if not isinstance(reply, dict):
        return reply
    intent = reply.get("bargeInIntent")
    kind = intent.get("type") if isinstance(intent, dict) else intent
    if kind is None and reply.get("bargeIn") is None:
        return True if reply.get("bargin_transition") else None
    said = {str(kind).lower(), str(reply.get("bargeIn")).lower()}
    return said.isdisjoint(("ignorebargein", "ignore", "disabled", "false"))


def _without_nulls(values: dict[str, Any]) -> dict[str, Any]:
    """Return a request without nulls: JAICP's classes write out what isn't set as null."""
    said = {name: value for name, value in values.items() if value is not None}
    if isinstance(headers := said.get("headers"), dict):
        said["headers"] = {name: value for name, value in headers.items() if value is not None}
    return said


def _model(asked: LlmRequest) -> str | None:
    """The model as its server knows it: a script's `gpt-4o` is Caila's `just-ai/openai-proxy/gpt-4o`."""
    name = asked.model
    if name and asked.provider == "CAILA_OPEN_AI" and _OPENAIS.match(name):
        return f"just-ai/openai-proxy/{name}"
    return name


def _server(asked: LlmRequest, settings: Settings, tenant: Tenant) -> tuple[NamedServer | None, Credentials]:
    """Return the server that the full is to be asked of, and the headers that no log may hold. Raises
    BadRequest.
    """
    secret = asked.tokenSecret
    if asked.provider is None:
        if asked.url or asked.headers:
            raise BadRequest("url and headers are for the provider CUSTOM_LLM", param="provider")
        return None, Credentials()
    if not asked.model:
        raise BadRequest("model: Field required", code="missing_required_parameter", param="model")
    guard = UrlGuard(settings.allowed_hosts)
    headers: dict[str, str] = {}
    if asked.provider == "CUSTOM_LLM":
        _check_url(asked.url, guard)
        headers = _headers(asked.headers) or {"Authorization": f"Bearer {secret}"}
        url, vouched = asked.url, guard.vouches(asked.url)
        shown = [name for name, value in headers.items() if shows(value, secret)]
    else:
        url, vouched, shown = settings.caila_url, True, ["Authorization"]
    if not tenant.may_send(secret, url, shown, vouched=vouched):
        raise BadRequest(
            "there is no secret of this name for this server, in these headers",
            code="unknown_secret",
            param="tokenSecret",
        )
    if asked.provider == "CAILA_OPEN_AI":
        return NamedServer("", secret), Credentials()
    templates = {name: value for name, value in headers.items() if is_template(value, secret)}
    sealed = {name: value for name, value in headers.items() if name not in templates}
    url, _, query = asked.url.partition("#")[0].partition("?")
    server = NamedServer(url, secret, templates, sorted(sealed), query=bool(query))
    return server, Credentials(headers=sealed, query=query)


def _check_url(url: str, guard: UrlGuard) -> None:
    try:
        guard.check(url)
    except BlockedUrl as error:
        raise BadRequest(f"url: {error}", code="blocked_url", param="url") from None


def _headers(headers: dict[str, str]) -> dict[str, str]:
    """The headers as they may be sent on. Raises BadRequest."""
    for name, value in headers.items():
        if not _HEADER.match(name) or name.lower() in _OF_THE_CONNECTION:
            raise BadRequest("headers: a header may not be named so", param="headers")
        if not (value.isascii() and value.isprintable() and len(value) <= _MAX_HEADER_CHARS):
            raise BadRequest("headers: a header may not have this value", param="headers")
    return {name: value for name, value in headers.items() if name.lower() not in _OURS}
