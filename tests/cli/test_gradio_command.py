"""`fast-reply gradio` where the extra isn't installed. The page itself is tested in tests/browser."""

import sys

import pytest
from typer.testing import CliRunner

from cli.main import app


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gradio", None)
    monkeypatch.delitem(sys.modules, "cli.gradio_chat", raising=False)
    result = CliRunner().invoke(app, ["gradio"])
    assert result.exit_code == 1
    assert "pip install gradio" in result.output and len(result.output.splitlines()) == 1
