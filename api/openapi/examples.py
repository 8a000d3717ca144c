"""Examples for the OpenAPI document: one shop, one call."""

from typing import Any

import orjson

TURN = "5feceb66ffc86f38d952786c"
SESSION = "call-7"
_COMPLETION = f"chatcmpl-{TURN}"
_CREATED_S = 1_790_000_000
ENTRY = "1790000000000-0"

QUESTION: dict[str, Any] = {"messages": [{"role": "user", "content": "When do you open?"}]}
STREAMED: dict[str, Any] = {
    "model": "default",
    "messages": [
        {"role": "system", "content": "You answer the phone of a flower shop."},
        {"role": "user", "content": "When do you open?"},
    ],
    "stream": True,
    "stream_options": {"include_usage": True},
    "session_id": SESSION,
    "fast_reply": {
        "lanes": True,
        "policy": {"handoff": {"when": "sentence"}, "filler": {"phrases": {"en": ["One moment."]}}},
        "on_disconnect": "continue",
    },
}
WITH_TOOLS: dict[str, Any] = {
    "messages": [{"role": "user", "content": "Are you open on Sunday?"}],
    "tools": [
        {
            "type": "function",
            "function": {
                "name": "opening_hours",
                "description": "When the shop is open.",
                "parameters": {"type": "object", "properties": {"day": {"type": "string"}}},
            },
        }
    ],
    "useProgressiveResponse": False,
}
FROM_KNOWLEDGE: dict[str, Any] = {
    **QUESTION,
    "fast_reply": {"knowledge": {"collection": "shop", "top_k": 4, "citations": True}},
}
SPOKEN: dict[str, Any] = {
    **QUESTION,
    "modalities": ["text", "audio"],
    "audio": {"voice": "", "format": "pcm16"},
}
LLM_REQUEST: dict[str, Any] = {
    **QUESTION,
    "fillersPhraseConfig": {"fillerPhrase": "One moment.", "activationDelayMs": 1500},
    "bargeInReply": {"bargeIn": "forced"},
    "eventName": "functionCall",
    "sessionId": SESSION,
}
OWN_SERVER: dict[str, Any] = {
    **QUESTION,
    "provider": "CUSTOM_LLM",
    "url": "https://models.example/v1/chat/completions",
    "tokenSecret": "shop",
    "model": "large",
    "temperature": 0.2,
}

_USAGE = {"prompt_tokens": 31, "completion_tokens": 12, "total_tokens": 43}
COMPLETION: dict[str, Any] = {
    "id": _COMPLETION,
    "object": "chat.completion",
    "created": _CREATED_S,
    "model": "large",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "Let me look. We open at nine."},
            "logprobs": None,
            "finish_reason": "stop",
        }
    ],
    "usage": _USAGE,
}
LLM_ANSWER: dict[str, Any] = {
    "id": TURN,
    "object": "llm_request.answer",
    "replies": [{"type": "text", "text": "Let me look."}, {"type": "text", "text": "We open at nine."}],
    "event": None,
    "finish_reason": "stop",
    "degraded": False,
    "usage": _USAGE,
}
LIVE_TURN: dict[str, Any] = {
    "id": TURN,
    "object": "turn",
    "session": SESSION,
    "created": _CREATED_S,
    "status": "live",
    "text": "Let me look.",
}
ENDED_TURN: dict[str, Any] = {
    **LIVE_TURN,
    "status": "ended",
    "text": "Let me look. We open at nine.",
    "reason": "stop",
    "degraded": False,
    "error": None,
    "answer": COMPLETION,
}
_LANE = {
    "model": "large",
    "attempts": 1,
    "queued_ms": 0,
    "started_ms": 2,
    "first_token_ms": 640,
    "finished_ms": 910,
    "reason": "stop",
    "chars": 17,
    "released_chars": 17,
    "usage": _USAGE,
    "error": None,
}
_TURN_REPORT = {
    "id": TURN,
    "object": "session.turn",
    "started_at": _CREATED_S * 1000,
    "profile": "default",
    "drafting": "on",
    "remembered": 0,
    "caller": {},
    "asked": "When do you open?",
    "text": "Let me look. We open at nine.",
    "heard": 29,
    "tool_calls": [],
    "fillers": [],
    "lanes": {"draft": {**_LANE, "model": "small", "first_token_ms": 60}, "full": _LANE},
    "ended_ms": 915,
    "reason": "stop",
    "degraded": False,
    "error": None,
    "usage": _USAGE,
    "interrupted": None,
}
_SESSION_HEAD = {"id": SESSION, "object": "session", "state": "ended", "last_turn_at": _CREATED_S * 1000}
SESSION_REPORT: dict[str, Any] = {
    **_SESSION_HEAD,
    "first_turn_at": _CREATED_S * 1000,
    "turns": [_TURN_REPORT],
}
SESSIONS: dict[str, Any] = {"object": "list", "data": [_SESSION_HEAD], "has_more": False, "cursor": None}
MODELS: dict[str, Any] = {
    "object": "list",
    "data": [{"id": "default", "object": "model", "created": 0, "owned_by": "fast-reply"}],
}

