"""A search of knowledge whose answer is given."""

import asyncio

from common.names import CollectionRef
from workers.knowledge.passages import Passage


class Found:
    """A search that always finds the same, or fails so."""

    def __init__(self, *passages: Passage, error: Exception | None = None, held: bool = False) -> None:
        self.passages, self.error, self.held = passages, error, held
        self.asked: list[tuple[CollectionRef, str, int]] = []

    async def search(self, collection: CollectionRef, question: str, most: int) -> list[Passage] | None:
        self.asked.append((collection, question, most))
        if self.held:
            await asyncio.Event().wait()
        if self.error:
            raise self.error
        return list(self.passages) or None
