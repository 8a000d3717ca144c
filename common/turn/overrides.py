"""The allow-lists of what a request may set over its profile: one for keys, one for browser tokens."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictBool

from common.turn.policy import Policy

NEVER = frozenset({"draft.guard_rules"})
"""What no request sets, whatever a profile says: patterns are run by everybody's processes."""

PROTECTED = frozenset(
    {
        "draft.when",
        "draft.guard",
        "draft.off_with_tools",
        "draft.off_in_states",
        "draft.off_if_metadata",
        "deadline_ms",
        "max_chars",
    }
)
"""Fields of a policy that protect or bound: a request loosens one only where it stands in the list itself."""

EVERY = "*"


def _fields_of_policy() -> Iterator[str]:
    for name, field in Policy.model_fields.items():
        yield name
        part = field.annotation
        if isinstance(part, type) and issubclass(part, BaseModel):
            yield from (f"{name}.{each}" for each in part.model_fields)


_PATHS = frozenset((EVERY, *_fields_of_policy())) - NEVER


def _known(path: str) -> str:
    if path not in _PATHS:
        raise ValueError("a request can't set this of a policy")
    return path


PolicyPath = Annotated[str, Field(max_length=64), AfterValidator(_known)]
Param = Annotated[str, Field(min_length=1, max_length=64)]
Collection = Annotated[str, Field(min_length=1, max_length=64)]
_Most = Annotated[int, Field(strict=True, ge=0, le=10**12)]


class Overrides(BaseModel):
    """The settings that a request with this key may change. `docs/tenants.md` explains every field."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    policy: Annotated[tuple[PolicyPath, ...], Field(max_length=64)] = (EVERY,)
    system: Literal["refuse", "drop", "after", "instead"] = "after"
    params: Annotated[tuple[Param, ...], Field(max_length=64)] = (EVERY,)
    tools: StrictBool = True
    model: StrictBool = False
    server: StrictBool = True
    drafting: StrictBool = True
    memory: StrictBool = True
    collections: Annotated[tuple[Collection, ...], Field(max_length=64)] = (EVERY,)
    max_tokens: _Most = 0
    max_n: Annotated[int, Field(strict=True, ge=1, le=128)] = 128
    max_deadline_ms: _Most = 0
    stricter: StrictBool = True

    def may_set(self, path: str, before: Any, after: Any) -> bool:
        """Return True if a request may change a policy's field, by its path, from one value to another."""
        if path in NEVER:
            return False
        if path in PROTECTED and not _is_stricter(path, before, after):
            return path in self.policy
        if path in PROTECTED and self.stricter:
            return True
        return bool({EVERY, path, path.partition(".")[0]} & set(self.policy))


class TokenOverrides(Overrides):
    """The settings that a request with a browser token may change. Others are refused."""

    policy: Annotated[tuple[PolicyPath, ...], Field(max_length=64)] = ()
    system: Literal["refuse", "drop", "after", "instead"] = "refuse"
    params: Annotated[tuple[Param, ...], Field(max_length=64)] = ()
    tools: StrictBool = False
    server: StrictBool = False
    drafting: StrictBool = False
    memory: StrictBool = False
    collections: Annotated[tuple[Collection, ...], Field(max_length=64)] = ()
    max_n: Annotated[int, Field(strict=True, ge=1, le=128)] = 1
    stricter: StrictBool = False


EVERYTHING = Overrides(policy=(EVERY, *sorted(PROTECTED)), system="instead", model=True)
"""What whoever may use the environment's own profile may set, where the environment doesn't say."""


def changes(before: Policy, after: Policy) -> Iterator[tuple[str, Any, Any]]:
    """The fields in which two policies differ, by their paths, with both values."""
    old, new = before.model_dump(), after.model_dump()
    for name, value in new.items():
        if isinstance(value, dict) and isinstance(old[name], dict):
            yield from (
                (f"{name}.{field}", old[name].get(field), each)
                for field, each in value.items()
                if each != old[name].get(field)
            )
        elif value != old[name]:
            yield name, old[name], value


def _is_stricter(path: str, before: Any, after: Any) -> bool:
    """Return True if a change only adds protection, or lowers a bound."""
    match path:
        case "draft.when":
            return bool(before != "never")
        case "draft.guard":
            return bool(after)
        case "draft.off_with_tools" | "draft.off_in_states":
            return set(before) <= set(after)
        case "draft.off_if_metadata":
            return all(set(values) <= set(after.get(name, ())) for name, values in before.items())
        case _:
            return bool(after <= before)
