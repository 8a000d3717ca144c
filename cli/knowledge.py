"""`fast-reply knowledge`: adds documents to a gateway's collections, lists and deletes them."""

from collections.abc import AsyncIterator, Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import orjson
from rich.progress import BarColumn, DownloadColumn, Progress, TaskProgressColumn, TextColumn

from cli.gateway import Refused, run, send
from cli.show import printable

_BATCH_BYTES = 500_000
_BATCH_LINES = 200
_LINES = (".jsonl", ".ndjson")
_KIND = "application/jsonl"


def add(url: str, key: str, collection: str, files: list[Path]) -> int:
    """Put the documents in these files into a collection; return the exit code."""

    async def work(client: httpx.AsyncClient) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), DownloadColumn())
        with Progress(*columns) as progress:
            bar = progress.add_task(printable(collection), total=sum(path.stat().st_size for path in files))
            count = 0
            for path in files:
                for batch in _batches(_documents(path)):
                    body = b"\n".join(batch)
                    await send(client, "PUT", _path(collection), what=str(path), content=body, kind=_KIND)
                    count += len(batch)
                    progress.advance(bar, sum(len(line) + 1 for line in batch))
            progress.update(bar, completed=progress.tasks[0].total)
        print(f"{count} documents in {collection}")

    return run(url, key, work)


def show(url: str, key: str, collection: str) -> int:
    """Print a collection's documents, or all collections, one a line; return the exit code."""

    async def work(client: httpx.AsyncClient) -> None:
        if not collection:
            for row in (await send(client, "GET", "/v1/knowledge"))["data"]:
                print(f"{row['id']}\t{row['documents']} documents")
        else:
            async for row in _pages(client, collection):
                print(printable(f"{row['id']}\t{row['chars']} characters\t{row['title']}").rstrip())

    return run(url, key, work)


def delete(url: str, key: str, collection: str, documents: list[str]) -> int:
    """Delete documents, or the whole collection if none are given; return the exit code."""

    async def work(client: httpx.AsyncClient) -> None:
        for document in documents:
            await send(client, "DELETE", f"{_path(collection)}/{quote(document, safe='')}", what=document)
        if not documents:
            await send(client, "DELETE", _path(collection), what=collection)
        print(f"{len(documents)} documents deleted" if documents else f"{collection} deleted")

    return run(url, key, work)


async def _pages(client: httpx.AsyncClient, collection: str) -> AsyncIterator[dict[str, Any]]:
    after, more = "", True
    while more:
        query = f"?limit=100&after={quote(after, safe='')}"
        page = await send(client, "GET", _path(collection) + query, what=collection)
        for row in page["data"]:
            yield row
        after, more = page["last_id"], page["has_more"]


def _path(collection: str) -> str:
    return f"/v1/knowledge/{quote(collection, safe='')}/documents"


def _documents(path: Path) -> Iterator[bytes]:
    """Return a file's documents: one a line of JSON; a text or Markdown file is one, named by its path."""
    if path.suffix in _LINES:
        with path.open("rb") as file:
            yield from filter(None, map(bytes.strip, file))
    elif path.suffix == ".json":
        body = orjson.loads(path.read_bytes())
        if not isinstance(body, dict) or not isinstance(body.get("documents"), list):
            raise Refused(f"{path}: holds no list of documents")
        yield from map(orjson.dumps, body["documents"])
    else:
        yield orjson.dumps({"id": path.as_posix(), "text": path.read_text(encoding="utf-8")})


def _batches(lines: Iterable[bytes]) -> Iterator[list[bytes]]:
    batch: list[bytes] = []
    size = 0
    for line in lines:
        if batch and (size + len(line) > _BATCH_BYTES or len(batch) == _BATCH_LINES):
            yield batch
            batch, size = [], 0
        batch.append(line)
        size += len(line)
    if batch:
        yield batch
