import socket
from pathlib import Path

import pytest

from cli.stack import PortTaken, Stack, UpOptions, build_stack, check_port
from common.settings import Settings


def stack_of(plan: UpOptions | None = None, **environ: str) -> Stack:
    with build_stack(Settings(port=8123), plan or UpOptions(), environ) as stack:
        return stack


def names(stack: Stack) -> list[str]:
    return [child.name for child in (*stack.backing, *stack.serving)]


def test_with_nothing_configured_everything_runs_here() -> None:
    stack = stack_of()
    assert names(stack) == ["valkey", "simulator", "api", "draft-worker", "full-worker", "speech-worker"]
    env = stack.serving[0].env
    valkey_port, simulator_port = stack.ports
    assert env["REDIS_URL"] == f"redis://127.0.0.1:{valkey_port}/0"
    assert env["LLM_BASE_URL"] == f"http://127.0.0.1:{simulator_port}/v1"
    assert (env["SMALL_MODEL"], env["LLM_MODEL"], env["FAST_REPLY_PORT"]) == ("draft", "full", "8123")


def test_what_the_environment_names_is_used_as_it_is() -> None:
    stack = stack_of(REDIS_URL="redis://store:6379/1", LLM_BASE_URL="https://models.example/v1")
    assert names(stack) == ["api", "draft-worker", "full-worker", "speech-worker"]
    env = stack.serving[0].env
    assert env["REDIS_URL"] == "redis://store:6379/1" and "SMALL_MODEL" not in env
    assert stack.simulator_url is None


def test_a_process_holds_no_secret_that_it_has_no_use_for() -> None:
    own = {
        "FAST_REPLY_OPERATOR_TOKEN": "operators",
        "LLM_API_KEY": "models",
        "SMALL_MODEL_API_KEY_FILE": "/k",
    }
    stack = stack_of(None, **own)
    held = {child.name: child.env.keys() & own.keys() for child in (*stack.serving, *stack.backing)}
    assert held["api"] == own.keys() and held["simulator"] == set()
    assert held["full-worker"] == held["draft-worker"] == own.keys() - {"FAST_REPLY_OPERATOR_TOKEN"}
    (simulator,) = (child for child in stack.backing if child.name == "simulator")
    assert "FAST_REPLY_SECRET_KEY" not in simulator.env
    in_file = stack_of(FAST_REPLY_SECRET_KEY_FILE="/run/secrets/key").serving[0].env
    assert "FAST_REPLY_SECRET_KEY" not in in_file


def test_secrets_are_sealed_with_a_key_that_all_processes_share() -> None:
    made = {child.env["FAST_REPLY_SECRET_KEY"] for child in stack_of().serving}
    assert len(made) == 1 and len(made.pop()) > 40
    assert stack_of(FAST_REPLY_SECRET_KEY="own").serving[0].env["FAST_REPLY_SECRET_KEY"] == "own"


def test_chosen_models_stay_chosen_with_the_simulator() -> None:
    env = stack_of(SMALL_MODEL="quick", LLM_MODEL="good").serving[0].env
    assert (env["SMALL_MODEL"], env["LLM_MODEL"]) == ("quick", "good")


def test_workers_are_numbered_where_there_are_many() -> None:
    assert names(stack_of(UpOptions(draft_workers=2)))[3:] == [
        "draft-worker-1",
        "draft-worker-2",
        "full-worker",
        "speech-worker",
    ]


def test_the_embedded_store_keeps_its_data_where_it_is_told(tmp_path: Path) -> None:
    command = stack_of(UpOptions(data=tmp_path)).backing[0].command
    assert command[command.index("--dir") + 1] == str(tmp_path)
    assert command[command.index("--appendonly") + 1] == "yes"


def test_a_taken_port_is_told_with_a_way_out() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(PortTaken, match=f"port {port} is taken: .* --port {port + 1}"):
            check_port("127.0.0.1", port)
    check_port("127.0.0.1", port)


def test_an_address_of_another_machine_is_told() -> None:
    with pytest.raises(PortTaken, match=r"cannot serve on 192\.0\.2\.1, port 8000"):
        check_port("192.0.2.1", 8000)
