"""Azure's addresses and keys."""

import pytest
from pydantic import SecretStr

from common.tenants.profiles import Upstream
from workers.providers.openai import chat_url, login

KEY = SecretStr("secret")
AZURE = "https://r.openai.azure.com"


@pytest.mark.parametrize(
    ("base", "url"),
    [
        ("https://m/v1", "https://m/v1/chat/completions"),
        ("https://m/v1/", "https://m/v1/chat/completions"),
        ("https://m/v1?key=a%20b&x=1", "https://m/v1/chat/completions?key=a%20b&x=1"),
        ("https://m/v1/chat/completions?x=1", "https://m/v1/chat/completions?x=1"),
        (
            f"{AZURE}/openai/deployments/d?api-version=2024-10-21",
            f"{AZURE}/openai/deployments/d/chat/completions?api-version=2024-10-21",
        ),
        (
            f"{AZURE}/openai/deployments/d/chat/completions?api-version=1",
            f"{AZURE}/openai/deployments/d/chat/completions?api-version=1",
        ),
        (
            f"{AZURE}/?api-version=2024-10-21",
            f"{AZURE}/openai/deployments/gpt%2F4/chat/completions?api-version=2024-10-21",
        ),
        (f"{AZURE}/openai/v1", f"{AZURE}/openai/v1/chat/completions"),
        (AZURE, f"{AZURE}/openai/v1/chat/completions"),
        (
            "https://r.services.ai.azure.com/models?api-version=1",
            "https://r.services.ai.azure.com/models/chat/completions?api-version=1",
        ),
    ],
)
def test_a_query_stays_behind_the_path(base: str, url: str) -> None:
    assert chat_url(Upstream(base, KEY, "gpt/4")) == url


@pytest.mark.parametrize(
    ("base", "key", "headers"),
    [
        (f"{AZURE}/openai/v1", "secret", {"api-key": "secret"}),
        ("https://gateway/openai/deployments/d?api-version=1", "secret", {"api-key": "secret"}),
        (AZURE, "Bearer entra", {"Authorization": "Bearer entra"}),
        (AZURE, "", {}),
        ("https://m/v1", "secret", {"Authorization": "Bearer secret"}),
        ("https://m/v1?version=1", "secret", {"Authorization": "Bearer secret"}),
        ("https://openai.azure.com.evil.example/v1", "secret", {"Authorization": "Bearer secret"}),
    ],
)
def test_azures_keys_stand_in_a_header_of_their_own(base: str, key: str, headers: dict[str, str]) -> None:
    assert login(Upstream(base, SecretStr(key), "m"), base) == headers
