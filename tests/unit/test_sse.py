"""Reading server-sent events, cut anywhere."""

import pytest

from common.net.sse import MAX_EVENT_BYTES, ServerEvent, SSEParser

STREAM = (
    'id: 1\r\nevent: x\r\ndata: {"t":"né\u2028\u0085"}\r\n\r\n: hi\n\ndata: a\ndata:b\n\ndata: [DONE]\n\n'
).encode()
EVENTS = [
    ServerEvent('{"t":"né\u2028\u0085"}'.encode(), "1", "x"),
    ServerEvent(b"a\nb", "1", ""),
    ServerEvent(b"[DONE]", "1", ""),
]


def test_events_are_whole_wherever_the_bytes_are_cut() -> None:
    for cut in range(len(STREAM) + 1):
        parser = SSEParser()
        assert parser.feed(STREAM[:cut]) + parser.feed(STREAM[cut:]) == EVENTS
    parser = SSEParser()
    assert [event for byte in STREAM for event in parser.feed(bytes([byte]))] == EVENTS


def test_an_event_without_end_is_refused() -> None:
    parser = SSEParser()
    with pytest.raises(ValueError, match="larger"):
        for _ in range(MAX_EVENT_BYTES // 65_536 + 1):
            parser.feed(b"d" * 65_536)


def parsed(stream: bytes, *, size: int = 1) -> list[ServerEvent]:
    parser = SSEParser()
    return [event for at in range(0, len(stream), size) for event in parser.feed(stream[at : at + size])]


@pytest.mark.parametrize(
    ("stream", "events"),
    [
        (b"\xef\xbb\xbfdata: a\n\n", [ServerEvent(b"a")]),  # a byte order mark
        (b"data: \xef\xbb\xbfa\n\n", [ServerEvent(b"\xef\xbb\xbfa")]),  # only before all else
        (b"data: a\r\rdata: b\r\n\r\ndata: c\n\n", [ServerEvent(b"a"), ServerEvent(b"b"), ServerEvent(b"c")]),
        (b"data: a\r\ndata: b\r\rdata: c\n\r", [ServerEvent(b"a\nb"), ServerEvent(b"c")]),
        (b"data\n\ndata:\n\n: hi\n\n", [ServerEvent(b""), ServerEvent(b"")]),
        (b"data\ndata\n\n", [ServerEvent(b"\n")]),
        (b"data:a\ndata: b\ndata:  c\n\n", [ServerEvent(b"a\nb\n c")]),
        (b"id: 1\0\nid: 2\nid\ndata: a\n\n", [ServerEvent(b"a", "")]),
        (b"id: 2\nid: 1\0\ndata: a\n\n", [ServerEvent(b"a", "2")]),  # no id at all
        (b"event: lost\n\ndata: a\n\nevent: x\ndata: b\n\n", [ServerEvent(b"a"), ServerEvent(b"b", "", "x")]),
        (b"retry: 5\nunknown: x\n x: 1\ndata : y\ndata: a\n\n", [ServerEvent(b"a")]),
        (b"data: a\n\ndata: cut off", [ServerEvent(b"a")]),
    ],
)
def test_what_the_standard_says(stream: bytes, events: list[ServerEvent]) -> None:
    assert [parsed(stream, size=size) for size in (1, 2, 3, len(stream))] == [events] * 4


def test_an_event_without_end_is_had_at_the_streams() -> None:
    parser = SSEParser()
    assert parser.feed(b"event: x\ndata: a") == []
    assert parser.end() == [ServerEvent(b"a", "", "x")]
    assert parser.end() == []


@pytest.mark.parametrize("piece", [b"data:\n", b"x" * 4_096, b"data: " + b"x" * 4_000 + b"\n"])
def test_what_is_kept_of_an_event_is_bounded_however_it_comes(piece: bytes) -> None:
    parser = SSEParser()
    with pytest.raises(ValueError, match="larger"):
        for _ in range(2 * MAX_EVENT_BYTES):
            parser.feed(piece)
