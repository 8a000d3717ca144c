"""Maps every server's words for why an answer ended."""

from typing import Any

_OPEN = ("", "null", "none", "nil", "undefined", "unspecified", "in_progress", "incomplete", "not_finished")
_WORDS = {
    "length": (
        "length max_tokens max_length max_output_tokens max_new_tokens model_length token_limit tokens "
        "model_context_window_exceeded context_length context_length_exceeded error_limit truncated"
    ),
    "tool_calls": "tool_calls tool_call tool_use tool function_calls",
    "function_call": "function_call",
    "content_filter": (
        "content_filter content_filtered content_filter_error filtered safety sensitive recitation blocklist "
        "blocked prohibited_content spii language guardrail_intervened refusal error_toxic image_safety "
        "content_violation risk_control"
    ),
    "error": (
        "error failed failure abort aborted cancelled canceled server_error internal_error engine_error "
        "network_error upstream_error provider_error timeout insufficient_system_resource "
        "malformed_function_call malformed_response unexpected_tool_call too_many_tool_calls"
    ),
}
_MEANS = {word: reason for reason, words in _WORDS.items() for word in words.split()}


def reason_in(value: Any) -> str:
    """Return OpenAI's word for the reason: `error` if the server has failed, empty if the answer goes on."""
    if not isinstance(value, str):
        return ""
    word = value.strip().lower().removeprefix("finish_reason_").removeprefix("finishreason.")
    return "" if word in _OPEN else _MEANS.get(word, "stop")
