"""The teller: run by every worker, it tells the webhook of turns that have ended.

At least once: a turn stays listed until the receiver has taken it or was tried for the last time. A receiver
knows a repeated message by its id, the turn's. The form is that of https://www.standardwebhooks.com.
"""

import asyncio
import base64
import binascii
import hashlib
import hmac
import logging
import random
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import httpx
import orjson
from pydantic import SecretStr

from common.names import TurnRef, parse_turn
from common.process.bugs import about
from common.records.report import report_turn
from common.sessions.sessions import Sessions
from common.store import keys
from common.store.redis import Pipeline, Stores, StoreUnavailable
from common.tenants.directory import Directory
from common.tenants.profiles import Webhook

logger = logging.getLogger(__name__)

TIMEOUT_S = 10.0
BACK_OFF_S = (5, 30, 120, 600, 3_600, 21_600)
"""How long after each failure it is tried again; after the last there is no more."""

_POLL_S = 1.0
_BATCH = 200
_AT_ONCE = 100  # of one tenant: its receiver may be slow, and others must not wait for it
_CROWDED_MS = 500
_AGAIN_MS = 60_000  # so long a dead teller's turns wait, far longer than a try takes
_HOLD_MS = 55_000
_GONE = 410


class WebhookSender:
    """Posts what is due. Several share the work: each turn is held by who tells of it now."""

    def __init__(
        self,
        directory: Directory,
        stores: Stores,
        sessions: Sessions,
        client: httpx.AsyncClient,
        worker: str,
    ) -> None:
        self._directory = directory
        self._stores = stores
        self._sessions = sessions
        self._client = client
        self._worker = worker
        self._trying: dict[asyncio.Task[None], str] = {}  # each try's tenant

    async def run(self) -> None:
        """Tell until cancelled."""
        try:
            while True:
                looked_at = 0
                try:
                    looked_at, _ = await self._begin()
                except StoreUnavailable as error:
                    logger.warning("could not tell of turns", extra={"error": error.reason})
                if looked_at < _BATCH:
                    await asyncio.sleep(_POLL_S * random.uniform(0.75, 1.25))
        finally:
            for task in self._trying:
                task.cancel()

    async def send_due(self) -> int:
        """Tell of what is due by now and nobody's yet; how much that was. Raises StoreUnavailable."""
        _, tries = await self._begin()
        await asyncio.gather(*tries)
        return len(tries)

    async def _begin(self) -> "tuple[int, list[asyncio.Task[None]]]":
        """Begin to tell of what is due: how much of it was looked at, and the tries."""
        now_ms = self._stores.queue_clock.now_ms()
        due = await self._stores.queue.zrangebyscore(keys.TELLING, "-inf", now_ms, start=0, num=_BATCH)
        trying, now, crowded = Counter(self._trying.values()), list[str](), list[str]()
        for member in map(bytes.decode, due):
            tenant = _tenant_of(member)
            (now if trying[tenant] < _AT_ONCE else crowded).append(member)
            trying[tenant] += 1
        if crowded:  # out of the others' way
            later = dict.fromkeys(crowded, now_ms + _CROWDED_MS)
            await self._stores.queue.zadd(keys.TELLING, later, xx=True)
        tries = []
        for member in await self._hold(now, now_ms):
            task = asyncio.create_task(self._leniently(member))
            self._trying[task] = _tenant_of(member)
            task.add_done_callback(self._trying.pop)
            tries.append(task)
        return len(due), tries

    async def _leniently(self, member: str) -> None:
        try:
            await self._try(member)
        except StoreUnavailable as error:  # in a minute it is nobody's any more
            logger.warning("could not note what was told", extra={"error": error.reason})

    async def _hold(self, members: list[str], now_ms: int) -> list[str]:
        """Return the messages that nobody else holds and that are still to be sent."""
        if not members:
            return []

        def build(pipe: Pipeline) -> None:
            for member in members:
                pipe.set(keys.telling(member), self._worker, nx=True, px=_HOLD_MS)
                pipe.zadd(keys.TELLING, {member: now_ms + _AGAIN_MS}, xx=True, ch=True)

        replies = await self._stores.on_queue.run(build)
        held = zip(members, replies[::2], replies[1::2], strict=True)
        return [member for member, is_mine, is_due in held if is_mine and is_due]

    async def _try(self, member: str) -> None:
        """One try at one turn; trouble with it must not keep the others from being told of."""
        try:
            turn, attempt = _parse(member)
        except ValueError:
            await self._done(member)
            return
        try:
            report = await self._report(turn)
            hook = self._hook(turn, report)
            is_over = hook is None or await self._post(hook, turn.turn, attempt, _message(turn, report))
        except StoreUnavailable as error:
            logger.warning("could not read an ended turn", extra={"error": error.reason})
            return  # in a minute it is nobody's any more
        except Exception as bug:
            logger.error("could not tell of a turn", extra={**about(bug), "turn": turn.turn})
            is_over = False
        if is_over:
            await self._done(member)
        elif attempt > len(BACK_OFF_S):
            logger.error("gave up telling of a turn", extra={"turn": turn.turn, "attempts": attempt})
            await self._done(member)
        else:
            wait_ms = int(BACK_OFF_S[attempt - 1] * 1000 * random.uniform(0.9, 1.2))
            await self._done(member, {f"{turn}|{attempt + 1}": self._stores.queue_clock.now_ms() + wait_ms})

    async def _done(self, member: str, again: dict[str, int] | None = None) -> None:
        def build(pipe: Pipeline) -> None:
            pipe.zrem(keys.TELLING, member)
            if again:
                pipe.zadd(keys.TELLING, again)
            pipe.delete(keys.telling(member))

        await self._stores.on_queue.run(build)

    async def _report(self, turn: TurnRef) -> dict[str, Any] | None:
        """Return the report to send; None where the turn isn't kept any more."""
        recorded, ended_ms = await self._sessions.recorded(turn)
        return {"ended_at": ended_ms, **report_turn(recorded)} if recorded else None

    def _hook(self, turn: TurnRef, report: dict[str, Any] | None) -> Webhook | None:
        """Return the receiver; None where the tenant or its profile is gone."""
        tenant = self._directory.tenant(turn.session.tenant)
        profile = tenant.get(report["profile"]) if tenant and report else None
        return profile.webhook if profile else None

    async def _post(self, hook: Webhook, message: str, attempt: int, body: bytes) -> bool:
        """Return True if the receiver has the message, or wants no more of it."""
        headers = sign(hook.secret, message, self._stores.queue_clock.now_ms() // 1000, body)
        if "webhook-signature" not in headers:
            logger.warning("a webhook has no secret: its messages are not signed", extra={"turn": message})
        status, error = 0, ""
        try:
            async with (
                asyncio.timeout(TIMEOUT_S),
                self._client.stream("POST", hook.url, content=body, headers=headers) as response,
            ):
                status = response.status_code
        except (httpx.HTTPError, TimeoutError) as failure:
            error = type(failure).__name__
        if 200 <= status < 300 or status == _GONE:
            return True
        facts = {"turn": message, "attempt": attempt, "status": status, "error": error}
        logger.warning("could not tell of a turn", extra=facts)
        return False


def _message(turn: TurnRef, report: dict[str, Any] | None) -> bytes:
    """The message's body."""
    told = dict(report or {})
    ended = datetime.fromtimestamp(told.pop("ended_at", 0) / 1000, UTC).isoformat(timespec="milliseconds")
    data = {"session": turn.session.session, **told}
    return orjson.dumps({"type": "turn.ended", "timestamp": ended, "data": data})


def _tenant_of(member: str) -> str:
    return member.partition(":")[0]


def _parse(member: str) -> tuple[TurnRef, int]:
    name, _, number = member.rpartition("|")
    return parse_turn(name), int(number)


def sign(secret: SecretStr, message: str, now_s: int, body: bytes) -> dict[str, str]:
    """The headers of a message. Without a secret there is no signature."""
    headers = {
        "content-type": "application/json",
        "webhook-id": message,
        "webhook-timestamp": str(now_s),
    }
    if key := _key(secret.get_secret_value()):
        digest = hmac.digest(key, f"{message}.{now_s}.".encode() + body, hashlib.sha256)
        headers["webhook-signature"] = f"v1,{base64.b64encode(digest).decode()}"
    return headers


def _key(secret: str) -> bytes:
    """A secret is base64, as the form says; whatever isn't is taken as it is."""
    try:
        return base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except (binascii.Error, ValueError):
        return secret.encode()
