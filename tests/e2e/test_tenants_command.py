"""`fast-reply tenants` against a real gateway."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
import redis
from typer.testing import CliRunner, Result

from cli.main import app
from cli.store import valkey_command
from common.store import keys
from tests.support.processes import Process, free_port, gateway_process, until

OPERATOR = "operators-token-0123456789"
SECRET = "sk-planted-0123456789"
TENANT = """
default_profile = "support"
[profiles.support.full]
base_url = "https://models.example/v1"
model = "big"
"""
Run = Callable[..., Result]


@pytest.fixture(scope="module")
def store_port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def url(store_port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A gateway of its own: a store and an API process."""
    folder, port = tmp_path_factory.mktemp("tenants"), free_port()
    env = {
        "REDIS_URL": f"redis://127.0.0.1:{store_port}/0",
        "FAST_REPLY_PORT": str(port),
        "FAST_REPLY_OPERATOR_TOKEN": OPERATOR,
        "FAST_REPLY_SECRET_KEY": "a key of the tests",
    }
    store = Process("store", tuple(valkey_command(store_port, folder)), {}, folder / "store.log")
    api = gateway_process("api", "api", env, folder / "api.log")
    try:
        store.start()
        api.start()
        url = f"http://127.0.0.1:{port}"
        until(lambda: _run(url)("list").exit_code == 0, what="the gateway's answer")
        yield url
    finally:
        api.kill()
        store.kill()


@pytest.fixture
def run(url: str) -> Run:
    """Runs the command as the operator, unless a key says otherwise."""
    return _run(url)


def _run(url: str) -> Run:
    def run(*words: str | Path, key: str = OPERATOR, told: str | None = None) -> Result:
        command = ["tenants", *map(str, words), "--url", url, "--key", key]
        return CliRunner().invoke(app, command, input=told)

    return run


def test_a_tenant_is_set_up_looked_at_and_deleted(run: Run, url: str, tmp_path: Path) -> None:
    file = tmp_path / "acme.toml"
    file.write_text(TENANT)
    added = run("add", "acme", "--name", "Acme Call Center", "--file", file)
    assert (added.exit_code, added.stdout) == (0, "acme is there\n"), added.output
    assert "acme\tAcme Call Center\tsupport\n" in run("list").stdout

    put = run("secret", "acme", "MODELS", told=f"{SECRET}\n")
    assert (put.exit_code, put.stdout) == (0, "MODELS is put\n"), put.output
    shown = json.loads(run("show", "acme").stdout)
    shown["profiles"]["support"]["full"]["secret"] = "MODELS"
    again = tmp_path / "acme.json"
    again.write_text(json.dumps(shown))
    assert run("set", "acme", "--file", again).exit_code == 0
    in_use = run("secret", "acme", "MODELS", "--delete")
    assert in_use.exit_code == 1 and "profiles.support.full refers to it" in in_use.stderr

    assert run("limits", "acme", "--turns-per-minute", 600).exit_code == 0
    assert run("limits", "acme", "--live-turns", 50).exit_code == 0
    limits = json.loads(run("limits", "acme").stdout)
    assert (limits["turns_per_minute"], limits["live_turns"], limits["tokens_per_day"]) == (600, 50, 0)

    made = run("key", "acme", "--scope", "chat", "--scope", "admin", "--name", "web", "--expires-in", "90d")
    key = made.stdout.strip()
    assert made.exit_code == 0 and key.startswith("frk_") and "only time" in made.stderr
    (line,) = run("keys", "acme").stdout.splitlines()
    key_id, name, scopes, state = line.split("\t")
    assert (name, scopes) == ("web", "chat,admin") and state.startswith("expires ") and key_id in key

    until(lambda: run("show", "acme", key=key).exit_code == 0, what="the key's day")
    assert run("list", key=key).exit_code == 1
    assert run("revoke", "acme", key_id).stdout == f"{key_id} is revoked\n"
    assert "\trevoked " in run("keys", "acme").stdout
    assert run("rotate").stdout == "0 secrets resealed\n"

    until(
        lambda: "login.refused" in run("audit", "acme").stdout, what="the word of the key that asked for all"
    )
    log = [line.split("\t") for line in run("audit", "acme").stdout.splitlines()]
    changes = [row for row in log if row[1] == "operator" and not row[3].startswith("read.")]
    assert [row[3:] for row in changes[:2]] == [
        ["key.revoked", f"acme {key_id}"],
        ["key.created", f"acme {key_id}", "chat,admin"],
    ]
    assert {tuple(row[1:3]) for row in log} == {("operator", "127.0.0.1"), (f"key:{key_id}", "127.0.0.1")}
    assert ["login.refused", "acme"] in [row[3:] for row in log], "the key asked for all tenants"
    assert log[-1][3] == "tenant.created"
    few, all_acts = (run("audit", *most).stdout.splitlines() for most in (("--count", 3), ()))
    newer = all_acts.index(few[0])  # that the log was read is noted a moment later
    later = [act for act in all_acts[newer:] if act in few or "\tread." not in act]
    assert len(few) == 3 and later[:3] == few
    assert run("delete", "acme").stdout == "acme is deleted\n"
    assert "acme" not in run("list").stdout


