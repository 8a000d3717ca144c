"""The fields of a chat request, and the one form that every door reads its dialect into."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import orjson
from pydantic import (
    BaseModel,
    ConfigDict,
    FailFast,
    Field,
    GetJsonSchemaHandler,
    ValidationError,
    model_validator,
)
from pydantic.config import JsonDict

from api.auth.tokens import BrowserToken
from api.requests.idempotency import IdempotencyKey, name_key
from api.requests.measure import check_fields, check_measure
from api.requests.platforms import caller_in, kept_here, tidy
from api.requests.policy_schema import WishedPolicy
from common.errors import BadRequest
from common.names import DEFAULT_TENANT, NAME
from common.net.named_server import NamedServer
from common.security.credentials import Credentials
from common.turn.policy import AS_STORED, Policy


class _Loose(BaseModel):
    # What we don't know is the full model's to judge; what we do know must have the right type.
    model_config = ConfigDict(strict=True, extra="allow", frozen=True)


class _FirstOnly(FailFast):
    """Has a list's first mistake end its validation: else each of thousands is written down."""

    __hash__ = object.__hash__  # so that it may stand in a union


FIRST_ONLY = _FirstOnly()


class ShownAs:
    """Has a field shown in the OpenAPI document as this model, by which it is read later on."""

    def __init__(self, model: type[BaseModel]) -> None:
        self._model = model

    def __get_pydantic_json_schema__(self, schema: Any, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return handler(self._model.__pydantic_core_schema__)


_SAYS_SOMETHING: JsonDict = {  # `_says_something` for the OpenAPI document
    "anyOf": [
        {"properties": {"role": {"enum": ["assistant", "function"]}}},
        {"required": ["content"], "properties": {"content": {"type": ["string", "array"]}}},
    ]
}
_MAX_INT = 2**63 - 1  # what is larger would be read as a fraction


class Message(_Loose):
    """One message of a conversation."""

    model_config = ConfigDict(json_schema_extra=_SAYS_SOMETHING)

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | Annotated[list[dict[str, Any]], FIRST_ONLY] | None = None

    @model_validator(mode="after")
    def _says_something(self) -> "Message":
        if self.content is None and self.role not in ("assistant", "function"):
            raise ValueError("content may not be empty")
        return self


class StreamOptions(_Loose):
    """Options of the stream."""

    include_usage: bool = False


class Knowledge(BaseModel):
    """The documents that an answer is based on. What is left out is the server's default."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    collection: str | None = Field(default=None, json_schema_extra={"pattern": NAME})
    top_k: int | None = Field(default=None, ge=1, le=20)
    citations: bool | None = None


class Options(BaseModel):
    """This server's own options of a request."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    lanes: bool = False
    state: str = ""
    policy: Annotated[dict[str, Any], ShownAs(WishedPolicy)] = {}
    on_disconnect: Literal["cancel", "resume", "continue"] | None = None
    memory: bool | None = None
    knowledge: Knowledge | None = None

    @property
    def wishes(self) -> dict[str, Any]:
        """The policy's parts that this request sets."""
        return self.policy | ({"on_disconnect": self.on_disconnect} if self.on_disconnect else {})


class ChatRequest(_Loose):
    """The body of a Chat Completions request, with CloudBase's and Agora's fields."""

    # Source: https://platform.openai.com/docs/api-reference/chat/create

    messages: Annotated[list[Message], FIRST_ONLY]
    model: str | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    n: int | None = Field(None, ge=1, le=128)
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, ge=0, le=1)
    max_tokens: int | None = Field(None, ge=1, le=_MAX_INT)
    max_completion_tokens: int | None = Field(None, ge=1, le=_MAX_INT)
    stop: str | Annotated[list[str], FIRST_ONLY] | None = None
    tools: Annotated[list[dict[str, Any]], FIRST_ONLY] | None = None
    tool_choice: str | dict[str, Any] | None = None
    response_format: dict[str, Any] | None = None
    logprobs: bool | None = None
    session_id: str | None = None
    taskId: str | None = None
    useProgressiveResponse: bool | None = None
    turn_id: Annotated[int, Field(ge=-_MAX_INT, le=_MAX_INT)] | str | None = None
    context: Any = None
    MetaInfo: bool | dict[str, Any] | None = None
    fast_reply: Options = Options()

    @property
    def channel(self) -> str | None:
        """Agora's name for the call. Anybody else's `context` may be anything."""
        channel = self.context.get("channel") if isinstance(self.context, dict) else None
        return channel if isinstance(channel, str) else None


_OURS = (
    "model",
    "stream",
    "stream_options",
    "session_id",
    "taskId",
    "useProgressiveResponse",
    "MetaInfo",
    "fast_reply",
)
_AGORAS_CALLER = ("appId", "userId", "channel")
_MAX_CALLER_CHARS = 128
_AGORAS = ("context", "turn_id", "timestamp")  # stay here too: model servers refuse what they don't know


