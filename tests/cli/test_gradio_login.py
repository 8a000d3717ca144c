"""The chat page is nobody's but this machine's, unless it asks who opens it."""

import pytest
from typer.testing import CliRunner

from cli.gradio_login import NoLogin, login_of
from cli.main import app


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "[::1]", "127.0.0.2"])
def test_this_machine_needs_no_login(host: str) -> None:
    assert login_of("", host) is None
    assert login_of("me:a password: long", host) == ("me", "a password: long")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.0.7", "chat.example", ""])
def test_others_are_asked_who_they_are(host: str) -> None:
    assert login_of("me:long enough", host) == ("me", "long enough")
    for written in ("", "me", "me:", ":long enough", "me:short"):
        with pytest.raises(NoLogin, match="FAST_REPLY_GRADIO_LOGIN"):
            login_of(written, host)


def test_the_command_refuses_before_it_serves() -> None:
    refused = CliRunner().invoke(app, ["gradio", "--host", "0.0.0.0"])
    assert refused.exit_code == 2 and "FAST_REPLY_GRADIO_LOGIN" in refused.stderr
