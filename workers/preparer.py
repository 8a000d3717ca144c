"""The process that reads documents for this worker's indexes; it is ended where one takes too long."""

import asyncio
import os
import sys
from contextlib import suppress
from pathlib import Path

import orjson

from common.knowledge import preparing
from common.knowledge.documents import Document
from common.knowledge.preparing import LENGTH_BYTES, Prepared, pack

_TRIES = 2  # a process may be ended for a reason that is not the document's
_ROOT = Path(preparing.__file__).parents[2]
_ENVIRONMENT = ("PATH", "LD_LIBRARY_PATH", "SYSTEMROOT", "LANG")  # no key goes where documents are read


class DocumentFailed(Exception):
    """There is nothing to find of a document; `code` says why."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Preparer:
    """One document at a time; each is given so long."""

    def __init__(self, timeout_s: float, module: str = preparing.__name__) -> None:
        self._timeout_s = timeout_s
        self._module = module
        self._process: asyncio.subprocess.Process | None = None
        self._turn = asyncio.Lock()

    async def prepare(self, document: Document) -> list[Prepared]:
        """The document's passages. Raises DocumentFailed."""
        question = pack([document.title, document.text])
        async with self._turn:
            for _ in range(_TRIES):
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
        process, self._process = self._process, None
        if process:
            with suppress(ProcessLookupError):  # it has just ended
                process.kill()
            await process.communicate()

    async def _ask(self, question: bytes) -> list[list[str]] | None:
        process = self._process or await self._begin()
        assert process.stdin and process.stdout
        process.stdin.write(question)
        await process.stdin.drain()
        head = await process.stdout.readexactly(LENGTH_BYTES)
        answer: list[list[str]] | None = orjson.loads(
            await process.stdout.readexactly(int.from_bytes(head, "big"))
        )
        return answer

    async def _begin(self) -> asyncio.subprocess.Process:
        pipe, environ = asyncio.subprocess.PIPE, {"PYTHONPATH": str(_ROOT)}
        environ |= {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
        command = (sys.executable, "-P", "-m", self._module)
        self._process = await asyncio.create_subprocess_exec(
            *command, stdin=pipe, stdout=pipe, stderr=asyncio.subprocess.DEVNULL, env=environ
        )
        return self._process
