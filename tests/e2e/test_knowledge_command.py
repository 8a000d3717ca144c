"""`fast-reply knowledge` against the real gateway."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cli.main import app
from tests.support.gateway_stack import Stack

URL = "/v1/knowledge/command/documents"
Run = Callable[..., Result]


@pytest.fixture
def run(stack: Stack) -> Iterator[Run]:
    """Runs the command on an empty collection."""
    stack.client.delete(URL)
    yield lambda command, *words: CliRunner().invoke(
        app, ["knowledge", command, *map(str, words), "--collection", "command", "--url", stack.url]
    )
    stack.client.delete(URL)


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """One file of each form."""
    lines = "\n".join(f'{{"id": "d{number:03}", "text": "Number {number}."}}' for number in range(450))
    contents = {
        "a.md": "# Head\nWords.",
        "b.txt": "Plain words.",
        "c.jsonl": lines + "\n\n",
        "d.json": '{"documents": [{"id": "one", "text": "Words."}]}',
    }
    for name, content in contents.items():
        (tmp_path / name).write_text(content, encoding="utf-8")
    return [tmp_path / name for name in contents]


def test_files_are_added_listed_and_deleted(stack: Stack, run: Run, files: list[Path]) -> None:
    added = run("add", *files)
    assert added.exit_code == 0, added.output
    assert "100%" in added.output
    assert "453 documents in command" in added.output
    listed = run("list")
    assert (listed.exit_code, len(listed.output.splitlines())) == (0, 453)
    assert stack.client.get(f"{URL}/{files[0].as_posix().replace('/', '%2F')}").json()["chars"] == 13
    assert run("delete", files[0].as_posix(), "d007").exit_code == 0
    assert stack.client.get(f"{URL}/d007").status_code == 404
    assert run("delete", "--all").exit_code == 0
    assert stack.client.get(URL).status_code == 404


def test_what_goes_wrong_is_said(run: Run, tmp_path: Path) -> None:
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"id": "a"}\n')
    refused = run("add", bad)
    assert refused.exit_code == 1
    assert "line 1: text: Field required" in refused.output
    assert run("list").exit_code == 1
    assert run("delete").exit_code == 2
    assert run("delete", "a", "--all").exit_code == 2
    assert run("add", tmp_path / "none.txt").exit_code == 2
    nobody = CliRunner().invoke(app, ["knowledge", "list", "--url", "http://127.0.0.1:9"])
    assert nobody.exit_code == 1
    assert "can't be reached" in nobody.output
