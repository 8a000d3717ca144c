"""The audit log: changes by the operator or a tenant's admins, and accesses; it holds no values.

What is done to a tenant is also written to that tenant's own log, so other tenants' entries can't push it
out. Changes and accesses are kept apart for the same reason.
"""

from dataclasses import asdict, dataclass
from typing import Any, Literal

import orjson

from common.events import place
from common.store import keys
from common.store.redis import Pipeline, Stores

_KEPT = 100_000

OPERATOR = "operator"
Kind = Literal["", "changes", "accesses"]


@dataclass(frozen=True, slots=True)
class Act:
    """One change or access. `who`: `OPERATOR`, or the id of a tenant's key; `address`: the client's address.

    `what`: the action, such as `tenant.created`; `target`: the part of the tenant it was done to; `fields`:
    the fields that changed; `count`: how often it happened within a minute.
    """

    who: str
    address: str
    what: str
    tenant: str
    target: str = ""
    fields: tuple[str, ...] = ()
    count: int = 1


def note(pipe: Pipeline, act: Act) -> None:
    """Add an act to the audit log, in the transaction that performs it."""
    _add(pipe, act, keys.AUDIT, keys.audit(act.tenant))


def note_access(pipe: Pipeline, act: Act) -> None:
    """Add an access to the audit log."""
    _add(pipe, act, keys.ACCESS, *([keys.access(act.tenant)] if act.tenant else []))


def _add(pipe: Pipeline, act: Act, *logs: str) -> None:
    entry: dict[Any, Any] = {**asdict(act), "fields": orjson.dumps(act.fields)}
    for log in logs:
        pipe.xadd(log, entry, maxlen=_KEPT, approximate=True)


@dataclass(frozen=True, slots=True)
class Page:
    """Acts with their entry ids, latest first. `more`: the id to continue after, None on the last page."""

    acts: list[tuple[str, Act]]
    more: str | None


async def read_page(stores: Stores, tenant: str | None, after: str, limit: int, kind: Kind = "") -> Page:
    """Return acts older than the entry `after`, of one tenant or of all. Raises StoreUnavailable.

    `kind`: changes or accesses only. Acts of the same moment stay on one page, which may exceed `limit` for
    that.
    """
    if after and place(after) == (0, 0):
        return Page([], None)  # the server knows no interval that ends there
    logs = {
        "changes": keys.audit(tenant) if tenant else keys.AUDIT,
        "accesses": keys.access(tenant) if tenant else keys.ACCESS,
    }
    upto = f"({after}" if after else "+"

    def ask(pipe: Pipeline) -> None:
        for log in (log for name, log in logs.items() if kind in ("", name)):
            pipe.xrevrange(log, upto, "-", count=limit + 1)

    found = [entry for entries in await stores.on_queue.run(ask) for entry in entries]
    acts = [(entry_id.decode(), _read(fields)) for entry_id, fields in found]
    acts.sort(key=lambda each: place(each[0]), reverse=True)
    end = limit
    while 0 < end < len(acts) and acts[end][0] == acts[end - 1][0]:
        end += 1
    return Page(acts[:end], acts[end - 1][0] if len(acts) > end else None)


def _read(fields: dict[bytes, bytes]) -> Act:
    texts: dict[str, Any] = {name.decode(): value.decode() for name, value in fields.items()}
    fields_ = tuple(orjson.loads(texts["fields"]))
    return Act(**{**texts, "fields": fields_, "count": int(texts.get("count", 1))})