DOCUMENT: dict[str, Any] = {
    "text": "We open at nine. On Sunday we are closed.",
    "title": "Opening hours",
    "metadata": {"source": "hours.md"},
}
DOCUMENTS: dict[str, Any] = {"documents": [{"id": "hours", **DOCUMENT}]}
DOCUMENT_TEXT = "# Opening hours\n\nWe open at nine. On Sunday we are closed.\n"
DOCUMENT_LINES = orjson.dumps({"id": "hours", **DOCUMENT}).decode() + "\n"
_DOCUMENT_HEAD = {
    "id": "hours",
    "object": "knowledge.document",
    "title": "Opening hours",
    "metadata": {"source": "hours.md"},
    "chars": 41,
    "error": None,
}
DOCUMENT_HEADS: dict[str, Any] = {"object": "list", "data": [_DOCUMENT_HEAD]}
DOCUMENT_PAGE: dict[str, Any] = {**DOCUMENT_HEADS, "first_id": "hours", "last_id": "hours", "has_more": False}
WHOLE_DOCUMENT: dict[str, Any] = {**_DOCUMENT_HEAD, "text": DOCUMENT["text"]}
COLLECTIONS: dict[str, Any] = {
    "object": "list",
    "data": [{"id": "shop", "object": "knowledge.collection", "documents": 12}],
}
DELETED_DOCUMENT: dict[str, Any] = {"id": "hours", "object": "knowledge.document.deleted", "deleted": True}
DELETED_COLLECTION: dict[str, Any] = {"id": "shop", "object": "knowledge.collection.deleted", "deleted": True}

READY: dict[str, Any] = {"status": "ready", "workers": {"draft": 2, "full": 2, "speech": 1}}
NOT_READY: dict[str, Any] = {"status": "store unavailable", "workers": {}}


def _event(data: Any, cursor: str = "", name: str = "") -> str:
    text = data if isinstance(data, str) else orjson.dumps(data).decode()
    fields = {"id": cursor, "event": name, "data": text}
    return "".join(f"{field}: {value}\n" for field, value in fields.items() if value) + "\n"


