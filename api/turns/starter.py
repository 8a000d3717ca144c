"""The start of a turn: a lease, `turn.started`, and a job for each lane."""

import logging
import secrets
from dataclasses import asdict, dataclass, replace
from typing import Any

import orjson

from api.auth.authenticator import not_valid
from api.limits.overload import LoadShedder
from api.requests.idempotency import DuplicateTurn, KeyClaim, StartUnknown
from api.requests.turn_request import Knowledge, TurnRequest, merge_policy
from api.turns.draft_prompts import DRAFT_PROMPTS
from api.turns.drafting import SHED, form_forbids, prose_breaks, why_no_draft
from api.turns.overrides import hold, hold_policy, layers, pick, system_mode
from common.errors import BadRequest
from common.events import WIRE_VERSION, Entry, TurnStarted
from common.log import stream
from common.names import MAX_SESSION_CHARS, JobRef, Lane, SessionRef, TurnRef, valid_collection, valid_session
from common.queue import job_queue
from common.security import credentials
from common.security.credentials import Credentials
from common.security.hidden_names import HiddenNames
from common.security.secret_box import open_secret_box
from common.settings import Settings
from common.store import keys
from common.store.redis import Commands, Pipeline, Stores
from common.tenants.directory import Directory
from common.tenants.latency import FirstTokenLatency
from common.tenants.profiles import Profile
from common.tenants.tenant import Tenant
from common.turn.apology import chosen
from common.turn.fillers import waiting
from common.turn.policy import ApologyPolicy, FillerPolicy, Policy
from common.turn.version import FOLD_VERSION

logger = logging.getLogger(__name__)

_NOW, _LATE = "on", "late"  # when a draft begins


@dataclass(frozen=True, slots=True)
class PlannedTurn:
    """A turn that has a name, and of which is decided who is asked what.

    `apology`: all that may be said should it fail; which of that is chosen by what is asked.
    """

    turn: TurnRef
    started: TurnStarted
    request: TurnRequest
    apology: ApologyPolicy

    def renamed(self) -> "PlannedTurn":
        """Return the same as another turn, for another start."""
        turn = TurnRef(self.turn.session, _new_name())
        return replace(self, turn=turn, started=replace(self.started, turn=turn.turn))

    def with_messages(self, messages: list[dict[str, Any]]) -> "PlannedTurn":
        """Return the same with other words in its messages: of the plan the apology alone hangs on them."""
        request = replace(self.request, body={**self.request.body, "messages": messages})
        apology = _apology(self.apology, request, self.turn).model_dump(mode="json")
        policy = {**self.started.policy, "apology": apology}
        started = replace(self.started, request=request.body, policy=policy)
        return replace(self, request=request, started=started)


