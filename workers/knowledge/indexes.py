"""The indexes of this process: one for each collection that has documents, kept up to date."""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial

from common.knowledge.documents import Document, Documents
from common.names import CollectionRef
from common.process.bugs import about
from common.store import keys
from common.store.pubsub import Subscriptions
from common.store.redis import Stores, StoreUnavailable
from workers.knowledge.index import CollectionIndex
from workers.knowledge.passages import Passage
from workers.knowledge.preparer import DocumentFailed, Preparer

logger = logging.getLogger(__name__)

_LOOK_S = 0.8  # should a wake-up be lost, a document is found within a second all the same
_RETRY_S = 0.2


@dataclass(slots=True)
class _Followed:
    """A collection and how far it has been read. `index` is None while the collection is empty."""

    collection: CollectionRef
    index: CollectionIndex | None = None
    after: str = ""
    bell: asyncio.Event = field(default_factory=asyncio.Event)
    read: asyncio.Event = field(default_factory=asyncio.Event)  # all that was there at the start was read


class Indexes:
    """Follows all collections. Indexes are written in a thread of their own, never on the event loop."""

    def __init__(self, stores: Stores, document_timeout_s: float = 20.0) -> None:
        self._documents = Documents(stores)
        self._preparer = Preparer(document_timeout_s)
        self._followed: dict[str, _Followed] = {}
        self._listed = asyncio.Event()  # the collections of the start are known
        self._bell = asyncio.Event()
        self._channels = Subscriptions(
            stores, lambda _, name: self._wake(name.decode()), lambda _: self._wake("")
        )
        self._channels.add(keys.KNOWLEDGE_CHANGED)
        self._thread = ThreadPoolExecutor(1, "indexing")

    async def search(self, collection: CollectionRef, question: str, most: int) -> list[Passage] | None:
        """Return the best passages, or None if there is no such collection.

        Waits until all of it has been read.
        """
        await self._listed.wait()
        followed = self._followed.get(str(collection))
        if followed is None:
            return None
        await followed.read.wait()
        if followed.index is None:
            return None
        return await asyncio.to_thread(followed.index.search, question, most)

    async def run(self) -> None:
        """Follow until cancelled."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._channels.run())
                while True:
                    self._bell.clear()
                    try:
                        for followed in await self._look():
                            tasks.create_task(self._follow(followed))
                    except StoreUnavailable as error:
                        logger.warning("could not look for documents", extra={"error": error.reason})
                    await _rung(self._bell)
        finally:
            self._thread.shutdown(wait=False, cancel_futures=True)
            await self._preparer.close()

    def _wake(self, name: str) -> None:
        """Check this collection for changes; check all if no name is given or the name is new."""
        if followed := self._followed.get(name):
            followed.bell.set()
        else:
            self._bell.set()

    async def _look(self) -> list[_Followed]:
        """Wake the collections that have changed, and return the new ones."""
        collections = await self._documents.collections()
        new = []
        for collection, latest in zip(collections, await self._documents.latest(collections), strict=True):
            followed = self._followed.get(str(collection))
            if followed is None:
                followed = self._followed[str(collection)] = _Followed(collection)
                new.append(followed)
            if latest != followed.after:
                followed.bell.set()
            elif not latest:
                followed.read.set()  # there is nothing in it
        self._listed.set()
        return new

    async def _follow(self, followed: _Followed) -> None:
        while True:
            await followed.bell.wait()
            followed.bell.clear()
            try:
                while await self._catch_up(followed):
                    pass
                followed.read.set()
            except (StoreUnavailable, OSError) as error:  # or there is no process to read it
                reason = error.reason if isinstance(error, StoreUnavailable) else type(error).__name__
                logger.warning("could not read a collection", extra={"error": reason})
                await asyncio.sleep(_RETRY_S)
                followed.bell.set()

    async def _catch_up(self, followed: _Followed) -> bool:
        """Index what has changed since the last time; return True if anything had."""
        changes = await self._documents.changes(followed.collection, followed.after)
        if changes is None:
            await self._read_all(followed)
            return True
        if not changes.ids:
            return False
        found = await self._documents.find(followed.collection, changes.ids)
        gone = set(changes.ids) - {document.id for document in found}
        index = followed.index or CollectionIndex()
        await self._write(lambda: index.remove(gone))
        await self._take_in(followed.collection, index, found)
        await self._write(index.commit)
        followed.index, followed.after = index, changes.last
        return True

    async def _read_all(self, followed: _Followed) -> None:
        # What changes while we read is read once more: taking a document in twice does no harm.
        (last,) = await self._documents.latest([followed.collection])
        index = None
        async for page in self._documents.scan(followed.collection):
            index = index or CollectionIndex()
            await self._take_in(followed.collection, index, page)
        if index:
            await self._write(index.commit)
        followed.index, followed.after = index, last
        logger.info("read a collection", extra={"collection": str(followed.collection)})

    async def _take_in(
        self, collection: CollectionRef, index: CollectionIndex, documents: list[Document]
    ) -> None:
        """Index documents; one that cannot be indexed is marked, and skipped from then on."""
        failed = await self._documents.failures(collection, documents)
        for document in documents:
            code = failed.get(document.id) or await self._index(index, document)
            if code is None:
                continue
            await self._write(partial(index.remove, [document.id]))
            if document.id not in failed:
                logger.error("left a document out", extra={"collection": str(collection), "code": code})
                await self._documents.note_failure(collection, document, code)

    async def _index(self, index: CollectionIndex, document: Document) -> str | None:
        """Index one document; return the code of the failure if it cannot be indexed."""
        try:
            passages = await self._preparer.prepare(document)
            await self._write(partial(index.put_prepared, document.id, passages))
        except DocumentFailed as failure:
            return failure.code
        except OSError:  # there is no process to read it
            raise
        except Exception as bug:  # one tenant's document must not end the worker
            logger.error("a document broke its reading", extra=about(bug))
            return "document_unreadable"
        return None

    async def _write(self, work: Callable[[], None]) -> None:
        await asyncio.get_running_loop().run_in_executor(self._thread, work)


async def _rung(bell: asyncio.Event) -> None:
    """Wait until the bell rings, or until it is time to check anyway."""
    try:
        async with asyncio.timeout(_LOOK_S):
            await bell.wait()
    except TimeoutError:
        return
