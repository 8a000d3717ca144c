"""Answers one request to a model from its first byte to its last."""

import secrets
import time

from simulator.behaviour import Behaviour, behaviour_from_json
from simulator.chat import ChatRequest, RequestError, parse_json_object
from simulator.chunks import completion
from simulator.connection import Connection, Scope
from simulator.dialect import Dialect
from simulator.ledger import Ledger, Outcome, StreamRecord
from simulator.models import Models
from simulator.plan import Plan, make_plan
from simulator.streams import Pace, Speaker
from simulator.texts import Answers


class Completions:
    """The models behind one dialect's path."""

    def __init__(self, models: Models, answers: Answers, ledger: Ledger, dialect: Dialect) -> None:
        self._dialect = dialect
        self._models = models
        self._answers = answers
        self._ledger = ledger

    async def handle(self, scope: Scope, connection: Connection) -> None:
        """Answer; raises BehaviourError before, ConnectionCut after the response began."""
        start_s = time.monotonic()
        body = await connection.read_body()
        if connection.left_s is not None:
            return
        try:
            value = parse_json_object(body)
            self._ledger.note_request(value | {"model": self._dialect.model(scope, value)})
            request = self._dialect.read(scope, value)
        except RequestError as error:
            await connection.answer(*self._dialect.refusal(error.status, error))
            return
        behaviour = self._models.behaviour(request.model)
        if request.simulate is not None:
            behaviour = behaviour_from_json(request.simulate, behaviour)
        stream_id = f"chatcmpl-{secrets.token_hex(14)}"
        plan = make_plan(request, behaviour, self._answers, stream_id)
        record = StreamRecord(
            id=stream_id,
            model=request.model,
            stream=request.stream,
            authorization=any(name == b"authorization" for name, _ in scope["headers"]),
            prompt_chars=sum(map(len, request.texts)),
            prompt_tokens=plan.prompt_tokens,
            started_s=start_s,
        )
        await self._speak(request, behaviour, plan, record, connection)

    async def _speak(
        self,
        request: ChatRequest,
        behaviour: Behaviour,
        plan: Plan,
        record: StreamRecord,
        connection: Connection,
    ) -> None:
        pace = Pace(record.started_s, behaviour, len(plan.tokens), seed=f"{request.model}\n{request.prompt}")
        speaker = Speaker(connection, plan, behaviour, pace, record, self._dialect)
        connection.dribble = behaviour.dribble
        connection.watch()
        self._ledger.begin(record)
        outcome: Outcome = "faulted"  # unless it comes to an end below
        try:
            outcome = await self._say(request, behaviour, plan, speaker, record.id)
        finally:
            connection.unwatch()
            ended_s = connection.left_s if outcome == "cut" else None
            self._ledger.end(record, outcome, ended_s or time.monotonic())

    async def _say(
        self, request: ChatRequest, behaviour: Behaviour, plan: Plan, speaker: Speaker, stream_id: str
    ) -> Outcome:
        if behaviour.stall_headers:
            return await speaker.stall()
        if behaviour.status is not None:
            return await speaker.refuse(behaviour.status)
        created = int(time.time())
        if not request.stream:
            return await speaker.complete(completion(stream_id, created, request.model, plan))
        return await speaker.stream(self._dialect.encoder(stream_id, created, request))