class TurnStarter:
    """Writes what makes a turn exist; from then on it ends, whatever becomes of this process."""

    def __init__(
        self,
        settings: Settings,
        stores: Stores,
        directory: Directory,
        pace: FirstTokenLatency,
        pressure: LoadShedder,
    ) -> None:
        self._settings = settings
        self._stores = stores
        self._directory = directory
        self._pace = pace
        self._pressure = pressure
        self._seal = open_secret_box(settings)
        self._undrafted = set[str]()
        self._hidden = HiddenNames(settings)
        if settings.upstream_auth == "passthrough" and not self._seal:
            logger.error("callers' keys can't be passed on without FAST_REPLY_SECRET_KEY")

    def plan(self, request: TurnRequest) -> PlannedTurn:
        """Name the turn and decide who is asked what. Raises BadRequest, Forbidden, NotFound, Overloaded."""
        named, tenant = _session(request), self._tenant(request)
        if request.idempotency is None:  # else it may be a retry, which joins its turn
            self._pressure.check(tenant.id)
        profile, model = pick(tenant, request)
        request, bounds = hold(request, profile, self._settings), layers(request, profile)
        policy = merge_policy(profile.policy, request.policy)
        hold_policy(profile.policy, policy, bounds)
        if request.policy and policy.filler.is_early:
            logger.warning("a filler is due early", extra={"delay_ms": policy.filler.delay_ms})
        drafting = self._drafting(tenant, profile, policy, request)
        drafted = drafting in (_NOW, _LATE)
        session = self._hidden.hide(named) if profile.record != "full" else named
        turn, apology = TurnRef(session, _new_name()), policy.apology
        said = {
            "filler": _filler(policy, request, drafted=drafted),
            "apology": _apology(apology, request, turn),
        }
        policy = policy.model_copy(update=said)
        lanes = _lanes(profile, policy, model, drafted=drafted, late=drafting == _LATE)
        if (mode := system_mode(bounds)) != "instead":
            lanes["full"]["system"] = mode
        self._add_wishes(lanes, profile, request)
        started = TurnStarted(
            turn=turn.turn,
            profile=profile.name,
            request=request.body,
            policy=policy.model_dump(mode="json"),
            lanes=lanes,
            drafting=drafting,
            wire=WIRE_VERSION,
            fold=FOLD_VERSION,
            reply=_reply(self._settings, profile, policy, request),
            tell=profile.webhook is not None,
            speech=request.speech,
            caller=request.caller,
            record=profile.record,
        )
        return PlannedTurn(turn, started, request, apology)

    def _drafting(self, tenant: Tenant, profile: Profile, policy: Policy, request: TurnRequest) -> str:
        """Return when the draft begins, or why there is none."""
        reason = why_no_draft(profile, policy, request)
        if request.drafting and profile.draft is None and profile.name not in self._undrafted:
            self._undrafted.add(profile.name)  # said once
            logger.warning("a draft is asked for and there is no small model: set SMALL_MODEL")
        if reason or self._pressure.sheds_draft(tenant.id):
            return reason or SHED
        if policy.draft.when != "adaptive" or self._pace.is_slow(
            tenant.id, profile.name, policy.draft.slow_ms
        ):
            return _NOW
        return _LATE

    def _add_wishes(self, lanes: dict[str, dict[str, Any]], profile: Profile, request: TurnRequest) -> None:
        """Add what the request itself asks of the lanes, beside its body. Raises BadRequest."""
        if request.knowledge:
            lanes["full"]["knowledge"] = _knowledge(self._settings, request.knowledge)
        passes_key = self._passes_key(profile, request)
        if request.server:
            lanes["full"]["server"] = asdict(request.server)
        elif passes_key:
            for asked in lanes.values():
                asked["caller_key"] = True

    def _tenant(self, request: TurnRequest) -> Tenant:
        if tenant := self._directory.tenant(request.tenant):
            return tenant
        raise not_valid()  # it was deleted a moment ago

    def _passes_key(self, profile: Profile, request: TurnRequest) -> bool:
        """Return True if the full's server is shown the caller's own key. Raises BadRequest."""
        mode = self._settings.upstream_auth
        if not self._seal and (request.credentials or (request.key and mode == "passthrough")):
            raise BadRequest(
                "this server has no FAST_REPLY_SECRET_KEY to keep a key with", code="no_secret_key"
            )
        if mode == "auto":
            return bool(request.key and self._seal and not profile.full.api_key.get_secret_value())
        return bool(request.key) and mode == "passthrough"

    def store_credentials(self, pipe: Pipeline, planned: PlannedTurn) -> None:
        """Seal up what the request brings along for the models' servers."""
        turn, started, request = planned.turn, planned.started, planned.request
        passed = started.lanes["full"].get("caller_key")
        brought = Credentials(key=request.key) if passed else request.credentials
        if brought and self._seal:
            credentials.store_credentials(pipe, turn, brought, self._seal, started.policy["deadline_ms"])

    async def commit(
        self, planned: PlannedTurn, claim: KeyClaim | None = None, *, beside: Commands | None = None
    ) -> Entry:
        """Make the turn exist, in one round trip where log and queue share a server.

        `beside`: what else goes to the queue's server, together with the lease.
        Raises BadRequest where the request can't be written down, Overloaded where the workers can't keep up,
        DuplicateTurn where another has started it for the same key, StoreUnavailable.

        Where they don't, the order lets the sweep mend a death in between: a lease without a turn is dropped,
        a turn without jobs is ended, or given them.
        """
        turn, started = planned.turn, planned.started
        self._pressure.admit(turn, _first_lanes(started))
        try:
            return Entry(await self._write(turn, started, claim, beside or _nothing), started)
        except orjson.JSONEncodeError:  # deeper JSON can be read than written
            raise BadRequest("the body is nested too deeply", code="invalid_json") from None

    async def _write(
        self, turn: TurnRef, started: TurnStarted, claim: KeyClaim | None, beside: Commands
    ) -> str:
        """The id of the turn's entry."""
        stores, before_log = self._stores, 0

        def lease(pipe: Pipeline) -> None:
            self._lease(pipe, turn, started)
            beside(pipe)

        def write_all(pipe: Pipeline) -> None:
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
        except StartUnknown:
            raise
        except DuplicateTurn:
            await stores.on_queue.run(lambda pipe: job_queue.unregister_turn(pipe, turn))
            raise
        await stores.on_queue.run(lambda pipe: self._jobs(pipe, turn, started))
        return str(entry_id.decode())

    async def _on_log(self, build: Commands, claim: KeyClaim | None) -> list[Any]:
        return await (claim.run(self._stores.log, build) if claim else self._stores.on_log.run(build))

    def _lease(self, pipe: Pipeline, turn: TurnRef, started: TurnStarted) -> None:
        now_ms = self._stores.queue_clock.now_ms()
        job_queue.hold_turns(pipe, [turn], now_ms + self._settings.turn_lease_ms)
        job_queue.register_turn(pipe, turn, now_ms, started.policy["deadline_ms"])

    def _log(self, pipe: Pipeline, turn: TurnRef, started: TurnStarted) -> None:
        stream.append(pipe, turn.session, started, create=True)
        if self._settings.archive_url:
            pipe.persist(keys.log(turn.session))  # it goes when it is archived, however long that is away
        else:
            pipe.expire(keys.log(turn.session), self._settings.retention_s)

    def _jobs(self, pipe: Pipeline, turn: TurnRef, started: TurnStarted) -> None:
        now_ms, lease_ms = self._stores.queue_clock.now_ms(), self._settings.lane_lease_ms
        for lane in _first_lanes(started):
            job_queue.enqueue(pipe, JobRef(turn, lane, 1), now_ms, lease_ms)
        if started.speech:
            job_queue.enqueue(pipe, JobRef(turn, "speech", 1), now_ms, lease_ms)
            pipe.publish(keys.wake(turn.session), b"")  # what is still spoken of an earlier turn falls silent
        self._pressure.sent(turn)