@dataclass(frozen=True, slots=True)
class TurnRequest:
    """One turn as asked for, whatever the door. `body`: all that the full model is to be given.

    `session`: as the client names it; `memory`: whether it is to be remembered, where the client says so;
    `key`: the caller's own; `meta`: whether the client is told who speaks, where it says so;
    `agora`: Agora's engine asks; `reply`: what else the answer's encoder is to know;
    `server`: whom the full is to be asked of, with what of `credentials` is sealed;
    `token`: the page's token that it came with.
    """

    session: str | None
    model: str | None
    body: dict[str, Any]
    stream: bool
    include_usage: bool
    drafting: bool | None
    lanes: bool
    state: str
    policy: dict[str, Any]
    memory: bool | None = None
    idempotency: IdempotencyKey | None = None
    speech: dict[str, str] = field(default_factory=dict)
    knowledge: Knowledge | None = None
    caller: dict[str, str] = field(default_factory=dict)
    key: str = field(default="", repr=False)
    meta: bool | None = None
    agora: bool = False
    reply: dict[str, Any] = field(default_factory=dict)
    server: NamedServer | None = None
    credentials: Credentials = field(default_factory=Credentials)
    tenant: str = DEFAULT_TENANT
    token: BrowserToken | None = None


def read_chat(
    raw: bytes,
    *,
    tenant: str = DEFAULT_TENANT,
    session: str | None,
    stream: bool,
    lanes: bool,
    idempotency_key: str | None = None,
    request_id: str | None = None,
    rag: bool = False,
    caller: dict[str, str] | None = None,
    key: str = "",
) -> TurnRequest:
    """Read a Chat Completions body; the arguments are what path and headers say. Raises BadRequest."""
    body = read_object(raw)
    try:
        asked = ChatRequest.model_validate(body := tidy(body))
    except ValidationError as error:
        raise first_error(error) from None
    session = session or asked.session_id or asked.taskId or asked.channel
    agora = asked.turn_id is not None or asked.channel is not None
    if not (asked.messages or session):
        raise BadRequest("messages: there are none, and no session is named to go on with", param="messages")
    stay = kept_here(body).union(_OURS, _AGORAS if agora else ())
    return TurnRequest(
        tenant=tenant,
        session=session,
        model=asked.model,
        body={key: value for key, value in body.items() if key not in stay},
        stream=stream if asked.stream is None else asked.stream,
        include_usage=asked.stream_options is not None and asked.stream_options.include_usage,
        drafting=asked.useProgressiveResponse,
        lanes=lanes or asked.fast_reply.lanes,
        state=asked.fast_reply.state,
        policy=asked.fast_reply.wishes,
        memory=asked.fast_reply.memory,
        idempotency=name_key(body, idempotency_key, request_id, in_session=bool(session)),
        knowledge=asked.fast_reply.knowledge or (Knowledge() if rag else None),
        caller={
            **(caller or {}),
            **bounded(caller_in(body)),
            **(_agoras_caller(body) if agora else {}),
        },
        key=key,
        meta=None if asked.MetaInfo is None else asked.MetaInfo is not False,
        agora=agora,
    )


def read_object(raw: bytes) -> dict[str, Any]:
    """The JSON object that a body is. Raises BadRequest."""
    check_fields(raw)
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"the body is not valid JSON: {error}", code="invalid_json") from None
    if not isinstance(body, dict):
        raise BadRequest("the body must be a JSON object", code="invalid_json")
    check_measure(body)
    return body


def _agoras_caller(body: dict[str, Any]) -> dict[str, str]:
    context = body.get("context")
    named = context if isinstance(context, dict) else {}
    return bounded({"turn_id": body.get("turn_id"), **{name: named.get(name) for name in _AGORAS_CALLER}})


def bounded(caller: Mapping[str, Any]) -> dict[str, str]:
    """Return what may be logged of a caller: short texts and numbers."""
    told = {
        name: str(value) for name, value in caller.items() if isinstance(value, str | int) and value != ""
    }
    return {name: "".join(filter(str.isprintable, value))[:_MAX_CALLER_CHARS] for name, value in told.items()}


def merge_policy(policy: Policy, wanted: dict[str, Any]) -> Policy:
    """The profile's policy with the request's own wishes over it. Raises BadRequest."""
    if not wanted:
        return policy
    draft = wanted.get("draft")
    if isinstance(draft, dict) and "guard_rules" in draft:
        param = "fast_reply.policy.draft.guard_rules"
        raise BadRequest(f"{param}: the rules are the profile's, never a request's", param=param)
    merged = policy.model_dump()
    for name, value in wanted.items():
        part = merged.get(name)
        merged[name] = {**part, **value} if isinstance(part, dict) and isinstance(value, dict) else value
    try:
        return Policy.model_validate(merged, context=AS_STORED)  # its rules are the profile's own
    except ValidationError as error:
        raise first_error(error, "fast_reply.policy.") from None


def first_error(error: ValidationError, prefix: str = "") -> BadRequest:
    """The first thing wrong, as a client can act on it: never with the value, which may be private."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    # Pydantic names the tried type of a union as a step of its own; a client knows no such field.
    steps = [
        step
        for step in first["loc"]
        if not (isinstance(step, str) and ("[" in step or step in ("str", "list")))
    ]
    param = prefix + ".".join(map(str, steps))
    code = "missing_required_parameter" if first["type"] == "missing" else "invalid_value"
    return BadRequest(
        f"{param or 'body'}: {first['msg'].removeprefix('Value error, ')}", code=code, param=param or None
    )
