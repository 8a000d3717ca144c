"""The answers of the doors. Doors build them with these models, and the OpenAPI document shows them.

Completions, turns and reports of turns are made by hand, for speed or for others than the API; here they are
described, and a test holds them to it.
"""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

State = Literal["live", "ended", "archived"]
"""A turn of the session goes on; it is in Redis; it is in the archive alone."""


class _Shape(BaseModel):
    model_config = ConfigDict(extra="allow")  # clients must live with what later versions add


class ErrorObject(_Shape):
    """An error. `code` is meant for programs, and `param` names the field that is wrong."""

    message: str
    type: str
    param: str | None
    code: str | None


class Error(_Shape):
    """An error in OpenAI's shape."""

    error: ErrorObject


class Function(_Shape):
    """The function that is called. Its arguments are JSON, as the model wrote them."""

    name: str
    arguments: str


class ToolCall(_Shape):
    """A call of one of the request's tools, as the model's server sent it.

    The call of a custom tool, whose `type` is `custom`, has `custom` with `name` and `input` in place of
    `function`.
    """

    id: str
    type: str
    function: Function | None = None


class SpokenAudio(_Shape):
    """The answer's sound, in base64."""

    id: str
    data: str
    transcript: str
    expires_at: int


class Citation(_Shape):
    """A passage that the answer is based on."""

    index: int
    id: str
    document: str
    title: str
    text: str
    score: float


class AnswerMessage(_Shape):
    """The message of the assistant."""

    role: Literal["assistant"]
    content: str | None
    tool_calls: list[ToolCall] = []
    audio: SpokenAudio | None = None
    citations: list[Citation | dict[str, Any] | str] = []


class Choice(_Shape):
    """One answer. There are several only if the request sets `n`."""

    index: int
    message: AnswerMessage
    finish_reason: str | None


class ChatCompletion(_Shape):
    """A whole answer in OpenAI's shape. `usage` is the sum of both lanes."""

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str | None
    choices: list[Choice]
    usage: dict[str, Any]


class Reply(_Shape):
    """One sentence of the answer."""

    type: Literal["text"]
    text: str


class CallsEvent(_Shape):
    """The tool calls, in an event with the name that the request gave as `eventName`."""

    event: str
    tool_calls: list[ToolCall]


class LlmAnswer(_Shape):
    """The answer to an `llmRequest` in one piece."""

    id: str
    object: Literal["llm_request.answer"]
    replies: list[Reply]
    event: CallsEvent | None
    finish_reason: str
    degraded: bool
    usage: dict[str, Any]


class Turn(_Shape):
    """A turn as it stands. The fields after `text` are present once it has ended.

    A client that stops a turn and may not read gets neither `text` nor `answer`, and no `id` if it named only
    the session.
    """

    id: str | None = None
    object: Literal["turn"]
    session: str
    created: int
    status: Literal["live", "ended"]
    text: str | None = None
    reason: str | None = None
    degraded: bool | None = None
    error: ErrorObject | None = None
    answer: ChatCompletion | None = None


class Interruption(_Shape):
    """The one who stopped a turn, and how many characters were heard, or null if that is unknown."""

    by: str
    heard: int | None


class LaneReport(_Shape):
    """The work of one lane in a turn. Times are in ms since the turn's start."""

    model: str | None
    attempts: int
    queued_ms: int | None
    started_ms: int | None
    first_token_ms: int | None
    finished_ms: int | None
    reason: str | None
    chars: int
    released_chars: int | None
    usage: dict[str, Any] | None
    error: ErrorObject | None


class TurnReport(_Shape):
    """A report of one turn. What was released is null if another version of the server produced it."""

    id: str
    object: Literal["session.turn"]
    started_at: int
    profile: str
    drafting: str
    remembered: int
    asked: str
    text: str | None
    heard: int | None
    lanes: dict[str, LaneReport]
    ended_ms: int | None
    reason: str | None
    degraded: bool | None
    error: ErrorObject | None
    interrupted: Interruption | None


class Session(_Shape):
    """A session with its turns, the oldest first. Times are in ms since 1970."""

    id: str
    object: Literal["session"]
    state: State
    first_turn_at: int | None
    last_turn_at: int
    turns: list[TurnReport]


class SessionHead(_Shape):
    """A session, as lists show it."""

    id: str
    object: Literal["session"]
    state: State
    last_turn_at: int


class SessionList(_Shape):
    """One page of the sessions. `cursor` asks for the next one."""

    object: Literal["list"]
    data: list[SessionHead]
    has_more: bool
    cursor: str | None


class Model(_Shape):
    """A profile, in the shape of OpenAI's models."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str


class ModelList(_Shape):
    """The profiles that a request may name in `model`."""

    object: Literal["list"]
    data: list[Model]


class Collection(_Shape):
    """A collection of documents, and how many it holds."""

    id: str
    object: Literal["knowledge.collection"]
    documents: int


class CollectionList(_Shape):
    """The collections that hold documents."""

    object: Literal["list"]
    data: list[Collection]


class DocumentHead(_Shape):
    """A document without its text."""

    id: str
    object: Literal["knowledge.document"]
    title: str
    metadata: dict[str, Any]
    chars: int
    error: str | None


class DocumentWithText(DocumentHead):
    """A document with its text."""

    text: str


class DocumentHeads(_Shape):
    """The documents that were stored."""

    object: Literal["list"]
    data: list[DocumentHead]


class DocumentPage(DocumentHeads):
    """One page of a collection's documents, ordered by id."""

    first_id: str | None
    last_id: str | None
    has_more: bool


class Deleted(_Shape):
    """The confirmation that something was deleted."""

    id: str
    object: str
    deleted: Literal[True]


class Alive(_Shape):
    """The answer of a process that is alive."""

    status: Literal["alive"]


class Readiness(_Shape):
    """The state of the stores, and how many workers are alive in each lane."""

    status: str
    workers: dict[str, int] = Field(examples=[{"draft": 2, "full": 2, "speech": 1}])


class NewToken(_Shape):
    """A browser token. `expires_at` is in ms since 1970; `session` is the only session that it opens."""

    object: Literal["token"]
    token: str
    expires_at: int
    session: str | None


class UsageRow(_Shape):
    """The use that turns made of models. The project's docs/tenants.md explains each counter."""

    object: Literal["usage"]
    tenant: str | None = None
    day: str | None = None
    profile: str | None = None
    turns: int
    failed: int
    interrupted: int
    degraded: int
    drafted: int
    hand_overs: int
    draft_wins: int
    draft_only: int
    spoken: int
    draft_prompt_tokens: int
    draft_completion_tokens: int
    full_prompt_tokens: int
    full_completion_tokens: int
    deleted_tokens: int
    draft_wasted_tokens: int
    full_wasted_tokens: int
    estimated_tokens: int
    total_tokens: int
    failures: dict[str, int]


class UsageList(_Shape):
    """The rows of usage that were asked for, and their sum."""

    object: Literal["list"]
    data: list[UsageRow]
    total: dict[str, int]


class LimitsUsed(_Shape):
    """The part of each limit that is used now."""

    turns_last_minute: int
    live_turns: int
    tokens_spent_today: int
    tokens_reserved_today: int
    sessions_kept: int
    kept_bytes: int


class LimitsNow(_Shape):
    """The tenant's limits, where 0 means no limit, and how much of each is used now."""

    object: Literal["limits"]
    limits: dict[str, int]
    used: LimitsUsed
