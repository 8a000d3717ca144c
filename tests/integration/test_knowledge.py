"""Documents in the store, and the indexes that follow them: what is put is found, what is gone is not."""

import pytest

from common.knowledge.documents import Document, Documents
from common.knowledge.preparing import Prepared
from common.names import CollectionRef
from common.store import keys
from common.store.redis import Stores, StoreUnavailable, open_stores
from tests.support.following_indexes import following
from tests.support.store_servers import Backend, ValkeyServer
from tests.support.waiting import in_loop, until
from workers.knowledge.indexes import Indexes
from workers.knowledge.preparer import Preparer

TEA = CollectionRef("default", "tea")


def about(name: str, what: str) -> Document:
    return Document(name, f"This text is about {what}.")


async def finds(indexes: Indexes, question: str, *expected: str, collection: CollectionRef = TEA) -> bool:
    """Whether just these documents are found, now."""
    passages = await indexes.search(collection, question, 10) or []
    return sorted(p.document for p in passages) == sorted(expected)


async def changes(stores: Stores) -> int:
    return int(await stores.log.xlen(keys.document_changes(TEA)))


@in_loop
async def test_every_follower_finds_what_was_put_changed_and_deleted(backend: Backend) -> None:
    settings = backend.settings()
    async with (
        open_stores(settings) as stores,
        following(settings) as one,
        following(settings) as other,
    ):
        documents = Documents(stores)
        assert await one.search(TEA, "oolong", 3) is None
        await documents.put(TEA, [about("a", "oolong"), about("b", "matcha")])
        for indexes in (one, other):
            await until(lambda indexes=indexes: finds(indexes, "oolong", "a"))
            assert await finds(indexes, "matcha", "b")
        await documents.put(TEA, [about("a", "sencha")])
        for indexes in (one, other):
            await until(lambda indexes=indexes: finds(indexes, "sencha", "a"))
            assert await finds(indexes, "oolong")
        assert await documents.remove(TEA, "a")
        assert not await documents.remove(TEA, "a")
        for indexes in (one, other):
            await until(lambda indexes=indexes: finds(indexes, "sencha"))
            assert await finds(indexes, "matcha", "b")


@in_loop
async def test_a_collection_that_is_deleted_is_gone_and_may_begin_anew(backend: Backend) -> None:
    settings = backend.settings()
    async with open_stores(settings) as stores, following(settings) as indexes:
        documents = Documents(stores)
        await documents.put(TEA, [about("a", "oolong")])
        await until(lambda: finds(indexes, "oolong", "a"))
        assert await documents.drop(TEA)
        assert not await documents.drop(TEA)
        await until(lambda: _is_unknown(indexes))
        assert await documents.counts("default") == {}
        await documents.put(TEA, [about("b", "oolong")])
        await until(lambda: finds(indexes, "oolong", "b"))
        assert await documents.counts("default") == {"tea": 1}


async def _is_unknown(indexes: Indexes) -> bool:
    return await indexes.search(TEA, "oolong", 3) is None


@in_loop
async def test_a_new_follower_reads_all_before_it_answers(backend: Backend) -> None:
    settings = backend.settings()
    async with open_stores(settings) as stores:
        await Documents(stores).put(TEA, [about(f"d{number}", f"kind{number}") for number in range(250)])
        async with following(settings) as indexes:
            assert await finds(indexes, "kind0", "d0")
            assert await finds(indexes, "kind249", "d249")


@in_loop
async def test_tenants_and_collections_are_apart(backend: Backend) -> None:
    settings = backend.settings()
    coffee, theirs = CollectionRef("default", "coffee"), CollectionRef("other", "tea")
    async with open_stores(settings) as stores, following(settings) as indexes:
        for number, collection in enumerate((TEA, coffee, theirs)):
            await Documents(stores).put(collection, [about(f"d{number}", "oolong")])
        for number, collection in enumerate((TEA, coffee, theirs)):
            await until(
                lambda number=number, c=collection: finds(indexes, "oolong", f"d{number}", collection=c)
            )