def _chunk(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    head = {"id": _COMPLETION, "object": "chat.completion.chunk", "created": _CREATED_S, "model": "large"}
    return {**head, "choices": [choice]}


CHUNKS = "".join(
    (
        _event(_chunk({"role": "assistant", "content": "Let me look."}), f"{TURN}-12-0"),
        _event(_chunk({"content": " We open at nine."}), f"{TURN}-29-0"),
        _event(_chunk({}, "stop"), f"{TURN}-29-1"),
        _event("[DONE]", f"{TURN}-29-2"),
    )
)
SPOKEN_CHUNKS = "".join(
    (
        _event(
            _chunk({"role": "assistant", "audio": {"id": "a", "transcript": "We open at nine."}}),
            f"{TURN}-16-1",
        ),
        _event(_chunk({"audio": {"id": "a", "data": "AAAA"}}), f"{TURN}-16-2"),
        _event(_chunk({}, "stop"), f"{TURN}-16-3"),
        _event("[DONE]", f"{TURN}-16-4"),
    )
)
SENTENCES = "".join(
    (
        _event({"text": "Let me look.", "lane": "draft", "ms": 61}, f"{TURN}-12-0", "sentence"),
        _event({"text": "We open at nine.", "lane": "full", "ms": 640}, f"{TURN}-29-0", "sentence"),
        _event(
            {"reason": "stop", "finish_reason": "stop", "degraded": False, "ms": 915, "usage": _USAGE},
            f"{TURN}-29-1",
            "end",
        ),
    )
)
_DELTA = {"turn": TURN, "lane": "full", "attempt": 1, "at": 0, "text": "We open", "ms": 640}
LINES = orjson.dumps({"id": ENTRY, "kind": "delta", "event": _DELTA}).decode() + "\n"
ENTRY_EVENTS = _event({"id": ENTRY, "kind": "delta", "event": _DELTA}, ENTRY, "delta")
REPLAYED = "".join(
    (
        _event(
            {"ms": 640, "event": _DELTA, "released": [{"turn": TURN, "lane": "full", "text": "We open"}]},
            ENTRY,
            "delta",
        ),
        _event({"ms": 915}, name="end"),
    )
)

TOKEN_REQUEST: dict[str, Any] = {
    "ttl_s": 600,
    "scopes": ["chat"],
    "session": SESSION,
    "overrides": {"max_tokens": 300},
}
NEW_TOKEN: dict[str, Any] = {
    "object": "token",
    "token": "frt_eyJrIjoi…",
    "expires_at": (_CREATED_S + 600) * 1000,
    "session": SESSION,
}

_COUNTS: dict[str, Any] = {
    "turns": 412,
    "failed": 1,
    "interrupted": 38,
    "degraded": 2,
    "drafted": 400,
    "hand_overs": 391,
    "draft_wins": 377,
    "draft_only": 2,
    "spoken": 0,
    "draft_prompt_tokens": 61_800,
    "draft_completion_tokens": 9_890,
    "full_prompt_tokens": 123_600,
    "full_completion_tokens": 49_440,
    "deleted_tokens": 0,
    "draft_wasted_tokens": 2_120,
    "full_wasted_tokens": 310,
    "estimated_tokens": 4_010,
    "total_tokens": 244_730,
    "failures": {"upstream_refused": 1, "upstream_stalled": 2},
}
USAGE: dict[str, Any] = {
    "object": "list",
    "data": [{"object": "usage", "day": "2026-11-21", **_COUNTS}],
    "total": {name: number for name, number in _COUNTS.items() if name != "failures"},
}
_CELLS = [*map(str, list(_COUNTS.values())[:-1]), '"{""upstream_refused"":1,""upstream_stalled"":2}"']
USAGE_CSV = f"day,{','.join(_COUNTS)}\r\n2026-11-21,{','.join(_CELLS)}\r\n"
LIMITS: dict[str, Any] = {
    "object": "limits",
    "limits": {
        "turns_per_minute": 600,
        "live_turns": 50,
        "tokens_per_day": 2_000_000,
        "answer_tokens": 1_000,
        "max_body_bytes": 0,
        "max_message_chars": 0,
        "sessions_kept": 0,
        "kept_bytes": 1_000_000_000,
    },
    "used": {
        "turns_last_minute": 14,
        "live_turns": 3,
        "tokens_spent_today": 244_730,
        "tokens_reserved_today": 3_300,
        "sessions_kept": 1_204,
        "kept_bytes": 48_120_377,
    },
}
