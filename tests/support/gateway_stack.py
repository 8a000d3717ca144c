"""The whole gateway as real processes: store, simulated models, API, workers of both lanes."""

import itertools
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import redis

from cli.store import valkey_command
from common.events import Entry, LaneStarted, TurnEnded, TurnStarted
from common.log.stream import decode_entries
from common.turn.fold import Fold
from common.turn.outputs import Output
from tests.support.heard_stream import Stream, open_stream
from tests.support.processes import Process, free_port, gateway_process, until
from tests.support.redis_replies import at_once, contents

PATH = "/v1/chat/completions"
_LANES = ("draft", "full", "speech")
_numbers = itertools.count(1)


class Simulator:
    """The stand-in model server, and what it saw."""

    def __init__(self, folder: Path) -> None:
        self.url = f"http://127.0.0.1:{free_port()}"
        port = self.url.rpartition(":")[2]
        # Models of no delay: a test says which of them is to be slow.
        pace = [f"--{lane}-{time}-ms=0" for lane in ("draft", "full") for time in ("ttft", "tpot")]
        command = (sys.executable, "-m", "simulator", "--port", port, *pace)
        self.process = Process("simulator", command, {}, folder / "simulator.log")
        self.client = httpx.Client(base_url=self.url, timeout=20, trust_env=False)

    @contextmanager
    def running(self) -> Iterator["Simulator"]:
        """It answers within the block."""
        try:
            self.process.start()
            until(lambda: _answers(self.client, "/healthz"), what="the simulator's answer")
            yield self
        finally:
            self.client.close()
            self.process.kill()

    def reset(self) -> None:
        """Forget what was seen; the draft behaves as configured again."""
        self.client.post("/simulator/reset").raise_for_status()
        self.client.delete("/simulator/models/draft").raise_for_status()

    def draft(self, **behaviour: Any) -> None:
        """How the draft's model behaves from now on."""
        self._behave("draft", behaviour)

    def full(self, **behaviour: Any) -> str:
        """A model for the full lane of its own, which behaves so; its name."""
        name = f"full-{next(_numbers)}"
        self._behave(name, behaviour)
        return name

    def change(self, model: str, **behaviour: Any) -> None:
        """How a model answers the requests that come from now on."""
        self._behave(model, behaviour)

    def stats(self, model: str) -> dict[str, int]:
        """How the streams of a model went."""
        counts = self.client.get("/simulator/stats").json()["models"].get(model, {})
        return {"started": 0, "live": 0, "finished": 0, "cut_by_client": 0, "faulted": 0, **counts}

    def requests(self, model: str) -> list[dict[str, Any]]:
        """The bodies that this model was sent."""
        bodies = self.client.get("/simulator/requests").json()["requests"]
        return [body for body in bodies if body.get("model") == model]

    def streams(self, model: str) -> list[dict[str, Any]]:
        """What is known of this model's streams."""
        streams = self.client.get("/simulator/streams").json()["streams"]
        return [stream for stream in streams if stream["model"] == model]

    def all_quiet(self) -> bool:
        """Whether no stream is live."""
        models = self.client.get("/simulator/stats").json()["models"]
        return not any(counts["live"] for counts in models.values())

    def _behave(self, model: str, behaviour: Mapping[str, Any]) -> None:
        self.client.put(f"/simulator/models/{model}", json=behaviour).raise_for_status()


