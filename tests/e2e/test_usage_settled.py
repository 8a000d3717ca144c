"""Usage: what a client was told that a turn cost is what its tenant is shown."""

import json

from tests.support.gateway_stack import Stack
from tests.support.processes import until


def test_a_turn_is_counted_with_what_its_client_was_told(stack: Stack) -> None:
    def counted() -> dict[str, int]:
        total: dict[str, int] = stack.client.get("/v1/usage", params={"by": "total"}).json()["total"]
        return total

    until(lambda: not stack.redis.zcard("fr:unsettled"), what="the settling of earlier turns")
    before = counted()
    stack.simulator.draft(text="One moment.")
    model = stack.simulator.full(text="We open at nine. Come in.", ttft_ms=300)
    heard = stack.hear(model, stream_options={"include_usage": True})
    told = next(usage for data in reversed(heard.data[:-1]) if (usage := json.loads(data).get("usage")))
    until(lambda: not stack.redis.zcard("fr:unsettled"), what="the settling")
    now = {name: number - before[name] for name, number in counted().items()}
    assert (now["turns"], now["drafted"], now["draft_wins"]) == (1, 1, 1)
    assert now["total_tokens"] == told["total_tokens"] > 0
    assert now["draft_completion_tokens"] + now["full_completion_tokens"] == told["completion_tokens"]
    assert now["estimated_tokens"] == 0
