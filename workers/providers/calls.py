"""Tool calls as servers stream them, told apart and numbered from 0 in the order in which they begin.

Servers count calls from 0, from 1, with gaps, all as 0 or not at all; they give ids once, in each piece,
or never; they send a name whole, in pieces or again and again, and arguments as a text or as an object.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from common.turn.lane_state import join_more
from workers.providers.base import ToolCallDelta
from workers.providers.exchange import garbled, made_up_id
from workers.providers.values import as_json, dict_in, text_in

_MOST_NAME = 4_096
_MOST_FOLLOWED = 65_536  # longer arguments are no longer checked for being whole
_OWN = ("index", "id", "function", "custom", "type")  # of a call, what is read here
_MOST_REST = 1_048_576


@dataclass(slots=True)
class _Call:
    """One call as far as it has come. It is passed on once its name is complete: when its arguments begin."""

    number: int
    place: int | None
    id: str = ""
    name: str = ""
    told: bool = False
    begun: bool = False  # of its arguments something has come
    whole: bool = False  # they are a whole object
    untold: dict[str, Any] = field(default_factory=dict)
    rest: dict[str, Any] = field(default_factory=dict)
    rest_size: int = 0
    _depth: int = 0
    _followed: int = 0
    _quoted: bool = False
    _escaped: bool = False

    def tell(self, arguments: str) -> ToolCallDelta:
        """Return a part of the call; the first one also has its id and its name."""
        rest, self.untold = self.untold, {}
        if self.told:
            return ToolCallDelta(self.number, "", "", arguments, rest)
        self.told, self.id = True, self.id or made_up_id()
        return ToolCallDelta(self.number, self.id, self.name, arguments, rest)

    def add_name(self, name: str) -> None:
        """Add a name: whole, the next piece of it, or the known beginning with more behind it."""
        if self.told or name == self.name:
            return
        self.name = name if name.startswith(self.name) else self.name + name
        if len(self.name) > _MOST_NAME:
            raise garbled()

    def follow(self, arguments: str) -> None:
        """Track the brackets of the arguments, to see when they are complete."""
        self._followed += len(arguments)
        if self._followed > _MOST_FOLLOWED:
            return
        for char in arguments:
            if self._escaped:
                self._escaped = False
            elif self._quoted:
                self._escaped, self._quoted = char == "\\", char != '"'
            elif char == '"':
                self._quoted = True
            elif char in "{[":
                self._depth += 1
            elif char in "}]":
                self._depth -= 1
                self.whole = self._depth <= 0


class Calls:
    """The calls of one answer."""

    def __init__(self) -> None:
        self._calls: list[_Call] = []
        self._by_place: dict[int | None, _Call] = {}
        self._by_id: dict[str, _Call] = {}

    def __len__(self) -> int:
        return len(self._calls)

    def read(self, parts: list[Any]) -> Iterator[ToolCallDelta]:
        """Yield the parts in one delta's calls.

        Raises UpstreamError, or AttributeError on a malformed one.
        """
        named: set[int] = set()
        for part in parts:
            if part is None:
                continue
            kind = (
                "custom"
                if part.get("type") == "custom" or isinstance(part.get("custom"), dict)
                else "function"
            )
            body = {**dict_in(part.get(kind))}
            flat = () if body else ("name", "arguments", "parameters", "input")
            body |= {key: part[key] for key in flat if part.get(key) is not None}
            name, given = text_in(body.pop("name", None)), _arguments(body, kind)
            call_id = text_in(part.get("id"))
            rest = _rest(part, kind, body, flat)
            if not (name or call_id or rest or given not in (None, "")):
                continue
            call = self._find(_place(part.get("index")), call_id, name, named)
            if name:
                named.add(call.number)
                call.add_name(name)
            yield from self._tell(call, given, rest)

    def _tell(self, call: _Call, given: Any, rest: dict[str, Any]) -> Iterator[ToolCallDelta]:
        if new := _new_in(rest, call.rest):
            join_more(call.rest, new)
            join_more(call.untold, new)
            call.rest_size += len(as_json(new))
            if call.rest_size > _MOST_REST:
                raise garbled()
        if given is None or given == "":
            if new and call.told:
                yield call.tell("")
        elif call.whole:
            pass  # some servers repeat it
        elif isinstance(given, str):
            if call.rest.get("type") != "custom":
                call.follow(given)
            call.begun = True
            yield call.tell(given)
        elif not call.begun:
            call.begun = call.whole = True
            yield call.tell(as_json(given))

    def end(self) -> Iterator[ToolCallDelta]:
        """Return what is still untold of calls without arguments."""
        for call in self._calls:
            if not call.told or call.untold:
                yield call.tell("")

    def _find(self, place: int | None, call_id: str, name: str, named: set[int]) -> _Call:
        """Return the call that a part belongs to, or begin a new one."""
        last = self._calls[-1] if self._calls else None
        if same := self._by_id.get(call_id):
            # Where one id is given to all, it is a whole call's place or another name that tells of the next.
            if not (name and same.whole and (place != same.place or name != same.name)):
                return same
            self._by_id[call_id] = self._begin(place, "")
            return self._by_id[call_id]
        known = self._by_place.get(place) if place is not None else last
        if known is None:
            goes_on = last is not None and not (call_id or name or last.whole)  # counted otherwise than begun
            return last if goes_on and last else self._begin(place, call_id)
        if call_id:
            if not known.id and (not name or known.name in ("", name)):
                known.id = call_id
                self._by_id[call_id] = known
                return known
            return self._begin(place, call_id) if name else known  # some have a new id for each piece
        is_new = known.number in named or known.whole or (known.begun and name != known.name)
        return self._begin(place, "") if name and is_new else known

    def _begin(self, place: int | None, call_id: str) -> _Call:
        call = _Call(len(self._calls), place, call_id)
        self._calls.append(call)
        self._by_place[place] = call
        if call_id:
            self._by_id[call_id] = call
        return call


def _arguments(body: dict[str, Any], kind: str) -> Any:
    names = ("input", "arguments") if kind == "custom" else ("arguments", "parameters")
    given = [body.pop(name, None) for name in names]
    return next((value for value in given if value is not None), None)


def _rest(part: dict[str, Any], kind: str, body: dict[str, Any], flat: tuple[str, ...]) -> dict[str, Any]:
    """Return the unknown fields of a call, and its type where that is no function."""
    rest = {key: value for key, value in part.items() if key not in (*_OWN, *flat) and value is not None}
    body = {key: value for key, value in body.items() if value is not None}
    if body:
        rest[kind] = body
    type_ = "custom" if kind == "custom" else part.get("type")
    if isinstance(type_, str) and type_ not in ("", "function"):
        rest["type"] = type_
    return rest


def _new_in(rest: dict[str, Any], known: dict[str, Any]) -> dict[str, Any]:
    """Return what isn't known yet: some servers repeat all of it with each piece."""
    new: dict[str, Any] = {}
    for key, value in rest.items():
        old = known.get(key)
        if isinstance(value, dict) and isinstance(old, dict):
            if deeper := _new_in(value, old):
                new[key] = deeper
        elif key not in known or old != value:
            new[key] = value
    return new


def _place(index: Any) -> int | None:
    if isinstance(index, str) and index.isascii() and index.isdigit() and len(index) < 6:
        return int(index)
    return index if isinstance(index, int) and not isinstance(index, bool) else None
