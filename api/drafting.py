"""Whether a turn is drafted, and why not."""

from typing import Any

from api.requests import TurnRequest
from common.profiles import Profile


def why_no_draft(profile: Profile, request: TurnRequest) -> str:
    """The reason for the full speaking alone, in a few words; empty where a draft may speak first."""
    body = request.body
    if profile.draft is None:
        return "no small model"
    if request.drafting is False:
        return "the request says so"
    if body["messages"][-1].get("role") != "user":
        return "the last message is not the user's"
    if (body.get("n") or 1) > 1:
        return "several choices"
    if body.get("logprobs"):
        return "logprobs"
    if (body.get("response_format") or {}).get("type", "text") != "text":
        return "response_format"
    return "a forced tool" if _forces_tool(body) else ""


def _forces_tool(body: dict[str, Any]) -> bool:
    for name in ("tool_choice", "function_call"):
        choice = body.get(name)
        if isinstance(choice, dict) or choice == "required":
            return True
    return False
