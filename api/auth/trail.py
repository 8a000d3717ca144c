"""The audit trail of reads, new tokens and refusals: written in batches, with repeats counted.

The number of entries per tenant and minute is bounded, and so is that of all refusals; those beyond the bound
are only counted, in one entry for each kind of act.
"""

import asyncio
import logging
from collections import Counter
from dataclasses import replace
from urllib.parse import unquote

from fastapi import Request

from api.auth import audit
from api.auth.audit import Act
from api.auth.loopback import address_of
from common.store.redis import Pipeline, Stores, StoreUnavailable

logger = logging.getLogger(__name__)

REFUSED = "login.refused"

_FLUSH_S = 1.0
_MINUTE_S = 60.0
_MOST = 60  # distinct accesses of a tenant per minute
_MOST_REFUSALS = 20  # distinct ones of all tenants together, per minute
_MOST_WAITING = 5_000  # distinct ones kept while the store is away
_MAX_CHARS = 300

_NAMES = {
    "look_at": "session.read",
    "events": "session.events",
    "export": "session.exported",
    "replay": "session.replayed",
    "list_all": "sessions.listed",
    "usage": "usage.read",
    "usage_of_all": "usage.read",
    "limits": "limits.read",
    "list_collections": "collections.listed",
    "list_documents": "documents.listed",
    "get_document": "document.read",
    "put_documents": "documents.put",
    "put_document": "document.put",
}


class AuditTrail:
    """Collects accesses, and writes them to the audit log in batches."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores
        self._waiting: Counter[Act] = Counter()
        self._repeats: Counter[Act] = Counter()
        self._seen: set[Act] = set()
        self._shares: Counter[str] = Counter()

    def note(self, act: Act) -> None:
        """Note an access. Repeats within the minute are only counted."""
        if act in self._seen:
            self._repeats[act] += 1
            return
        share, most = ("", _MOST_REFUSALS) if act.what == REFUSED else (act.tenant, _MOST)
        if self._shares[share] >= most or len(self._seen) >= _MOST_WAITING:
            self._repeats[Act("", "", act.what, act.tenant if share else "")] += 1
            return
        self._shares[share] += 1
        self._seen.add(act)
        self._waiting[act] += 1

    async def run(self) -> None:
        """Write what was noted until cancelled."""
        left_s = _MINUTE_S
        try:
            while True:
                await asyncio.sleep(_FLUSH_S)
                left_s -= _FLUSH_S
                if left_s <= 0:
                    left_s = _MINUTE_S
                    self._end_minute()
                await self.flush()
        finally:
            self._end_minute()
            await self.flush()

    def _end_minute(self) -> None:
        self._waiting.update(self._repeats)
        self._repeats.clear()
        self._seen.clear()
        self._shares.clear()

    async def flush(self) -> None:
        """Write what was noted. While the store is away it is kept, as far as there is room."""
        taken, self._waiting = self._waiting, Counter()
        if not taken:
            return

        def build(pipe: Pipeline) -> None:
            for act, count in taken.items():
                audit.note_access(pipe, replace(act, count=count))

        try:
            await self._stores.on_queue.run(build)
        except StoreUnavailable as error:
            logger.warning("could not write who looked at what", extra={"error": error.reason})
            if len(self._waiting) + len(taken) <= _MOST_WAITING:
                self._waiting.update(taken)


def note_access(
    request: Request,
    who: str,
    tenant: str,
    what: str = "",
    fields: tuple[str, ...] = (),
    *,
    target: str = "",
) -> None:
    """Note what a request is about to read. `what`, `target`: by default named after its route and path."""
    trail: AuditTrail = request.app.state.services.audit_trail
    called = what or _named(request)
    of_path = "/".join(unquote(value) for name, value in request.path_params.items() if name != "tenant")
    trail.note(Act(who, address_of(request), called, tenant, (target or of_path)[:_MAX_CHARS], fields))


def _named(request: Request) -> str:
    endpoint = getattr(request.scope.get("route"), "name", "")
    return _NAMES.get(endpoint, f"read.{endpoint}")