@dataclass
class Stack:
    """One gateway. Worker processes are named `draft-1`, `full-1`, `full-2`…, the others by what they are.

    The second API replica, if there is one, gives its streams ample time to end when it is told to go.
    """

    simulator: Simulator
    folder: Path
    settings: Mapping[str, str]
    full_workers: int = 1
    speech_workers: int = 0
    replicas: int = 1
    processes: dict[str, Process] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.simulator.reset()  # of what it was asked for others
        store_port, ports = free_port(), [free_port() for _ in range(self.replicas)]
        self.url = f"http://127.0.0.1:{ports[0]}"
        self.redis_url = f"redis://127.0.0.1:{store_port}/0"
        env = {
            "REDIS_URL": self.redis_url,
            "LLM_BASE_URL": f"{self.simulator.url}/v1",
            "FAST_REPLY_TRANSCRIPTION_URL": f"{self.simulator.url}/v1",
            "FAST_REPLY_CAILA_URL": f"{self.simulator.url}/v1",
            "LLM_MODEL": "full",
            "SMALL_MODEL": "draft",
            **self.settings,
        }
        store = tuple(valkey_command(store_port, self.folder))
        self.store = self._add(Process("store", store, {}, self.folder / "store.log"))
        self.api = self._add_api("api", {**env, "FAST_REPLY_PORT": str(ports[0])})
        for number, port in enumerate(ports[1:], 1):
            name = "replica" if number == 1 else f"replica-{number}"
            self._add_api(name, {**env, "FAST_REPLY_PORT": str(port), "FAST_REPLY_DRAIN_S": "20"})
        for lane, count in (("draft", 1), ("full", self.full_workers), ("speech", self.speech_workers)):
            for number in range(1, count + 1):
                name = f"{lane}-{number}"
                self._add(gateway_process(name, f"worker {lane}", env, self.folder / f"{name}.log"))
        self.redis = redis.Redis.from_url(self.redis_url, socket_timeout=5)
        urls = [f"http://127.0.0.1:{port}" for port in ports]
        self.clients = [httpx.Client(base_url=url, timeout=60, trust_env=False) for url in urls]
        self.client = self.clients[0]

    @contextmanager
    def running(self) -> Iterator["Stack"]:
        """All of it works at the start of the block, and is gone after it."""
        try:
            self.heal()
            yield self
        finally:
            self.stop()

    def heal(self) -> None:
        """Start what doesn't run, and wait until all of it works."""
        self.store.heal()
        self.wait_for_store()
        for process in self.processes.values():
            process.heal()
        until(self.ready, what="the gateway's readiness")

    def wait_for_store(self) -> None:
        """Wait until the store answers."""
        until(self._store_answers, what="the store's answer")

    def ready(self) -> bool:
        """Whether the API answers and these very workers have beaten."""
        if not all(_answers(client, "/readyz") for client in self.clients):
            return False
        workers = self.client.get("/readyz").json()["workers"]
        beaten = {lane: at_once(self.redis.zrange(f"fr:workers:{lane}", 0, -1)) for lane in _LANES}
        mine = all(
            any(f":{process.pid}:".encode() in worker for worker in beaten[name.partition("-")[0]])
            for name, process in self.processes.items()
            if name.startswith(_LANES)
        )
        return mine and workers["draft"] >= 1 and workers["full"] >= self.full_workers

    def stop(self) -> None:
        """End everything."""
        for client in self.clients:
            client.close()
        self.redis.close()
        for process in self.processes.values():
            process.kill()

    def bugs(self) -> list[str]:
        """Log lines that no process of a healthy gateway writes."""
        lines = [line for process in self.processes.values() for line in process.words().splitlines()]
        marks = ('"level":"ERROR"', '"level":"CRITICAL"', "Traceback", "Warning:", "Python warns")
        return [line for line in lines if any(mark in line for mark in marks)]

    # As a client.

    @contextmanager
    def stream(
        self, model: str, *, path: str = PATH, lanes: bool = True, replica: int = 0, **fields: Any
    ) -> Iterator[Stream]:
        """Ask, and hear the answer as it comes."""
        headers = {"X-Fast-Reply-Lanes": "1"} if lanes else {}
        headers |= fields.pop("headers", {})
        body = {"model": model, "stream": True, "messages": [user("Hello")], **fields}
        with open_stream(self.clients[replica], path, body, headers) as stream:
            yield stream

    def hear(self, model: str, **fields: Any) -> Stream:
        """Ask, and hear the answer to its end."""
        with self.stream(model, **fields) as stream:
            stream.read()
        return stream

    def ask(self, model: str, **fields: Any) -> httpx.Response:
        """Ask for the answer as a whole."""
        return self.client.post(PATH, json={"model": model, "messages": [user("Hello")], **fields})

    # As who can look into the store.

    def log(self, session: str) -> list[Entry]:
        """A session's log."""
        return decode_entries(at_once(self.redis.xrange(f"fr:{{default:{quote(session, safe='')}}}:log")))

    def started(self, session: str) -> TurnStarted:
        """The start of a session's first turn."""
        event = self.log(session)[0].event
        assert isinstance(event, TurnStarted)
        return event

    def held(self) -> str:
        """All that the store holds, keys and values, to be searched."""
        keys = list(self.redis.scan_iter())
        return repr([(key, contents(self.redis, at_once(self.redis.type(key)), key)) for key in keys])

    def ended(self, session: str) -> list[TurnEnded]:
        """The endings in a session's log."""
        return [entry.event for entry in self.log(session) if isinstance(entry.event, TurnEnded)]

    def worker(self, session: str, lane: str) -> Process:
        """The process that began the latest attempt at a lane."""
        begun = [e.event for e in self.log(session) if isinstance(e.event, LaneStarted)]
        pid = int([event.worker for event in begun if event.lane == lane][-1].split(":")[1])
        return next(process for process in self.processes.values() if process.pid == pid)

    def attempts(self, session: str, lane: str) -> list[int]:
        """The attempts at a lane that have begun, in the log's order."""
        begun = [e.event for e in self.log(session) if isinstance(e.event, LaneStarted)]
        return [event.attempt for event in begun if event.lane == lane]

    def refold(self, session: str) -> list[Output]:
        """What the log of a session with one turn lets out when it is folded anew."""
        first, *others = self.log(session)
        assert isinstance(first.event, TurnStarted)
        fold = Fold(first.event)
        return [release for e in others for release in fold.feed(e.event, e.ms - first.ms)]

    def _add(self, process: Process) -> Process:
        self.processes[process.name] = process
        return process

    def _add_api(self, name: str, env: Mapping[str, str]) -> Process:
        return self._add(gateway_process(name, "api", env, self.folder / f"{name}.log"))

    def _store_answers(self) -> bool:
        try:
            return bool(self.redis.ping())
        except redis.RedisError:
            return False


def user(text: str) -> dict[str, str]:
    """A message of the user's."""
    return {"role": "user", "content": text}


def _answers(client: httpx.Client, path: str) -> bool:
    try:
        return client.get(path, timeout=5).status_code == 200
    except httpx.HTTPError:
        return False
