"""A client that closes its stream to cut in: both models are stopped at once, settings being as they are."""

import pytest
from running import until
from stack import Stack

SOON_S = 4.0  # less than the grace of those who come back


@pytest.mark.parametrize("when", ["while the draft speaks", "while nobody speaks", "while the full speaks"])
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/chat/completions"])
def test_a_client_that_leaves_stops_both_models_at_once(stack: Stack, when: str, path: str) -> None:
    stack.simulator.draft(text="Let me look. " * 200, tpot_ms=20, ttft_ms=0 if "draft" in when else 60_000)
    model = stack.simulator.full(ttft_ms=0 if "full" in when else 60_000, tpot_ms=20, text="We open. " * 200)
    with stack.stream(model, path=path) as heard:
        if "nobody" not in when:
            heard.read_until_said("draft" if "draft" in when else "full")
        until(lambda: stack.simulator.stats(model)["live"] == 1)
    until(lambda: stack.simulator.all_quiet(), SOON_S, "the models' silence")
    assert stack.simulator.stats(model)["cut_by_client"] == 1
    until(lambda: [each.reason for each in stack.ended(heard.session)] == ["interrupted"])


def test_a_client_that_waits_for_the_whole_and_leaves_stops_it_at_once(stack: Stack) -> None:
    model = stack.simulator.full(ttft_ms=60_000)
    body = {"model": model, "messages": [{"role": "user", "content": "Hello"}]}
    with pytest.raises(Exception, match="timed out"):
        stack.client.post("/v1/chat/completions", json=body, timeout=1)
    until(lambda: stack.simulator.all_quiet(), SOON_S, "the models' silence")
    assert stack.simulator.stats(model)["cut_by_client"] == 1