def test_the_operators_token_comes_from_the_environment(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAST_REPLY_KEY", "frk_of_somebody")
    monkeypatch.setenv("FAST_REPLY_OPERATOR_TOKEN", OPERATOR)
    assert CliRunner().invoke(app, ["tenants", "list", "--url", url]).exit_code == 0


def test_the_log_is_read_over_pages(run: Run, url: str) -> None:
    run("add", "busy")
    headers = {"Authorization": f"Bearer {OPERATOR}"}
    with httpx.Client(base_url=url, headers=headers, trust_env=False) as client:
        for number in range(120):
            client.put("/admin/tenants/busy/limits", json={"live_turns": number}).raise_for_status()
    assert len(run("audit", "busy", "--count", 119).stdout.splitlines()) == 119
    assert run("audit", "busy", "--count", 500).stdout.splitlines()[-1].endswith("tenant.created\tbusy")


def test_what_goes_wrong_is_said_in_one_line(run: Run, tmp_path: Path) -> None:
    bad = tmp_path / "bad.toml"
    bad.write_text('nam = "Acme"\n[profiles.a.full]\nbase_url = "http://10.0.0.1"\n')
    broken = tmp_path / "broken.toml"
    broken.write_text("name = ")
    run("add", "beta")
    for words, says in (
        (("add", "beta"), "there is a tenant of this name"),
        (("add", "Beta"), "id: "),
        (("add", "b", "--file", bad), "profiles.a.full.model: Field required"),
        (("add", "b", "--file", broken), "broken.toml: "),
        (("show", "nobody"), "there is no such tenant"),
        (("key", "beta", "--scope", "root"), "scopes.0: "),
        (("key", "beta", "--scope", "chat", "--expires-in", "soon"), "such as 90d"),
        (("revoke", "beta", "nokey"), "there is no such key"),
        (("secret", "beta", "A B"), "secrets.A B: "),
    ):
        said = run(*words, told="value")
        assert said.exit_code == 1 and says in said.stderr, said.output
        assert said.stderr.count("\n") == 1 and said.stdout == ""
    assert "401" in run("list", key="wrong").stderr
    nobody = CliRunner().invoke(app, ["tenants", "list", "--url", "http://127.0.0.1:9"])
    assert nobody.exit_code == 1 and "can't be reached" in nobody.stderr


def test_the_operator_is_shown_the_turns_that_were_given_up(url: str, store_port: int) -> None:
    def run(key: str = OPERATOR) -> Result:
        return CliRunner().invoke(app, ["parked", "--url", url, "--key", key])

    none = run()
    assert (none.exit_code, none.stdout, none.stderr) == (0, "", "")
    with redis.Redis(port=store_port) as store:
        store.zadd(keys.PARKED, {"acme|turn00000001|folding": 1_700_000_000_000})
        assert run().stdout == "2023-11-14T22:13:20.000Z\tacme\tturn00000001\tfolding\n"
        store.zadd(keys.PARKED, {"zeta|turn00000002|full workers": 1_700_000_060_000})
    assert [line.split("\t")[1:] for line in run().stdout.splitlines()] == [
        ["zeta", "turn00000002", "full workers"],
        ["acme", "turn00000001", "folding"],
    ]
    stranger = run("frk_of_somebody")
    assert (stranger.exit_code, stranger.stdout) == (1, "") and "401" in stranger.stderr


def test_the_list_of_what_was_given_up_is_the_operators(run: Run, url: str) -> None:
    run("add", "gamma")
    made = run("key", "gamma", "--scope", "admin", "--scope", "read").stdout.strip()
    until(lambda: run("show", "gamma", key=made).exit_code == 0, what="the key's day")
    refused = CliRunner().invoke(app, ["parked", "--url", url, "--key", made])
    assert (refused.exit_code, refused.stdout) == (1, "")
    named = CliRunner(env={"FAST_REPLY_KEY": made, "FAST_REPLY_OPERATOR_TOKEN": OPERATOR})
    assert named.invoke(app, ["parked", "--url", url]).exit_code == 0
