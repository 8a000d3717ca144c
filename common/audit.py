"""The audit log: what an operator, or a tenant's admin, has changed. Names are in it, values never."""

from dataclasses import asdict, dataclass
from typing import Any

import orjson

from common import keys
from common.events import place
from common.stores import Pipe, Stores

_KEPT = 100_000
_PAGE = 500
_MOST = 10_000  # entries that are looked at for one page

OPERATOR = "operator"


@dataclass(frozen=True, slots=True)
class Act:
    """One change. `who`: `OPERATOR`, or the id of a tenant's key; `address`: from where it was asked.

    `what`: such as `tenant.created`; `target`: what of the tenant it was done to; `fields`: which changed.
    """

    who: str
    address: str
    what: str
    tenant: str
    target: str = ""
    fields: tuple[str, ...] = ()


def note(pipe: Pipe, act: Act) -> None:
    """Write an act down, in the transaction that does it."""
    entry: dict[Any, Any] = {**asdict(act), "fields": orjson.dumps(act.fields)}
    pipe.xadd(keys.AUDIT, entry, maxlen=_KEPT, approximate=True)


@dataclass(frozen=True, slots=True)
class Page:
    """Acts with their entries' ids, the latest first. `more`: the id to go on after, if there are others."""

    acts: list[tuple[str, Act]]
    more: str | None


async def look(stores: Stores, tenant: str | None, after: str, limit: int) -> Page:
    """Acts older than the entry `after`, of one tenant or of all. Raises STORE_ERRORS.

    However many there are of others, one page is bounded work: it may hold less than the limit.
    """
    if after and place(after) == (0, 0):
        return Page([], None)  # the server knows no interval that ends there
    found: list[tuple[str, Act]] = []
    last, looked_at = after, 0
    while looked_at < _MOST:
        upto = f"({last}" if last else "+"
        entries = await stores.queue.xrevrange(keys.AUDIT, upto, "-", count=_PAGE)
        for raw_id, fields in entries:
            act = _read(fields)
            if tenant in (None, act.tenant):
                if len(found) == limit:
                    return Page(found, last)
                found.append((raw_id.decode(), act))
            last = raw_id.decode()
        looked_at += len(entries)
        if len(entries) < _PAGE:
            return Page(found, None)
    return Page(found, last)


def _read(fields: dict[bytes, bytes]) -> Act:
    texts: dict[str, Any] = {name.decode(): value.decode() for name, value in fields.items()}
    return Act(**{**texts, "fields": tuple(orjson.loads(texts["fields"]))})
