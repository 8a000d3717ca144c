"""A gateway that keeps no caller's numbers: after the call they are nowhere, and the call goes on as ever."""

import gzip
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.gateway_stack import Simulator, Stack, user
from tests.support.processes import until

SAID = "Your number is 555-123-4567, and we write to jane@example.com."
MASKED = "Your number is xxx-xxx-xxxx, and we write to xxxx@xxxxxxx.xxx."
PLANTED = re.compile(r"(?<!\w)(4567|4111|jane)(?!\w)")  # in ids and digests there are such digits too


@pytest.fixture
def private(simulator: Simulator, tmp_path: Path) -> Iterator[Stack]:
    settings = {
        "FAST_REPLY_RECORD": "redacted",
        "FAST_REPLY_REDACT_AFTER_S": "0",
        "FAST_REPLY_ARCHIVE_URL": str(tmp_path / "calls"),
        "FAST_REPLY_ARCHIVE_AFTER_S": "0",
        "FAST_REPLY_KEEP_S": "0.1",
    }
    with Stack(simulator, tmp_path, settings).running() as stack:
        yield stack
        assert stack.bugs() == []


def test_after_a_call_its_numbers_are_nowhere(private: Stack, tmp_path: Path) -> None:
    model = private.simulator.full(text=SAID)
    for _ in range(2):
        asked = [user("Is it 4111 1111 1111 1111?")]
        answer = private.ask(model, session_id="call", messages=asked)
        assert answer.json()["choices"][0]["message"]["content"].endswith(SAID)
    until(lambda: not private.log("call"), what="the move to the archive")
    turns = private.client.get("/v1/sessions/call").json()["turns"]
    for turn in turns:
        assert turn["text"].endswith(MASKED) and turn["asked"] == "Is it xxxx xxxx xxxx xxxx?"
        assert (turn["record"], turn["reason"], turn["drift"]) == ("redacted", "stop", False)
        assert private.client.get(f"/v1/sessions/call/turns/{turn['id']}").status_code == 200
    (file,) = (tmp_path / "calls").rglob("*.jsonl.gz")
    logs = [path.read_text() for path in tmp_path.rglob("*.log")]
    assert len(logs) > 3
    for place in (gzip.decompress(file.read_bytes()).decode(), private.held(), *logs):
        assert not PLANTED.search(place)


def test_a_session_named_after_its_caller_is_kept_under_another_name(private: Stack, tmp_path: Path) -> None:
    model = private.simulator.full(text=SAID)
    answers = [private.ask(model, session_id="+15554567", messages=[user("Hi")]) for _ in range(2)]
    (name,) = {answer.headers["X-Session-ID"] for answer in answers}
    assert name.startswith("hidden-")
    until(lambda: not private.log(name), what="the move to the archive")
    for path in ("%2B15554567", name):
        told = private.client.get(f"/v1/sessions/{path}").json()
        assert (told["id"], len(told["turns"])) == (name, 2)
    listed = [each["id"] for each in private.client.get("/v1/sessions").json()["data"]]
    assert listed == [name]
    files = [str(path) for path in (tmp_path / "calls").rglob("*.jsonl.gz")]
    logs = [path.read_text() for path in tmp_path.rglob("*.log")]
    for place in (*files, private.held(), *logs):
        assert "15554567" not in place
    assert private.client.delete("/v1/sessions/%2B15554567").status_code == 204
    assert private.client.get(f"/v1/sessions/{name}").status_code == 404
