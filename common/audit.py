"""The audit log: what an operator, or a tenant's admin, has changed. Names are in it, values never.

What is done to a tenant stands in its own log too: however much others do, that stays.
"""

from dataclasses import asdict, dataclass
from typing import Any

import orjson

from common import keys
from common.events import place
from common.stores import Pipe, Stores

_KEPT = 100_000

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
    for log in (keys.AUDIT, keys.audit(act.tenant)):
        pipe.xadd(log, entry, maxlen=_KEPT, approximate=True)


@dataclass(frozen=True, slots=True)
class Page:
    """Acts with their entries' ids, the latest first. `more`: the id to go on after, if there are others."""

    acts: list[tuple[str, Act]]
    more: str | None


async def look(stores: Stores, tenant: str | None, after: str, limit: int) -> Page:
    """Acts older than the entry `after`, of one tenant or of all. Raises STORE_ERRORS."""
    if after and place(after) == (0, 0):
        return Page([], None)  # the server knows no interval that ends there
    log, upto = keys.audit(tenant) if tenant else keys.AUDIT, f"({after}" if after else "+"
    entries = await stores.queue.xrevrange(log, upto, "-", count=limit + 1)
    acts = [(entry_id.decode(), _read(fields)) for entry_id, fields in entries[:limit]]
    return Page(acts, acts[-1][0] if len(entries) > limit else None)


def _read(fields: dict[bytes, bytes]) -> Act:
    texts: dict[str, Any] = {name.decode(): value.decode() for name, value in fields.items()}
    return Act(**{**texts, "fields": tuple(orjson.loads(texts["fields"]))})
