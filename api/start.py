"""The start of a turn: a lease, `turn.started`, and a job for each lane."""

import logging
import secrets
from typing import Any

import orjson

from api.drafting import why_no_draft
from api.once import AlreadyStarted, Claim
from api.requests import TurnRequest, merge_policy
from common import keys, log, queue
from common.draft_prompts import DRAFT_PROMPTS
from common.errors import BadRequest
from common.events import WIRE_VERSION, Entry, TurnStarted
from common.fold import FOLD_VERSION
from common.keys import DEFAULT_TENANT, JobRef, Lane, SessionRef, TurnRef
from common.pace import Pace
from common.policy import Policy
from common.profiles import Profile, Profiles
from common.settings import Settings
from common.stores import Build, Pipe, Stores

logger = logging.getLogger(__name__)


class TurnStarter:
    """Writes what makes a turn exist; from then on it ends, whatever becomes of this process."""

    def __init__(self, settings: Settings, stores: Stores, profiles: Profiles, pace: Pace) -> None:
        self._settings = settings
        self._stores = stores
        self._profiles = profiles
        self._pace = pace

    def plan(self, request: TurnRequest) -> tuple[TurnRef, TurnStarted]:
        """Name the turn and decide who is asked what. Raises BadRequest."""
        name = request.session or (request.once.session if request.once else "s" + secrets.token_hex(10))
        if not keys.valid_session(name):
            raise BadRequest(
                f"a session's id has 1 to {keys.MAX_SESSION_CHARS} printable characters", param="session_id"
            )
        profile, model = self._profiles.pick(request.model)
        policy = merge_policy(profile.policy, request.policy)
        if request.policy and policy.filler.is_early:
            logger.warning("a filler is due early", extra={"delay_ms": policy.filler.delay_ms})
        reason = why_no_draft(profile, policy, request)
        late = (
            not reason
            and policy.draft.when == "adaptive"
            and not self._pace.is_slow(profile.name, policy.draft.slow_ms)
        )
        turn = TurnRef(SessionRef(DEFAULT_TENANT, name), secrets.token_hex(6))
        return turn, TurnStarted(
            turn=turn.turn,
            profile=profile.name,
            request=request.body,
            policy=policy.model_dump(mode="json"),
            lanes=_lanes(profile, policy, model, drafted=not reason, late=late),
            drafting=reason or ("late" if late else "on"),
            wire=WIRE_VERSION,
            fold=FOLD_VERSION,
            reply={"usage": request.include_usage, "lanes": request.lanes},
            tell=bool(self._settings.webhook_url),
        )

    async def write(
        self, turn: TurnRef, started: TurnStarted, claim: Claim | None = None, *, beside: Build | None = None
    ) -> Entry:
        """Make the turn exist, in one round trip where log and queue share a server.

        `beside`: what else goes to the queue's server, together with the lease.
        Raises BadRequest where the request can't be written down, AlreadyStarted where another has started
        it for the same key, STORE_ERRORS where a store is away.

        Where they don't, the order lets the sweep mend a death in between: a lease without a turn is dropped,
        a turn without jobs is ended, or given them.
        """
        try:
            return Entry(await self._write(turn, started, claim, beside or _nothing), started)
        except orjson.JSONEncodeError:  # deeper JSON can be read than written
            raise BadRequest("the body is nested too deeply", code="invalid_json") from None

    async def _write(self, turn: TurnRef, started: TurnStarted, claim: Claim | None, beside: Build) -> str:
        """The id of the turn's entry."""
        stores, before_log = self._stores, 0

        def lease(pipe: Pipe) -> None:
            self._lease(pipe, turn)
            beside(pipe)

        def write_all(pipe: Pipe) -> None:
            nonlocal before_log
            begin = len(pipe)
            lease(pipe)
            before_log = len(pipe) - begin
            self._log(pipe, turn, started)
            self._jobs(pipe, turn, started)

        if stores.shared:
            replies = await self._on_log(write_all, claim)
            return str(replies[before_log].decode())
        await stores.on_queue.run(lease)
        try:
            entry_id, _ = await self._on_log(lambda pipe: self._log(pipe, turn, started), claim)
        except AlreadyStarted:
            await stores.on_queue.run(lambda pipe: queue.drop_turn(pipe, turn))
            raise
        await stores.on_queue.run(lambda pipe: self._jobs(pipe, turn, started))
        return str(entry_id.decode())

    async def _on_log(self, build: Build, claim: Claim | None) -> list[Any]:
        return await (claim.run(self._stores.log, build) if claim else self._stores.on_log.run(build))

    def _lease(self, pipe: Pipe, turn: TurnRef) -> None:
        now_ms = self._stores.queue_clock.now_ms()
        queue.hold_turns(pipe, [turn], now_ms + self._settings.turn_lease_ms)
        queue.list_turn(pipe, turn, now_ms)

    def _log(self, pipe: Pipe, turn: TurnRef, started: TurnStarted) -> None:
        log.append(pipe, turn.session, started, create=True)
        if self._settings.archive_url:
            pipe.persist(keys.log(turn.session))  # it goes when it is archived, however long that is away
        else:
            pipe.expire(keys.log(turn.session), self._settings.retention_s)

    def _jobs(self, pipe: Pipe, turn: TurnRef, started: TurnStarted) -> None:
        now_ms, lease_ms = self._stores.queue_clock.now_ms(), self._settings.lane_lease_ms
        for lane in [name for name, asked in started.lanes.items() if not asked.get("late")]:
            queue.put(pipe, JobRef(turn, _lane(lane), 1), now_ms, lease_ms)


def _nothing(pipe: Pipe) -> None:
    """For whom nothing else is to be written."""


def _lane(name: str) -> Lane:
    return "draft" if name == "draft" else "full"


def _lanes(
    profile: Profile, policy: Policy, model: str, *, drafted: bool, late: bool
) -> dict[str, dict[str, Any]]:
    """What each lane is asked beside the request itself. Never a credential: those stay with the workers."""
    lanes: dict[str, dict[str, Any]] = {"full": {"model": model, "prompt": profile.full_prompt}}
    if drafted and profile.draft:
        draft: dict[str, Any] = {
            "model": profile.draft.model,
            "prompt": profile.draft_prompt or DRAFT_PROMPTS[policy.draft.style],
            "params": profile.draft_params,
        }
        lanes = {"draft": {**draft, "late": True} if late else draft, **lanes}
    return lanes
