"""Bare connections, for what no HTTP client would send."""

import asyncio

import httpx

HOST = b"Host: localhost\r\n"


def head(line: str, *fields: str, host: bytes = HOST) -> bytes:
    """A request's head."""
    return line.encode() + b" HTTP/1.1\r\n" + host + b"".join(f"{f}\r\n".encode() for f in fields) + b"\r\n"


def posted(body: bytes, *fields: str, path: str = "/v1/chat/completions") -> bytes:
    """A whole POST."""
    return (
        head(f"POST {path}", f"Content-Length: {len(body)}", "Content-Type: application/json", *fields) + body
    )


class Bare:
    """One connection, and all that came over it."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._url = client.base_url
        self.came = b""

    async def __aenter__(self) -> "Bare":
        self.reader, self.writer = await asyncio.open_connection(self._url.host, self._url.port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.writer.close()

    async def send(self, *pieces: bytes) -> "Bare":
        for piece in pieces:
            self.writer.write(piece)
            try:
                await self.writer.drain()
            except OSError:
                break  # it was refused meanwhile
        return self

    async def until(self, mark: bytes) -> bytes:
        """Read until this has come."""
        while mark not in self.came:
            piece = await asyncio.wait_for(self.reader.read(65_536), 20)
            assert piece, f"the connection ended: {self.came!r}"
            self.came += piece
        return self.came

    async def rest(self) -> bytes:
        """Read to the end."""
        try:
            self.came += await asyncio.wait_for(self.reader.read(), 20)
        except ConnectionResetError:
            assert self.came, "the connection broke without a word"
        return self.came

    async def status(self) -> int:
        """The status of an answer after which the server closes."""
        return int((await self.rest()).split(b" ", 2)[1])
