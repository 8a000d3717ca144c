"""Holds a request to what its profile lets it set, and to its token's bounds, whichever door it came by."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from api.requests.turn_request import TurnRequest
from common.errors import BadRequest, Forbidden
from common.settings import Settings
from common.tenants.profiles import DEFAULT_PROFILE, Profile
from common.tenants.tenant import Tenant
from common.turn.overrides import EVERY, Overrides, changes
from common.turn.policy import Policy

_CODE = "override_refused"
_SYSTEM = ("system", "developer")

# What model servers of any dialect take beside the messages, by what it sets.
_PROMPTS = frozenset(
    ("system", "system_prompt", "systemPrompt", "system_instruction", "systemInstruction", "instructions",
     "prompt_id", "prompt_variables", "prompt_template", "chat_template")
)  # fmt: skip
_MODELS = frozenset(
    ("models", "model_id", "modelUri", "fallbacks", "fallback_models", "route", "provider", "providers",
     "preset", "base_url", "api_base", "api_key", "api_version", "custom_llm_provider", "mock_response",
     "extra_body", "extra_headers", "extra_query", "headers", "guardrails", "context_window_fallback_dict")
)  # fmt: skip
_TOOLS = frozenset(
    ("tools", "tool_choice", "functions", "function_call", "parallel_tool_calls", "web_search_options",
     "plugins", "mcp_servers", "toolConfig", "tool_config", "enable_search", "search_parameters")
)  # fmt: skip
_LENGTHS = ("max_completion_tokens", "max_tokens")
_ANY_LENGTH = frozenset(  # in small letters alone, as servers of any kind call it, wherever it stands
    ("maxtokens", "maxcompletiontokens", "maxoutputtokens", "maxnewtokens", "maxtokenstosample", "maxlength",
     "maxgenlen", "mintokens", "numpredict", "npredict", "budgettokens", "thinkingbudget")
)  # fmt: skip
_NO_LENGTHS = ("messages", "tools", "functions", "response_format", "metadata")
_COUNTS = ("n", "best_of", "candidate_count", "num_return_sequences")


def layers(request: TurnRequest, profile: Profile) -> tuple[Overrides, ...]:
    """Return all that bounds a request: each must allow what it sets.

    A token's has the key's bounds, and its own or those that the profile has for tokens.
    """
    token = request.token
    return (profile.overrides, token.overrides or profile.token_overrides) if token else (profile.overrides,)


def pick(tenant: Tenant, request: TurnRequest) -> tuple[Profile, str]:
    """The profile that a request means, and the full's model. Raises NotFound, Forbidden.

    A token's is the one that it was made for, else the default one.
    """
    token = request.token
    asked = None if request.server else request.model
    if token is None:
        profile, model = tenant.pick(asked)
    else:
        profile, model = tenant.pick(token.profile)
        names = (None, "", profile.name, DEFAULT_PROFILE)
        if (
            asked not in names
            and all(each.model for each in layers(request, profile))
            and tenant.passes_models
        ):
            model = asked or model
        elif asked not in names:
            raise _refused("model", "the token is for another profile")
    bounds = layers(request, profile)
    if request.server:
        if not all(each.server for each in bounds):
            raise _refused("provider", "a request may not name a server of its own")
        return profile, request.model or model
    if model != profile.full.model and not all(each.model for each in bounds):
        raise _refused("model", "a request may not name another model")
    return profile, model


def hold(request: TurnRequest, profile: Profile, settings: Settings) -> TurnRequest:
    """The request as far as it may be put to the models. Raises Forbidden, BadRequest."""
    bounds = layers(request, profile)
    _check_wishes(request, profile, bounds)
    _check_knowledge(request, settings, bounds)
    body = {name: value for name, value in request.body.items() if _is_said(name, value, bounds)}
    for name in body:
        if name != "messages" and not all(_may_name(each, name) for each in bounds):
            raise _refused(name, "a request may not set this")
    body["messages"] = _messages(body["messages"], bounds)
    _bound_counts(body, bounds)
    return replace(request, body=_bound_length(body, bounds))


def hold_policy(before: Policy, after: Policy, bounds: Iterable[Overrides]) -> None:
    """Raises Forbidden where a request changes of the profile's policy what it may not."""
    for path, old, new in changes(before, after):
        for each in bounds:
            lower = path == "deadline_ms" and 0 < new <= each.max_deadline_ms
            if not (lower or each.may_set(path, old, new)):
                raise _refused(f"fast_reply.policy.{path}", "a request may not set this")


