"""Has a child process read documents for this worker's indexes; the child is killed if one takes too long."""

import asyncio

import orjson

from common.knowledge import preparing
from common.knowledge.documents import Document
from common.knowledge.preparing import Prepared
from common.net.framing import pack
from workers.child import Child

_TRIES = 2  # a process may be ended for a reason that is not the document's


class DocumentFailed(Exception):
    """A document could not be made searchable; `code` says why."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Preparer:
    """Prepares one document at a time, each within `timeout_s`."""

    def __init__(self, timeout_s: float, module: str = preparing.__name__) -> None:
        self._timeout_s = timeout_s
        self._child = Child(module)
        self._turn = asyncio.Lock()

    async def prepare(self, document: Document) -> list[Prepared]:
        """Return the document's passages.

        Raises DocumentFailed, or OSError if no process can be started to read it.
        """
        question = pack([document.title, document.text])
        async with self._turn:
            for _ in range(_TRIES):
                await self._child.begin()  # that it can't is not the document's fault
                try:
                    async with asyncio.timeout(self._timeout_s):
                        answer = await self._ask(question)
                except TimeoutError:
                    await self.close()
                    raise DocumentFailed("document_too_slow") from None
                except (OSError, EOFError):
                    await self.close()
                    continue
                except BaseException:  # half an answer must not be taken for the next one's
                    await self.close()
                    raise
                if answer is None:
                    raise DocumentFailed("document_unreadable")
                return [Prepared(*each) for each in answer]
        raise DocumentFailed("document_crashed")

    async def close(self) -> None:
        """End the process."""
        await self._child.close()

    async def _ask(self, question: bytes) -> list[list[str]] | None:
        await self._child.ask(question)
        answer: list[list[str]] | None = orjson.loads(await self._child.answer())
        return answer
