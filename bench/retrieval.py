"""Retrieval: how long a worker takes to find passages, and how soon it finds a new document.

Search: 10,000 documents in three languages in one collection, followed by a worker's indexes over a real
    store; a question is three words of one document and two of another. Target: p95 at most 10 ms.
Found: from the put of a new document to the first search that finds it. Target: at most 1 s.
"""

import argparse
import asyncio
import random
from time import monotonic

from bench import report
from bench.report import Result, scaled, spread_ms
from bench.stack import Processes
from common.knowledge.documents import Document, Documents
from common.names import CollectionRef
from common.settings import Settings
from common.store.redis import open_stores
from workers.knowledge.indexes import Indexes

_DOCUMENTS = 10_000
_SEARCHES = 1_000
_NEW = 50
_TOP = 4
_WORDS = 4_000  # of each language
_COLLECTION = CollectionRef("default", "bench")
_SYLLABLES = (
    ("ba", "do", "ki", "lo", "mer", "tan", "ver", "sil", "con", "gra", "pro", "ent", "ish", "ast", "ile"),
    ("ба", "до", "ки", "ло", "мер", "тан", "вер", "сил", "кон", "гра", "про", "ент", "ость", "ник", "ать"),
)


async def measure(options: argparse.Namespace) -> Result:
    """Both parts, on one index."""
    chance = random.Random(7)
    texts = _texts(chance, scaled(options, _DOCUMENTS))
    with Processes() as processes:
        settings = Settings.model_validate({"redis_url": processes.start_valkey()})
        async with open_stores(settings) as writing, open_stores(settings) as following:
            documents, indexes = Documents(writing), Indexes(following)
            put = [Document(f"d{number}", text) for number, text in enumerate(texts)]
            for begin in range(0, len(put), 1_000):
                await documents.put(_COLLECTION, put[begin : begin + 1_000])
            begun_s = monotonic()
            run = asyncio.create_task(indexes.run())
            await indexes.search(_COLLECTION, texts[0], _TOP)
            read_s = monotonic() - begun_s
            searches = await _search(indexes, chance, texts, scaled(options, _SEARCHES))
            found = [await _find_new(documents, indexes, number) for number in range(scaled(options, _NEW))]
            run.cancel()
            await asyncio.gather(run, return_exceptions=True)
    title = f"{len(texts)} documents, read at the start in {read_s:.1f} s"
    return {title: {"search": spread_ms(searches), "new document found": spread_ms(found)}}


async def _search(indexes: Indexes, chance: random.Random, texts: list[str], count: int) -> list[float]:
    times = []
    for _ in range(count):
        one, other = chance.sample(texts, 2)
        question = " ".join(chance.sample(one.split(), 3) + chance.sample(other.split(), 2))
        begun_s = monotonic()
        passages = await indexes.search(_COLLECTION, question, _TOP)
        times.append(monotonic() - begun_s)
        if not passages:
            raise RuntimeError("nothing was found")
        await asyncio.sleep(0)
    return times


async def _find_new(documents: Documents, indexes: Indexes, number: int) -> float:
    """Return how long until the document is found, in seconds."""
    name = f"novelty{number}"
    begun_s = monotonic()
    await documents.put(_COLLECTION, [Document(name, f"The {name} is here.")])
    while True:
        passages = await indexes.search(_COLLECTION, name, 1)
        if passages and passages[0].document == name:
            return monotonic() - begun_s


def _texts(chance: random.Random, count: int) -> list[str]:
    """Made-up texts of 60 to 200 words, whose words are as unequally common as those of a language."""
    languages = [_vocabulary(chance, syllables) for syllables in _SYLLABLES] + [_characters(chance)]
    weights = [1 / rank for rank in range(1, _WORDS + 1)]
    texts = []
    for number in range(count):
        words = chance.choices(languages[number % len(languages)], weights, k=chance.randint(60, 200))
        sentences = [" ".join(words[at : at + 12]) for at in range(0, len(words), 12)]
        texts.append(". ".join(sentences) + ".")
    return texts


def _vocabulary(chance: random.Random, syllables: tuple[str, ...]) -> list[str]:
    return ["".join(chance.choices(syllables, k=chance.randint(1, 4))) for _ in range(_WORDS)]


def _characters(chance: random.Random) -> list[str]:
    """Words of one to four Chinese characters."""
    common = [chr(chance.randint(0x4E00, 0x5E00)) for _ in range(1_500)]
    return ["".join(chance.choices(common, k=chance.randint(1, 4))) for _ in range(_WORDS)]


if __name__ == "__main__":
    report.run(report.parser(__doc__).parse_args(), {"retrieval": measure})
