"""What the doors answer, as shapes for the OpenAPI document. The doors write their answers by hand: a test
holds each to its shape.
"""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from api.sessions.listing import State


class _Shape(BaseModel):
    model_config = ConfigDict(extra="allow")  # clients must live with what later versions add


class ErrorObject(_Shape):
    """What went wrong. `code` is for programs, `param` names the offending field."""

    message: str
    type: str
    param: str | None
    code: str | None


class Error(_Shape):
    """OpenAI's shape of an error."""

    error: ErrorObject


class Function(_Shape):
    """Which function is called; its arguments are JSON, as the model wrote them."""

    name: str
    arguments: str


class ToolCall(_Shape):
    """A call of one of the request's tools, with all that its model's server says of it.

    A custom tool's (`type` `custom`) has `custom`, with `name` and `input`, in place of `function`.
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
    """A passage that the answer rests on."""

    index: int
    id: str
    document: str
    title: str
    text: str
    score: float


class AnswerMessage(_Shape):
    """What the assistant said."""

    role: Literal["assistant"]
    content: str | None
    tool_calls: list[ToolCall] = []
    audio: SpokenAudio | None = None
    citations: list[Citation | dict[str, Any] | str] = []


class Choice(_Shape):
    """One answer; there are several only with `n`."""

    index: int
    message: AnswerMessage
    finish_reason: str | None


class ChatCompletion(_Shape):
    """A whole answer, as OpenAI gives it. `usage`: the sum of what both lanes cost."""

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str | None
    choices: list[Choice]
    usage: dict[str, Any]


class Reply(_Shape):
    """One sentence."""

    type: Literal["text"]
    text: str


class CallsEvent(_Shape):
    """The calls, in an event of the request's `eventName`."""

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
    """A turn as it stands. What comes after `text` is there once it has ended.

    Who stops it and may not read is told neither `text` nor `answer`, of a session's latest turn no `id`.
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
    """Who stopped a turn, and how many characters were heard; null if nobody knows."""

    by: str
    heard: int | None


class LaneReport(_Shape):
    """What one lane of a turn did. Times in ms since the turn's start."""

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
    """All that there is to say of a turn. Where another version folded it, what was let out is null."""

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
    """A session with its turns, the oldest first. Times in ms since 1970."""

    id: str
    object: Literal["session"]
    state: State
    first_turn_at: int | None
    last_turn_at: int
    turns: list[TurnReport]


class SessionHead(_Shape):
    """A session in the list."""

    id: str
    object: Literal["session"]
    state: State
    last_turn_at: int


class SessionList(_Shape):
    """One page of the sessions; `cursor` leads to the next one."""

    object: Literal["list"]
    data: list[SessionHead]
    has_more: bool
    cursor: str | None


class Model(_Shape):
    """A profile, as OpenAI lists models."""

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
    """A whole document."""

    text: str


class DocumentHeads(_Shape):
    """The documents that were put."""

    object: Literal["list"]
    data: list[DocumentHead]


class DocumentPage(DocumentHeads):
    """One page of a collection, by the documents' ids."""

    first_id: str | None
    last_id: str | None
    has_more: bool


class Deleted(_Shape):
    """What was deleted."""

    id: str
    object: str
    deleted: Literal[True]


class Alive(_Shape):
    """The process answers."""

    status: Literal["alive"]


class Readiness(_Shape):
    """Whether the stores answer, and how many workers of each lane have beaten lately."""

    status: str
    workers: dict[str, int] = Field(examples=[{"draft": 2, "full": 2, "speech": 1}])


class NewToken(_Shape):
    """A browser token. `expires_at`: ms since 1970; `session`: the only one that it opens."""

    object: Literal["token"]
    token: str
    expires_at: int
    session: str | None


class UsageRow(_Shape):
    """What turns count for; docs/tenants.md says what each counter counts."""

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
    """Usage, a row for each of what was asked for, and the sum of all."""

    object: Literal["list"]
    data: list[UsageRow]
    total: dict[str, int]


class LimitsUsed(_Shape):
    """How much is used now."""

    turns_last_minute: int
    live_turns: int
    tokens_spent_today: int
    tokens_reserved_today: int
    sessions_kept: int
    kept_bytes: int


class LimitsNow(_Shape):
    """The tenant's limits, 0 for none, and how much of them is used now."""

    object: Literal["limits"]
    limits: dict[str, int]
    used: LimitsUsed
