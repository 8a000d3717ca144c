"""Finds the usage of an answer, wherever a server tells it and whatever it calls it."""

from typing import Any

from workers.providers.values import count_in, dict_in

_PROMPT = [
    "prompt_tokens",
    "input_tokens",
    "promptTokenCount",
    "promptTokens",
    "inputTokenCount",
    "inputTokens",
    "inputTextTokens",
    "prompt_eval_count",
    "prompt_n",
]
_COMPLETION = [
    "completion_tokens",
    "output_tokens",
    "candidatesTokenCount",
    "completionTokens",
    "outputTokenCount",
    "outputTokens",
    "eval_count",
    "predicted_n",
]
_TOTAL = ["total_tokens", "totalTokenCount", "totalTokens"]
_CACHED = [
    "cached_tokens",
    "prompt_cache_hit_tokens",
    "cachedContentTokenCount",
    "cache_read_input_tokens",
    "num_cached_tokens",
    "cache_n",
]
_REASONING = ["reasoning_tokens", "thoughtsTokenCount"]
_PROMPT_DETAILS = ("prompt_tokens_details", "input_tokens_details")
_COMPLETION_DETAILS = ("completion_tokens_details", "output_tokens_details")
_PLACES = (
    "usage",
    "usageMetadata",
    "usage_metadata",
    "token_usage",
    "amazon-bedrock-invocationMetrics",
    "timings",
)
_INSIDE = ("x_groq", "meta", "message")
_TELLING = frozenset((*_PLACES, *_INSIDE, "eval_count"))


def cost_in(chunk: dict[str, Any], deep: bool = True) -> dict[str, Any] | None:
    """Return a chunk's usage under OpenAI's names beside its own, or None if it has none."""
    if _TELLING.isdisjoint(chunk):  # for each token: it must be quick
        return None
    found = [read_cost(chunk.get(place)) for place in _PLACES]
    if "eval_count" in chunk:  # Ollama's own
        found.append(read_cost({key: chunk.get(key) for key in ("prompt_eval_count", "eval_count")}))
    if deep:
        found += [cost_in(dict_in(chunk.get(place)), deep=False) for place in _INSIDE]
    return next(filter(None, found), None)


def read_cost(usage: Any) -> dict[str, Any] | None:
    """Return a usage with OpenAI's names for its counts, or None if it has no count."""
    if not isinstance(usage, dict):
        return None
    counts = {
        name: count
        for name, names in (
            ("prompt_tokens", _PROMPT),
            ("completion_tokens", _COMPLETION),
            ("total_tokens", _TOTAL),
        )
        if (count := _first(usage, names)) is not None
    }
    if not any(counts.values()):
        return None
    if "thoughtsTokenCount" in usage and "completion_tokens" not in usage:
        counts["completion_tokens"] = counts.get("completion_tokens", 0) + count_in(
            usage["thoughtsTokenCount"]
        )
    told = {
        key: value
        for key, value in usage.items()
        if key not in ("prompt_tokens", "completion_tokens", "total_tokens")
    }
    cost = {**told, **counts}
    if len(counts) == 2 and "total_tokens" not in counts:
        cost["total_tokens"] = counts["prompt_tokens"] + counts["completion_tokens"]
    _detail(cost, "prompt_tokens_details", "cached_tokens", _PROMPT_DETAILS, _CACHED)
    _detail(cost, "completion_tokens_details", "reasoning_tokens", _COMPLETION_DETAILS, _REASONING)
    return cost


def _detail(cost: dict[str, Any], place: str, name: str, places: tuple[str, ...], names: list[str]) -> None:
    """Set a count where OpenAI has it."""
    for where in (*(dict_in(cost.get(p)) for p in places), cost):
        if count := _first(where, names):
            cost[place] = {**dict_in(cost.get(place)), name: count}
            return


def _first(usage: dict[str, Any], names: list[str]) -> int | None:
    """Return the first of these fields that holds a count."""
    for name in names:
        value = usage.get(name)
        if count := count_in(value):
            return count
        if value == 0 and not isinstance(value, bool):
            return 0
    return None
