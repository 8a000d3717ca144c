"""The settings that are tried on recorded turns, and the outcome of each."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import orjson
from pydantic import ValidationError

from cli.whatif.tally import Tally, figures_of
from common.records.recording import RecordedTurn, TurnSpan
from common.records.replay import replay_as_recorded, replay_under
from common.turn.policy import Policy
from common.turn.version import UnknownFold

_MOST = 500


class WrongCase(ValueError):
    """A setting that is not valid in a policy."""


@dataclass(frozen=True, slots=True)
class Case:
    """Changes of a recorded policy, by the dotted names of its settings."""

    changes: dict[str, Any]

    def __str__(self) -> str:
        return "  ".join(f"{name}={value}" for name, value in self.values().items()) or "unchanged"

    def values(self) -> dict[str, str]:
        """The changes as they are written."""
        return {name: _plain(value) for name, value in self.changes.items()}

    def apply(self, policy: Policy) -> Policy:
        """Return the policy with these changes. Raises WrongCase."""
        if not self.changes:
            return policy
        changed = policy.model_dump()
        for name, value in self.changes.items():
            *path, last = name.split(".")
            part = changed
            for step in path:
                part = part.get(step, {})
                if not isinstance(part, dict):
                    raise WrongCase(f"{name} is no setting of a policy")
            part[last] = value
            if not any(name == key or name.startswith(f"{key}.") for key in _SETTINGS):
                raise WrongCase(f"{name} is no setting of a policy")
        try:
            return Policy.model_validate(changed)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            raise WrongCase(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None


def _settings() -> list[str]:
    names = []
    for name, value in Policy().model_dump().items():
        names += [f"{name}.{key}" for key in value] if isinstance(value, dict) else [name]
    return names


_SETTINGS = _settings()


def read_cases(sets: list[str], sweeps: list[str]) -> list[Case]:
    """Return all combinations of the swept values, each with the fixed changes. Raises WrongCase."""
    fixed = dict(_read(text) for text in sets)
    grid = {name: [_value(part) for part in str(value).split(",")] for name, value in map(_split, sweeps)}
    cases = [Case(fixed | dict(zip(grid, values, strict=True))) for values in product(*grid.values())]
    if len(cases) > _MOST:
        raise WrongCase(f"{len(cases)} combinations are more than {_MOST}")
    for case in cases:
        case.apply(Policy())
    return cases


def _split(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not sign or not name:
        raise WrongCase(f"{text} is not name=value")
    return name.strip(), value.strip()


def _read(text: str) -> tuple[str, Any]:
    name, value = _split(text)
    return name, _value(value)


def _value(text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()


@dataclass(slots=True)
class Outcome:
    """The outcome of one case."""

    after: Tally = field(default_factory=Tally)  # over the turns with a known outcome
    before: Tally = field(default_factory=Tally)  # over the same turns
    shared: Tally = field(default_factory=Tally)  # over those that are known in all cases
    unknown: dict[str, str] = field(default_factory=dict)  # by turn, why

    def merge(self, other: "Outcome") -> None:
        """Count another's turns."""
        self.after.merge(other.after)
        self.before.merge(other.before)
        self.shared.merge(other.shared)
        self.unknown.update(other.unknown)


@dataclass(slots=True)
class Report:
    """The outcomes of all cases."""

    outcomes: list[Outcome]
    before: Tally = field(default_factory=Tally)
    excluded: dict[str, str] = field(
        default_factory=dict
    )  # by turn, why even the recorded policy can't be folded
    broken: int = 0  # lines

    def merge(self, other: "Report") -> None:
        """Count another's turns."""
        self.before.merge(other.before)
        self.excluded.update(other.excluded)
        self.broken += other.broken
        for own, theirs in zip(self.outcomes, other.outcomes, strict=True):
            own.merge(theirs)

    @property
    def drifted(self) -> int:
        """Turns that this version folds otherwise than they were heard."""
        return Counter(reason.partition(":")[0] for reason in self.excluded.values())["drift"]


def empty(cases: list[Case]) -> Report:
    """A report of nothing yet."""
    return Report([Outcome() for _ in cases])


def try_part(part: TurnSpan, cases: list[Case]) -> Report:
    """Try the cases on a part of a file. Raises OSError."""
    report = try_turns(part.turns(), cases)
    report.broken = part.broken
    return report


def try_turns(turns: Iterable[RecordedTurn], cases: list[Case]) -> Report:
    """Try the cases on these turns."""
    report = empty(cases)
    for turn in turns:
        _try_turn(turn, cases, report)
    return report


def _try_turn(turn: RecordedTurn, cases: list[Case], report: Report) -> None:
    name = turn.started.turn
    try:
        recorded = replay_as_recorded(turn)
    except UnknownFold:
        report.excluded[name] = "another version folded it"
        return
    if recorded.unknown:
        report.excluded[name] = recorded.unknown
        return
    before = figures_of(recorded)
    report.before.add(before)
    known = []
    for case, outcome in zip(cases, report.outcomes, strict=True):
        folded = replay_under(recorded, case.apply(recorded.policy))
        if folded.unknown:
            outcome.unknown[name] = folded.unknown
            continue
        after = before if folded is recorded else figures_of(folded)
        outcome.after.add(after)
        outcome.before.add(before)
        known.append((outcome, after))
    if len(known) == len(cases):
        for outcome, after in known:
            outcome.shared.add(after)
