"""The parts of the API process, opened and closed as one."""

import asyncio
import logging
import os
import signal
from collections.abc import AsyncIterator, Coroutine, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

from api.answers.audio_feed import AudioFeed
from api.auth.authenticator import Authenticator
from api.auth.trail import AuditTrail
from api.limits.admission import Admissions
from api.limits.overload import LoadShedder
from api.limits.patience import RefusalDelay
from api.limits.readers import Readers
from api.refusals import Refusals
from api.turns.recall import Recall
from api.turns.registry import LiveTurns
from api.turns.start import TurnStart
from api.turns.starter import TurnStarter
from api.turns.transcription import Transcriber
from common.log.reader import LogReader
from common.security.hidden_names import HiddenNames
from common.sessions.archive import open_archive
from common.sessions.sessions import Sessions
from common.settings import Settings
from common.store.redis import Stores, StoreUnavailable, open_stores
from common.tenants.directory import Directory
from common.tenants.latency import FirstTokenLatency

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Services:
    """One process's parts."""

    settings: Settings
    stores: Stores
    directory: Directory
    authenticator: Authenticator
    audit_trail: AuditTrail
    refusal_delay: RefusalDelay
    pace: FirstTokenLatency
    load_shedder: LoadShedder
    admissions: Admissions
    turns: LiveTurns
    start: TurnStart
    sessions: Sessions
    hidden_names: HiddenNames
    recordings: Sessions
    readers: Readers
    reader: LogReader
    audio: AudioFeed
    transcriber: Transcriber | None
    refusals: Refusals


@asynccontextmanager
async def open_services(settings: Settings) -> AsyncIterator[Services]:
    """Everything the doors need, with its background work going. The stores need not be up yet."""
    _warn_of_odd(settings)
    async with open_stores(settings) as stores, open_stores(settings) as apart:
        services = assemble(settings, stores, apart, Directory(settings, stores))
        await _first_look(services)
        async with _in_background(_work_of(services)):
            try:
                yield services
            finally:
                await _close(services)


def _warn_of_odd(settings: Settings) -> None:
    """Say what is allowed and seldom meant."""
    if settings.policy.filler.is_early:
        logger.warning("fillers are due early", extra={"delay_ms": settings.policy.filler.delay_ms})
    if settings.use_progressive_response and not settings.small_model:
        logger.warning(
            "drafts are on without a SMALL_MODEL, so CloudBase's is asked: set one that the server has",
            extra={"model": settings.draft_model},
        )


def assemble(settings: Settings, stores: Stores, apart: Stores, directory: Directory) -> Services:
    """Return the parts, each made of those before it. `apart`: connections for readers of recordings."""
    archive = open_archive(settings.archive_url)
    sessions = Sessions(stores, archive)
    reader = LogReader(stores, settings.reread_s)
    pace = FirstTokenLatency(stores)
    load_shedder = LoadShedder(settings, stores, directory)
    starter = TurnStarter(settings, stores, directory, pace, load_shedder)
    recall = Recall(settings, stores, sessions, directory)
    admissions = Admissions(settings, stores, sessions, directory)
    turns = LiveTurns(settings, stores, reader, sessions)
    start = TurnStart(settings, stores, reader, starter, recall, admissions, turns)
    readers = Readers(settings.tenant_readers, busy=lambda: turns.count > 0)
    return Services(
        settings=settings,
        stores=stores,
        directory=directory,
        authenticator=Authenticator(settings, directory),
        audit_trail=AuditTrail(stores),
        refusal_delay=RefusalDelay(settings.refusal_delay_s),
        pace=pace,
        load_shedder=load_shedder,
        admissions=admissions,
        turns=turns,
        start=start,
        sessions=sessions,
        hidden_names=HiddenNames(settings),
        recordings=Sessions(apart, archive, readers.page, readers.pace),
        readers=readers,
        reader=reader,
        audio=AudioFeed(stores, settings.reread_s, settings.speech_wait_s),
        transcriber=Transcriber(settings) if settings.transcription_url else None,
        refusals=Refusals(settings.refused_per_minute),
    )


async def _first_look(services: Services) -> None:
    """Know the clocks, the tenants and the backlog before the first request, if the stores are there."""
    with suppress(StoreUnavailable):
        await services.stores.sync_clocks()
    with suppress(StoreUnavailable):
        await services.directory.refresh()
        await services.load_shedder.refresh()


def _work_of(services: Services) -> list[Coroutine[Any, Any, None]]:
    """Return the background work of the parts."""
    return [
        services.audio.run(),
        services.reader.run(),
        services.turns.leases.run(),
        services.pace.run(),
        services.load_shedder.run(),
        services.stores.keep_clocks(),
        services.directory.run(),
        services.authenticator.run(),
        services.audit_trail.run(),
        _say_whom_it_serves(services.settings, services.directory),
    ]


async def _close(services: Services) -> None:
    services.turns.close()
    services.admissions.close()
    if services.transcriber:
        await services.transcriber.close()


@asynccontextmanager
async def _in_background(work: Iterable[Coroutine[Any, Any, None]]) -> AsyncIterator[None]:
    """This work goes on for as long as the context lasts; what of it dies takes the process with it."""
    tasks = [asyncio.create_task(each) for each in work]
    for task in tasks:
        task.add_done_callback(_stop_process)
    try:
        yield
    finally:
        for task in tasks:
            task.remove_done_callback(_stop_process)
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _say_whom_it_serves(settings: Settings, directory: Directory) -> None:
    """Warn where no key is needed, as soon as that is known."""
    if not directory.known:
        await directory.changed()
    if directory.open:
        whom = "everybody who reaches the port" if settings.open_access else "this machine alone"
        logger.warning("no tenant is set up: the default tenant is served without a key", extra={"to": whom})


def _stop_process(task: "asyncio.Task[None]") -> None:
    """Background work never ends by itself: without it the process is deaf and must not look alive."""
    if not task.cancelled() and (error := task.exception()):
        asyncio.get_running_loop().call_exception_handler(
            {"message": "background work died", "exception": error}
        )
        os.kill(os.getpid(), signal.SIGTERM)