@in_loop
async def test_a_lost_wake_up_costs_a_moment_only(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = backend.settings()
    async with open_stores(settings) as stores, following(settings) as indexes:
        documents = Documents(stores)
        await documents.put(TEA, [about("a", "oolong")])
        await until(lambda: finds(indexes, "oolong", "a"))

        async def say_nothing(collection: CollectionRef) -> None:
            pass

        monkeypatch.setattr(documents, "_tell", say_nothing)
        await documents.put(TEA, [about("b", "matcha")])
        await until(lambda: finds(indexes, "matcha", "b"))


@in_loop
async def test_who_missed_changes_that_are_no_longer_kept_reads_all_anew(backend: Backend) -> None:
    settings = backend.settings()
    async with open_stores(settings) as stores, following(settings) as indexes:
        documents = Documents(stores)
        await documents.put(TEA, [about("a", "oolong"), about("b", "matcha")])
        await until(lambda: finds(indexes, "matcha", "b"))
        pipe = stores.log.pipeline(transaction=True)
        pipe.hdel(keys.documents(TEA), "a")
        pipe.xtrim(keys.document_changes(TEA), maxlen=0, approximate=False)
        pipe.xadd(keys.document_changes(TEA), {"ids": b"[]"})
        await pipe.execute()
        await until(lambda: finds(indexes, "oolong"))
        assert await finds(indexes, "matcha", "b")


@in_loop
async def test_a_store_that_was_away_is_followed_again(mortal_server: ValkeyServer, mortal: Backend) -> None:
    settings = mortal.settings()
    async with open_stores(settings) as stores, following(settings) as indexes:
        documents = Documents(stores)
        await documents.put(TEA, [about("a", "oolong")])
        await until(lambda: finds(indexes, "oolong", "a"))
        mortal_server.kill()
        with pytest.raises(StoreUnavailable):
            await documents.put(TEA, [about("b", "matcha")])
        assert await finds(indexes, "oolong", "a")  # what was read stays at hand
        mortal_server.start()
        await documents.put(TEA, [about("b", "matcha")])
        await until(lambda: finds(indexes, "matcha", "b"))


@in_loop
async def test_documents_are_listed_page_by_page(backend: Backend) -> None:
    settings = backend.settings()
    async with open_stores(settings) as stores:
        documents = Documents(stores)
        put = [Document(f"d{number:03}", "Some text.", "T", {"n": number}) for number in range(25)]
        await documents.put(TEA, put[::-1])
        assert await documents.page(TEA, "", 10) == put[:10]
        assert await documents.page(TEA, "d009", 10) == put[10:20]
        assert await documents.page(TEA, "d024", 10) == []
        assert await documents.get(TEA, "d007") == put[7]
        assert await documents.get(TEA, "d999") is None
        assert await documents.count(TEA) == 25
        assert await documents.count(TEA, ["d001", "d999"]) == 26


@in_loop
async def test_putting_again_and_deleting_what_is_gone_leaves_nothing_behind(backend: Backend) -> None:
    settings = backend.settings()
    async with open_stores(settings) as stores:
        documents = Documents(stores)
        for _ in range(3):
            await documents.put(TEA, [about("a", "oolong")])
        assert await changes(stores) == 3
        assert await documents.count(TEA) == 1
        await documents.drop(TEA)
        assert not await documents.remove(TEA, "a")
        assert await changes(stores) == 0  # a deletion brings nothing back


class _SlowPreparer(Preparer):
    """As the worker's, with documents that are worse than any text can be."""

    def __init__(self, timeout_s: float) -> None:
        super().__init__(timeout_s, "tests.support.slow_preparing")
        self.asked: list[str] = []

    async def prepare(self, document: Document) -> list[Prepared]:
        self.asked.append(document.id)
        return await super().prepare(document)


@in_loop
async def test_a_document_that_cannot_be_read_is_marked_left_out_and_not_tried_again(
    valkey: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    preparers: list[_SlowPreparer] = []

    def preparer(timeout_s: float) -> _SlowPreparer:
        preparers.append(_SlowPreparer(2.0))
        return preparers[-1]

    monkeypatch.setattr("workers.knowledge.indexes.Preparer", preparer)
    settings = valkey.settings()
    bad = {"never": "document_too_slow", "crash": "document_crashed", "garbled": "document_unreadable"}
    async with open_stores(settings) as stores:
        documents = Documents(stores)
        given = [about("a", "oolong"), *(about(name, f"{name} oolong") for name in bad), about("z", "oolong")]
        async with following(settings) as indexes:
            await documents.put(TEA, given)
            await until(lambda: finds(indexes, "oolong", "a", "z"), within_s=60)
        assert await documents.failures(TEA, given) == bad
        async with following(settings) as again:  # as after a restart
            await until(lambda: finds(again, "oolong", "a", "z"), within_s=60)
            assert preparers[-1].asked and not set(preparers[-1].asked) & set(bad)
            await documents.put(TEA, [about("never", "sencha")])
            await until(lambda: finds(again, "sencha", "never"), within_s=60)
        assert "never" not in await documents.failures(TEA, given)
