"""Usage: what turns count for, by tenant, profile and day in UTC. Settlement writes it, the doors read it."""

import re
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from urllib.parse import quote, unquote

from common.records.recording import RecordedTurn
from common.records.replay import RecordedReplay, replay_as_recorded
from common.store import keys
from common.store.redis import Stores
from common.turn.cost import Cost, Costs, is_going
from common.turn.version import UnknownFold

Counts = dict[str, int]
"""Counters by name; those that are 0 may be left out."""

TOKENS = (
    "draft_prompt_tokens",
    "draft_completion_tokens",
    "full_prompt_tokens",
    "full_completion_tokens",
    "deleted_tokens",
)
"""The counters whose sum is what a turn has used."""

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

FAILURE = "failure:"
"""The prefix of counters of turns whose full failed; the error code follows."""

_CODE = re.compile(r"[a-z0-9_]{1,64}", re.ASCII)
_PAGE = 100


@dataclass(frozen=True, slots=True)
class Used:
    """The use of one profile on one day."""

    day: date
    profile: str
    counts: Counts


class Account:
    """The account of a turn that has ended. If another version folded it, what was heard of it is unknown."""

    def __init__(self, turn: RecordedTurn) -> None:
        self._turn = turn
        self._folded: RecordedReplay | None = None
        self._costs = _costs_of(turn)
        with suppress(UnknownFold):
            self._folded = replay_as_recorded(turn)
            self._costs = self._folded.fold.costs  # as reported to its client

    @property
    def waits(self) -> bool:
        """Return True if a lane has not reported its cost yet."""
        return is_going(self._costs.lanes)

    def counts(self) -> Counts:
        """Return the counters that the turn adds to its tenant's usage."""
        costs, released = self._costs.of_lanes(), self._released()
        counts = {name: int(is_so) for name, is_so in self._happened(released).items()}
        counts["drafted"] = int("draft" in costs)
        counts["estimated_tokens"] = sum(cost.estimated for cost in costs.values())
        if code := self._failed_by():
            counts[FAILURE + code] = 1
        for lane, cost in costs.items():
            counts[f"{lane}_prompt_tokens"] = cost.prompt
            counts[f"{lane}_completion_tokens"] = cost.completion
            if self._folded:
                calls = lane == "full" and self._calls
                counts[f"{lane}_wasted_tokens"] = _wasted(cost, released[lane], calls=calls)
        return counts

    def _happened(self, released: Counter[str]) -> dict[str, bool]:
        turn, ended, folded = self._turn, self._turn.ended, self._folded
        reason = ended.reason if ended else ""
        draft_heard, full_heard = released["draft"] > 0, released["full"] > 0 or self._calls
        stopped = reason in ("interrupted", "superseded")
        return {
            "turns": True,
            "failed": reason == "error",
            "interrupted": stopped,
            "degraded": ended is not None and ended.degraded,
            "hand_overs": folded is not None and folded.fold.handover_ms is not None,
            "draft_wins": draft_heard,  # once the full was heard, no draft is
            "draft_only": draft_heard and not (full_heard or stopped or reason == "error"),
            "spoken": bool(turn.started.speech),
        }

    def _failed_by(self) -> str:
        """Return the error code of the turn, or of its full if the draft stood in for it; empty if none
        failed.
        """
        ended, full = self._turn.ended, self._folded.fold.full.finished if self._folded else None
        error = ended.error if ended else None
        if error is None and ended and (ended.degraded or ended.reason == "error") and full:
            error = full.error
        code = str((error or {}).get("code") or "")
        return code if _CODE.fullmatch(code) else "other" if error else ""

    @property
    def _calls(self) -> bool:
        return self._folded is not None and bool(self._folded.called)

    def _released(self) -> Counter[str]:
        """Return how many characters of each lane were released."""
        released = Counter[str]()
        for piece in self._folded.said if self._folded else ():
            released[piece.lane] += len(piece.text)
        return released


def _wasted(cost: Cost, released: int, *, calls: bool) -> int:
    """Return how many tokens of a completion nobody heard: the same share as of the lane's text."""
    if cost.chars:
        return round(cost.completion * (1 - min(1, released / cost.chars)))
    return 0 if calls else cost.completion


def tokens(counts: Counts) -> int:
    """Return the sum of all tokens in these counters."""
    return sum(counts.get(name, 0) for name in TOKENS)


def field(profile: str, counter: str) -> str:
    """Return the name of a profile's counter in the day's hash."""
    return f"{quote(profile, safe='')}|{counter}"


def day_of(ms: int) -> str:
    """Return the day (UTC) of a time, as keys spell it."""
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y%m%d")


async def read_usage(stores: Stores, tenant: str, first: date, last: date) -> list[Used]:
    """Return a tenant's usage between two days, both included, in order. Raises StoreUnavailable."""
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
        if counter in COUNTERS or counter.startswith(FAILURE):
            found.setdefault(unquote(profile), {})[counter] = int(number)
    return found


def _costs_of(turn: RecordedTurn) -> Costs:
    """Return the costs of a recorded turn, from its log."""
    costs = Costs(turn.started)
    for _, event in turn.events:
        if event.turn == turn.started.turn:
            costs.count(event)
    return costs
