"""A worker process: takes one lane's jobs, renews their leases, writes their events, and helps sweep."""

import asyncio
import contextlib
import logging
import os
import secrets
import signal
import socket
import sys
from collections.abc import Coroutine
from typing import Any, cast

import aiohttp
import httpx
import uvloop

from common.log.reader import LogReader
from common.names import Lane
from common.net.kept_connections import KeptTransport, no_cookies
from common.process.extras import lacks
from common.process.logs import set_up_logs
from common.process.memory import freeze_start_up
from common.security.secret_box import open_secret_box
from common.security.url_guard import open_guarded_client
from common.sessions.archive import open_archive
from common.sessions.sessions import Sessions
from common.settings import Settings
from common.store.redis import Stores, StoreUnavailable, open_stores
from common.tenants.directory import Directory
from common.tenants.profiles import profile_of
from workers.accounting.settlement import SettlementJob
from workers.assembly import Run, open_lanes, open_runner
from workers.knowledge.retrieval import NoSearch, Retrieval, Search, SearchService
from workers.leases import LaneLeases
from workers.providers import litellm
from workers.providers.base import UpstreamError
from workers.providers.registry import Providers
from workers.redaction.redactor import Redactor
from workers.runner import JobRunner
from workers.upkeep.retention import RetentionJob
from workers.upkeep.sweep import Sweep
from workers.upkeep.webhooks import TIMEOUT_S as TELLING_TIMEOUT_S
from workers.upkeep.webhooks import WebhookSender

logger = logging.getLogger(__name__)

_RELOCATE_S = 3.0


def worker_id() -> str:
    """Return a name that no other worker has, made of host, process id and a random part."""
    return f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(3)}"


def open_client(settings: Settings) -> httpx.AsyncClient:
    """Open the HTTP client for the models: it keeps connections warm and leaves timeouts to the lanes."""

    def connector(**kept: Any) -> aiohttp.TCPConnector:
        # No limit but the worker's slots: by default the connector would stop at 100 streams.
        return aiohttp.TCPConnector(limit=0, **kept)

    timeout = httpx.Timeout(None, connect=settings.connect_timeout_s)
    transport = KeptTransport(connector, settings.keep_alive_s)
    return httpx.AsyncClient(transport=transport, timeout=timeout, cookies=no_cookies())


async def work(settings: Settings, lane: Lane) -> None:
    """Work until SIGTERM or SIGINT, then take no more jobs, let running ones end and hand the rest over."""
    stopping = asyncio.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signum, stopping.set)
    async with (
        open_stores(settings) as stores,
        open_client(settings) as client,
        open_guarded_client(
            settings.allowed_hosts, _silence_s(settings), keep_s=settings.keep_alive_s
        ) as guarded,
        open_guarded_client(settings.allowed_hosts, TELLING_TIMEOUT_S) as telling,
    ):
        await _first_contact(stores, stopping)
        worker = worker_id()
        running = LaneLeases(settings, stores, lane, worker)
        directory = Directory(settings, stores)
        if lane == "speech":
            run, own = _open_speech(settings, stores, client, running)
        else:
            run, own = _open_models(settings, stores, directory, client, guarded, running)
        runner = open_runner(settings, stores, directory, running, run)
        sweep = Sweep(settings, stores, worker)
        archive = open_archive(settings.archive_url)
        keeper = RetentionJob(settings, stores, worker, archive)
        redactor = Redactor(stores, worker)
        background = [*own, running.run(), sweep.run(), keeper.run(), redactor.run(), runner.main()]
        background.append(stores.keep_clocks())
        sessions = Sessions(stores, archive)
        teller = WebhookSender(directory, stores, sessions, telling, worker)
        background += [directory.run(), teller.run()]
        if lane != "draft":  # folding ended turns would delay other turns' first words
            background.append(SettlementJob(settings, stores, sessions).run())
        freeze_start_up()
        await _until_stopped(background, stopping, lambda: _drain(settings, runner, running))
        await running.upstreams.flush()


