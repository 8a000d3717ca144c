"""Reading server-sent events, cut anywhere."""

import pytest

from common.sse import MAX_EVENT_BYTES, ServerEvent, SSEParser

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
