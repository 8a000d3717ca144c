"""Usage: what turns count for, by tenant, profile and day in UTC. Kept by the settler, read by the doors."""

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from urllib.parse import quote, unquote

from common import keys
from common.fold import UnknownFold
from common.recording import RecordedTurn
from common.refold import replay
from common.stores import Stores
from common.turn_cost import Cost, costs_of

Counts = dict[str, int]
"""Counters by name; what is 0 may be left out."""

TOKENS = (
    "draft_prompt_tokens",
    "draft_completion_tokens",
    "full_prompt_tokens",
    "full_completion_tokens",
    "deleted_tokens",
)
"""The counters that make up what a turn has used, together."""

COUNTERS = (
    "turns",
    "failed",
    "interrupted",
    "degraded",
    "drafted",
    "hand_overs",
    "draft_wins",
    "draft_only",
    "spoken",
    *TOKENS,
    "draft_wasted_tokens",
    "full_wasted_tokens",
    "estimated_tokens",
)
"""Every counter. `docs/tenants.md` says what each counts."""

_PAGE = 100


@dataclass(frozen=True, slots=True)
class Used:
    """What a profile was used for on a day."""

    day: date
    profile: str
    counts: Counts


def count_turn(turn: RecordedTurn) -> Counts:
    """What a turn that has ended counts for. What was heard of another fold's isn't known."""
    try:
        folded = replay(turn)
    except UnknownFold:
        folded = None
    costs, ended = costs_of(turn), turn.ended
    released = Counter[str]()
    for piece in folded.said if folded else ():
        released[piece.lane] += len(piece.text)
    calls = bool(folded and folded.called)
    failed = ended is not None and ended.reason == "error"
    stopped = ended is not None and ended.reason in ("interrupted", "superseded")
    stands = released["draft"] and not (released["full"] or calls)
    happened = {
        "turns": True,
        "failed": failed,
        "interrupted": stopped,
        "degraded": ended is not None and ended.degraded,
        "drafted": "draft" in costs,
        "hand_overs": folded is not None and folded.fold.handed_over_ms is not None,
        "draft_wins": released["draft"],  # once the full was heard, no draft is
        "draft_only": stands and not failed and not stopped,
        "spoken": turn.started.speech,
    }
    counts = {name: int(bool(is_so)) for name, is_so in happened.items()}
    counts["estimated_tokens"] = sum(cost.estimated for cost in costs.values())
    for lane, cost in costs.items():
        counts[f"{lane}_prompt_tokens"] = cost.prompt
        counts[f"{lane}_completion_tokens"] = cost.completion
        if folded:
            counts[f"{lane}_wasted_tokens"] = _wasted(cost, released[lane], calls=calls and lane == "full")
    return counts


def _wasted(cost: Cost, released: int, *, calls: bool) -> int:
    """How many tokens of a completion nobody heard: as large a share as of the lane's text."""
    if cost.chars:
        return round(cost.completion * (1 - min(1, released / cost.chars)))
    return 0 if calls else cost.completion


def tokens(counts: Counts) -> int:
    """All tokens of these counts."""
    return sum(counts.get(name, 0) for name in TOKENS)


def field(profile: str, counter: str) -> str:
    """The name of a profile's counter in the day's hash."""
    return f"{quote(profile, safe='')}|{counter}"


def day_of(ms: int) -> str:
    """The day of a time, as keys have it."""
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y%m%d")


async def read_usage(stores: Stores, tenant: str, first: date, last: date) -> list[Used]:
    """A tenant's usage from one day to another, both included, in order. Raises STORE_ERRORS."""
    days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
    used = []
    for begin in range(0, len(days), _PAGE):
        page = days[begin : begin + _PAGE]
        pipe = stores.queue.pipeline(transaction=False)
        for day in page:
            pipe.hgetall(keys.usage(tenant, day.isoformat().replace("-", "")))
        for day, counted in zip(page, await pipe.execute(), strict=True):
            used += [Used(day, profile, counts) for profile, counts in sorted(_by_profile(counted).items())]
    return used


def _by_profile(counted: dict[bytes, bytes]) -> dict[str, Counts]:
    found: dict[str, Counts] = {}
    for name, number in counted.items():
        profile, _, counter = name.decode().rpartition("|")
        if counter in COUNTERS:
            found.setdefault(unquote(profile), {})[counter] = int(number)
    return found