def system_mode(bounds: Iterable[Overrides]) -> str:
    """Return what becomes of system messages that don't come from the profile."""
    order = ("refuse", "drop", "after", "instead")
    return min((each.system for each in bounds), key=order.index)


def _check_wishes(request: TurnRequest, profile: Profile, bounds: tuple[Overrides, ...]) -> None:
    usual = {"on": True, "off": False}.get(profile.memory.mode)
    if request.memory not in (None, usual) and not all(each.memory for each in bounds):
        raise _refused("fast_reply.memory", "a request may not set this")
    drafts = profile.draft is not None and profile.drafts and profile.policy.draft.when != "never"
    if request.drafting not in (None, drafts) and not all(each.drafting for each in bounds):
        raise _refused("useProgressiveResponse", "a request may not set this")


def _check_knowledge(request: TurnRequest, settings: Settings, bounds: tuple[Overrides, ...]) -> None:
    if request.knowledge is None:
        return
    collection = request.knowledge.collection or settings.knowledge_collection
    for each in bounds:
        if not {EVERY, collection} & set(each.collections):
            raise _refused("fast_reply.knowledge.collection", "a request may not ask this collection")


def _is_said(name: str, value: Any, bounds: tuple[Overrides, ...]) -> bool:
    """Return True if a field sets anything. Where all may be set it is passed on as it came."""
    if name == "messages" or all(_may_name(each, name) for each in bounds):
        return True
    return not (value is None or value == [] or value == {} or (name in _COUNTS and value == 1))


def _may_name(bound: Overrides, name: str) -> bool:
    if name in bound.params:
        return True
    if name in _TOOLS:
        return bound.tools
    if name in _PROMPTS:
        return EVERY in bound.params and bound.system == "instead"
    if name in _MODELS:
        return EVERY in bound.params and bound.model
    return EVERY in bound.params


def _messages(messages: list[dict[str, Any]], bounds: tuple[Overrides, ...]) -> list[dict[str, Any]]:
    mode = system_mode(bounds)
    if mode in ("after", "instead"):
        return messages
    others = [message for message in messages if message.get("role") not in _SYSTEM]
    if mode == "refuse" and len(others) < len(messages):
        index = next(at for at, each in enumerate(messages) if each.get("role") in _SYSTEM)
        raise _refused(f"messages.{index}.role", "a request may not bring a system message")
    if not others:
        raise BadRequest("messages: nobody says anything", code="invalid_value", param="messages")
    return others


def _bound_counts(body: dict[str, Any], bounds: tuple[Overrides, ...]) -> None:
    most = min(each.max_n for each in bounds)
    for name in _COUNTS if most < 128 else ():
        value = body.get(name)
        if value is not None and not (_is_count(value) and value <= most):
            raise _over(name, most)


def _bound_length(body: dict[str, Any], bounds: tuple[Overrides, ...]) -> dict[str, Any]:
    """The body with the longest answer that is allowed, where it names none. Raises BadRequest."""
    most = min((each.max_tokens for each in bounds if each.max_tokens), default=0)
    if not most:
        return body
    for path, value in _lengths(body):
        if not (_is_count(value) and 0 <= value <= most):
            raise _over(path, most)
    named = any(body.get(name) is not None for name in _LENGTHS)
    return body if named else {**body, "max_tokens": most}


def _lengths(body: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield all fields that name an answer's length, also deep inside a field, with their paths."""
    waiting = [(name, name, value) for name, value in body.items() if name not in _NO_LENGTHS]
    while waiting:
        path, name, value = waiting.pop()
        if value is not None and "".join(filter(str.isalpha, name.lower())) in _ANY_LENGTH:
            yield path, value
        elif isinstance(value, dict):
            waiting += [(f"{path[:200]}.{each}", each, part) for each, part in value.items()]
        elif isinstance(value, list):
            waiting += [(path, "", part) for part in value if isinstance(part, dict | list)]


def _is_count(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value == value


def _over(name: str, most: int) -> BadRequest:
    return BadRequest(f"{name}: {most} at most", code="over_ceiling", param=name)


def _refused(param: str, why: str) -> Forbidden:
    return Forbidden(f"{param}: {why}", code=_CODE, param=param)