_Opened = tuple[Run, list[Coroutine[Any, Any, None]]]
"""What runs a lane's jobs, and its work in the background."""


def _silence_s(settings: Settings) -> float:
    """Return a read timeout so long that the lane's own timeouts always come first."""
    return 2 * max(settings.first_token_timeout_s, settings.next_token_timeout_s)


def _open_models(
    settings: Settings,
    stores: Stores,
    directory: Directory,
    client: httpx.AsyncClient,
    guarded: httpx.AsyncClient,
    running: LaneLeases,
) -> _Opened:
    search, indexing = _open_search(settings, stores, client, running.lane)
    retrieval = Retrieval(settings, stores, search)
    provider = Providers(client, guarded, stores, open_secret_box(settings), settings.thinking_models)
    run, publisher = open_lanes(settings, stores, directory, running, provider, retrieval)
    return run, [publisher.run(), *indexing]


def _open_search(
    settings: Settings, stores: Stores, client: httpx.AsyncClient, lane: Lane
) -> tuple[Search, list[Coroutine[Any, Any, None]]]:
    """Return what finds passages, and its work in the background."""
    if settings.search_url:
        return SearchService(settings, client), []
    if lane != "full":  # nobody else is told of documents
        return NoSearch(), []
    if lack := lacks("knowledge"):
        logger.warning("no document is found: a package is missing", extra={"lack": lack})
        return NoSearch(), []
    from workers.knowledge.indexes import Indexes

    indexes = Indexes(stores, settings.knowledge_document_timeout_s)
    return indexes, [indexes.run()]


def _open_speech(
    settings: Settings, stores: Stores, client: httpx.AsyncClient, running: LaneLeases
) -> _Opened:
    from workers.speech.lane import SpeechRunner
    from workers.speech.voices import open_voice

    reader = LogReader(stores, settings.reread_s)
    speech = SpeechRunner(settings, stores, reader, open_voice(settings, client), running)
    return speech.run_speech, [reader.run()]


async def _until_stopped(
    background: list[Coroutine[Any, Any, None]], stopping: asyncio.Event, drain: Any
) -> None:
    """Run background tasks until told to stop; if one dies, the process ends too, so that it is noticed."""
    tasks = [asyncio.create_task(work) for work in background]
    stop = asyncio.create_task(stopping.wait())
    done, _ = await asyncio.wait((*tasks, stop), return_when=asyncio.FIRST_COMPLETED)
    try:
        for task in done - {stop}:
            await cast("asyncio.Task[None]", task)
        await drain()
    finally:
        for task in (*tasks, stop):
            task.cancel()
        await asyncio.gather(*tasks, stop, return_exceptions=True)


async def _drain(settings: Settings, runner: JobRunner, running: LaneLeases) -> None:
    with contextlib.suppress(StoreUnavailable):
        await running.say_goodbye()
    await runner.stop_taking(settings.drain_s)
    running.drain()
    await runner.stop_taking(_RELOCATE_S)
    runner.abandon()


def _check_packages(settings: Settings, lane: Lane) -> None:
    """Exit where a package is missing that this lane needs; import its models' now, not in the first turn."""
    if lane == "speech" and (lack := lacks("speech")):
        sys.exit(f"fast-reply: {lack}")
    upstreams = profile_of(settings).upstreams(lane, "") if lane != "speech" else []
    if any(upstream.base_url.startswith("litellm://") for upstream in upstreams):
        try:
            litellm.load()
        except UpstreamError as error:
            sys.exit(f"fast-reply: {error.message}")


async def _first_contact(stores: Stores, stopping: asyncio.Event) -> None:
    while not stopping.is_set():
        try:
            await stores.sync_clocks()
            return
        except StoreUnavailable:
            await asyncio.sleep(0.2)


def serve(settings: Settings, lane: Lane) -> None:
    """Run one worker until it is stopped."""
    set_up_logs(settings.log_level)
    _check_packages(settings, lane)
    uvloop.run(work(settings, lane))