def _new_name() -> str:
    return secrets.token_hex(6)


def _session(request: TurnRequest) -> SessionRef:
    """The session as its client names it, else one that is made up. Raises BadRequest."""
    name = request.session or (
        request.idempotency.session if request.idempotency else "s" + secrets.token_hex(10)
    )
    if not valid_session(name):
        raise BadRequest(
            f"a session's id has 1 to {MAX_SESSION_CHARS} printable characters", param="session_id"
        )
    return SessionRef(request.tenant, name)


def _filler(policy: Policy, request: TurnRequest, *, drafted: bool) -> FillerPolicy:
    """Return the fillers: none where prose breaks the answer, early ones where something is looked up."""
    if prose_breaks(request.body):
        return policy.filler.model_copy(update={"phrases": {}})
    looks_up = request.knowledge and not form_forbids(request.body)
    return waiting(policy.filler, drafted=drafted) if looks_up else policy.filler


def _apology(apology: ApologyPolicy, request: TurnRequest, turn: TurnRef) -> ApologyPolicy:
    """Return the apology, should the turn fail: none where prose breaks the answer."""
    if prose_breaks(request.body):
        return ApologyPolicy()
    return chosen(apology, request.body["messages"], turn.turn)


def _knowledge(settings: Settings, wanted: Knowledge) -> dict[str, Any]:
    """Return what the full is to look up. Raises BadRequest."""
    collection = wanted.collection or settings.knowledge_collection
    if not valid_collection(collection):
        raise BadRequest("no collection can have this name", param="fast_reply.knowledge.collection")
    citations = settings.knowledge_citations if wanted.citations is None else wanted.citations
    top_k = wanted.top_k or settings.knowledge_top_k
    return {"collection": collection, "top_k": top_k, "citations": citations}


def _reply(settings: Settings, profile: Profile, policy: Policy, request: TurnRequest) -> dict[str, Any]:
    """Return how the client is answered, also by another replica that goes on with the stream."""
    reply: dict[str, Any] = {"usage": request.include_usage, "lanes": request.lanes}
    if request.model and request.model != profile.name:
        reply["model"] = request.model
    if settings.meta_info if request.meta is None else request.meta:
        reply["meta"] = True
    if request.agora and settings.agora_metadata:
        usual = {"interruptable": policy.barge_in}
        reply["metadata"] = usual if settings.agora_metadata is True else settings.agora_metadata
    return reply | request.reply


def _nothing(pipe: Pipeline) -> None:
    """For whom nothing else is to be written."""


def _first_lanes(started: TurnStarted) -> list[Lane]:
    """The lanes that begin at once."""
    return [
        "draft" if name == "draft" else "full" for name, ask in started.lanes.items() if not ask.get("late")
    ]


def _lanes(
    profile: Profile, policy: Policy, model: str, *, drafted: bool, late: bool
) -> dict[str, dict[str, Any]]:
    """Return what each lane is asked beside the request. Never a credential: those stay with the workers."""
    lanes: dict[str, dict[str, Any]] = {"full": {"model": model, "prompt": profile.full_prompt}}
    if drafted and profile.draft:
        draft: dict[str, Any] = {
            "model": profile.draft.model,
            "prompt": profile.draft_prompt or DRAFT_PROMPTS[policy.draft.style],
            "params": profile.draft_params,
        }
        lanes = {"draft": {**draft, "late": True} if late else draft, **lanes}
    return lanes
