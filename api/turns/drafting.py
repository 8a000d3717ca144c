"""Decides if a turn is drafted, and says why not."""

from typing import Any

from api.requests.turn_request import TurnRequest
from common.tenants.profiles import Profile
from common.turn.policy import DraftPolicy, Policy

SHED = "shed"
"""The reason where the workers are too busy for drafts."""


def why_no_draft(profile: Profile, policy: Policy, request: TurnRequest) -> str:
    """The reason for the full speaking alone, in a few words; empty where a draft may speak first."""
    body = request.body
    if profile.draft is None:
        return "no small model"
    if request.drafting is False:
        return "the request says so"
    if request.drafting is None and not profile.drafts:
        return "the profile says so"
    if policy.draft.when == "never" and not request.drafting:
        return "the policy says so"
    return form_forbids(body) or _rule_forbids(policy.draft, request)


def form_forbids(body: dict[str, Any]) -> str:
    """Why prose that is not the full's would break the answer; empty where it would not."""
    if not body["messages"] or body["messages"][-1].get("role") != "user":
        return "the last message is not the user's"
    return prose_breaks(body) or ("a forced tool" if _forces_tool(body) else "")


def prose_breaks(body: dict[str, Any]) -> str:
    """Why words beside the full's would break the answer, be it a waiting phrase; empty where they don't."""
    if (body.get("n") or 1) > 1:
        return "several choices"
    if body.get("logprobs"):
        return "logprobs"
    if (body.get("response_format") or {}).get("type", "text") != "text":
        return "response_format"
    return ""


def _forces_tool(body: dict[str, Any]) -> bool:
    for name in ("tool_choice", "function_call"):
        choice = body.get(name)
        if isinstance(choice, dict) or choice == "required":
            return True
    return False


def _rule_forbids(policy: DraftPolicy, request: TurnRequest) -> str:
    """Return True if a rule of the tenant forbids the draft: by tools, by a call's state, by metadata."""
    offered = {_name_of(tool) for tool in request.body.get("tools") or ()}
    if offered and ("*" in policy.off_with_tools or offered & set(policy.off_with_tools)):
        return "a tool is offered that rules it out"
    if request.state and request.state in policy.off_in_states:
        return "the call's state rules it out"
    metadata = request.body.get("metadata")
    for name, values in policy.off_if_metadata.items():
        if isinstance(metadata, dict) and str(metadata.get(name)) in values:
            return "the request's metadata rules it out"
    return ""


def _name_of(tool: dict[str, Any]) -> str:
    """A tool's name: a function's, a custom tool's, or as newer clients write it, flat."""
    named = tool.get("function") or tool.get("custom") or tool
    return str(named.get("name")) if isinstance(named, dict) else ""
