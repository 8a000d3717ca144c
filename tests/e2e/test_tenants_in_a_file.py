"""A gateway whose tenants are in a file: what is changed there acts within a moment, in every process."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from common.security.secret_box import SecretBox
from common.tenants.api_keys import NewKey, new_key
from tests.support.gateway_stack import PATH, Simulator, Stack, user
from tests.support.processes import until

SECRET_KEY = "a key of the tests"
LEAVING, STAYING = new_key(), new_key()


def written(simulator: Simulator, model: str, *keys: NewKey) -> str:
    """A file with one tenant, whose one profile asks this model."""
    listed = "".join(
        f'[[tenants.acme.keys]]\nid = "{key.id}"\ndigest = "{key.digest}"\nscopes = ["chat", "read"]\n'
        for key in keys
    )
    return (
        "[tenants.acme.profiles.support]\n"
        f'full = {{ base_url = "{simulator.url}/v1", model = "{model}", secret = "MODELS" }}\n'
        f'[tenants.acme.secrets]\nMODELS = "{SecretBox(SECRET_KEY).write("sk-1")}"\n{listed}'
    )


def put(file: Path, text: str) -> None:
    """Put a text in the file's place in one step."""
    fresh = file.with_suffix(".fresh")
    fresh.write_text(text)
    fresh.replace(file)


@pytest.fixture
def file(tmp_path: Path, simulator: Simulator) -> Path:
    path = tmp_path / "tenants.toml"
    put(path, written(simulator, "big", LEAVING, STAYING))
    return path


@pytest.fixture
def filed(file: Path, simulator: Simulator) -> Iterator[Stack]:
    settings = {
        "FAST_REPLY_TENANTS": str(file),
        "FAST_REPLY_SECRET_KEY": SECRET_KEY,
        "FAST_REPLY_ALLOWED_HOSTS": '["127.0.0.1"]',
        "FAST_REPLY_OPERATOR_TOKEN": "operators-token",
    }
    with Stack(simulator, file.parent, settings).running() as stack:
        yield stack


def ask(stack: Stack, key: str) -> int:
    """What a turn is answered, by its status."""
    body = {"model": "support", "messages": [user("Hello")]}
    return stack.client.post(PATH, json=body, headers={"Authorization": f"Bearer {key}"}).status_code


def test_what_is_changed_in_the_file_acts_at_once_and_what_is_wrong_does_not(
    filed: Stack, file: Path, simulator: Simulator
) -> None:
    assert ask(filed, new_key().text) == 401 and ask(filed, LEAVING.text) == 200
    assert simulator.requests("big") and filed.bugs() == []

    model = simulator.full()
    put(file, written(simulator, model, LEAVING, STAYING))
    until(lambda: ask(filed, STAYING.text) == 200 and simulator.requests(model), what="the new model")
    simulator.change(model, tpot_ms=500)  # a long answer
    body = {"model": "support", "stream": True, "messages": [user("Hello")]}
    headers = {"Authorization": f"Bearer {LEAVING.text}"}
    with filed.client.stream("POST", PATH, json=body, headers=headers) as stream:
        put(file, written(simulator, "big", STAYING))
        until(lambda: ask(filed, LEAVING.text) == 401, what="the key's end")
        heard = stream.read().decode()
    simulator.change(model)
    assert "invalid_api_key" in heard and "[DONE]" not in heard
    until(
        lambda: ask(filed, STAYING.text) == 200 and len(simulator.requests("big")) > 1, what="the old model"
    )

    put(file, "[tenants.acme]\nnmae = 1\n")
    until(lambda: "tenants.acme.nmae: there is no such field" in filed.api.words(), what="the mistake")
    assert ask(filed, STAYING.text) == 200
    operator = {"Authorization": "Bearer operators-token"}
    assert filed.client.delete("/admin/tenants/acme", headers=operator).status_code == 409
