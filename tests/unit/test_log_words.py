"""The log holds nobody's words: no line of ours prints an exception, and what others would print is cut."""

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("api", "workers", "common", "cli")
PRINTING = {"print_exc", "print_exception", "print_tb", "print_stack"} | {
    f"format_{what}" for what in ("exc", "exception", "exception_only", "stack", "tb")
}
LEVELS = {"debug", "info", "warning", "error", "critical", "log"}
SECRET = "555-0199"


def calls(tree: ast.Module) -> Iterator[tuple[str, str, ast.Call]]:
    """Each call of a method: the name of what it is called on, if it has one, its own, and the call."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            on = node.func.value
            yield on.id if isinstance(on, ast.Name) else "", node.func.attr, node


def tells_words(facts: ast.expr, bugs: set[str]) -> bool:
    """Whether an exception itself, or a text made of it, is among these facts."""
    for node in ast.walk(facts):
        inside: list[ast.expr | None] = []
        if isinstance(node, ast.Dict):
            inside = [*node.values]
        elif isinstance(node, ast.FormattedValue):
            inside = [node.value]
        elif (
            isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("str", "repr")
        ):
            inside = [*node.args]
        if any(isinstance(each, ast.Name) and each.id in bugs for each in inside):
            return True
    return False


def mistakes(path: Path) -> list[str]:
    """What of a file could print what an exception says."""
    found = []
    tree = ast.parse(path.read_text(encoding="utf-8"))
    bugs = {node.name for node in ast.walk(tree) if isinstance(node, ast.ExceptHandler) and node.name}
    for on, name, call in calls(tree):
        on_log = on in ("logger", "logging")
        told = {keyword.arg for keyword in call.keywords} & {"exc_info", "stack_info"}
        static = len(call.args) == 1 and isinstance(call.args[0], ast.Constant | ast.Name)
        static = static and getattr(call.args[0], "id", None) not in bugs
        if (
            told
            or name in PRINTING
            or (on_log and name == "exception")
            or (on_log and name in LEVELS and not static)
            or (on_log and any(tells_words(each.value, bugs) for each in call.keywords))
        ):
            found.append(f"{path.relative_to(ROOT)}:{call.lineno}")
    return found


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_line_prints_an_exception_or_is_made_of_what_it_tells(folder: str) -> None:
    files = sorted((ROOT / folder).rglob("*.py"))
    assert files
    assert [mistake for path in files for mistake in mistakes(path)] == []


@pytest.mark.parametrize(
    "line",
    [
        "logger.exception('it broke')",
        "logger.error('it broke', exc_info=True)",
        "logger.error('it broke', exc_info=bug, extra={})",
        "logger.error(f'it broke: {bug}')",
        "logger.error('it broke: %s', bug)",
        "logging.warning(str(bug))",
        "try: work()\nexcept ValueError as bug: logger.error(bug)",
        "try: work()\nexcept ValueError as bug: logger.error('it broke', extra={'error': bug})",
        "try: work()\nexcept ValueError as bug: logger.error('it broke', extra={'error': str(bug)})",
        "try: work()\nexcept ValueError as bug: logger.error('it broke', extra={'error': f'{bug}'})",
        "traceback.print_exc()",
        "print(traceback.format_exc())",
    ],
)
def test_what_counts_as_a_mistake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str) -> None:
    monkeypatch.setattr(f"{__name__}.ROOT", tmp_path)
    (tmp_path / "one.py").write_text(line)
    assert mistakes(tmp_path / "one.py") == [f"one.py:{line.count(chr(10)) + 1}"]
    (tmp_path / "one.py").write_text("logger.error('it broke', extra=about(bug))\ntask.exception()")
    assert mistakes(tmp_path / "one.py") == []


def said(code: str) -> tuple[list[dict[str, Any]], str]:
    """What a process logs that sets its logs up and then runs this: line by line, and as it stands."""
    begin = "from common.process.logs import set_up_logs\nimport asyncio, logging, sys, threading, warnings\n"
    done = subprocess.run(
        [sys.executable, "-c", f"{begin}set_up_logs('INFO')\nsecret = sys.argv[1]\n{code}", SECRET],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout == ""
    return [json.loads(line) for line in done.stderr.splitlines()], done.stderr


CODE = {
    "it ends the process": "raise ValueError(secret)",
    "it ends the process by a cause": """
try: int(secret)
except ValueError as bug: raise KeyError(secret) from bug
""",
    "a group ends the process": """
async def break_off(): raise ValueError(secret)
async def main():
    async with asyncio.TaskGroup() as tasks: tasks.create_task(break_off())
asyncio.run(main())
""",
    "a task that nobody waits for": """
async def break_off(said): raise ValueError(said)
async def main():
    task = asyncio.create_task(break_off(secret), name=secret)
    await asyncio.wait({task})
asyncio.run(main())
""",
    "a callback": """
def take(said): raise ValueError(said)
async def main():
    asyncio.get_running_loop().call_soon(take, secret)
    await asyncio.sleep(0.01)
asyncio.run(main())
""",
    "a callback of uvloop's": """
import uvloop
def take(said): raise ValueError(said)
async def main():
    asyncio.get_running_loop().call_soon(take, secret)
    await asyncio.sleep(0.01)
uvloop.run(main())
""",
    "a thread": """
def take(said): raise ValueError(said)
thread = threading.Thread(target=take, args=(secret,), name=secret)
thread.start(); thread.join()
""",
    "a destructor": """
class Odd:
    def __del__(self): raise ValueError(secret)
Odd()
""",
    "a warning": "warnings.warn(secret, UserWarning)",
    "others' line": "logging.getLogger('others.client').error('sent %s to %s', secret, secret)",
    "others' exception": """
try: raise ValueError(secret)
except ValueError: logging.getLogger('uvicorn.error').exception('Exception in ASGI application')
""",
    "an exception as a fact": """
try: raise ValueError(secret)
except ValueError as bug: logging.getLogger('workers').error('it broke', extra={'error': bug})
""",
    "others' exception as a line": "logging.getLogger('others').error(ValueError(secret))",
}


@pytest.mark.parametrize("code", CODE.values(), ids=CODE.keys())
def test_what_others_would_print_is_told_without_words(code: str) -> None:
    lines, text = said(code)
    (line,) = lines
    assert SECRET not in text and "Traceback" not in text
    assert line["level"] in ("WARNING", "ERROR", "CRITICAL") and line["message"]
    if "raise" in code:
        kinds = json.dumps(line)
        assert '"ValueError"' in kinds or '"KeyError"' in kinds
        assert "<string>:" in kinds or "extra=" in code, "where it was"


def test_a_group_tells_of_what_is_in_it() -> None:
    ((line,), _) = said(CODE["a group ends the process"])
    assert line["error"] == "ExceptionGroup" and [each["error"] for each in line["of"]] == ["ValueError"]


def test_what_asyncio_says_is_cut_where_it_may_hold_words() -> None:
    ((line,), _) = said(CODE["a callback"])
    assert line["message"] == "Exception in callback take"
    ((line,), _) = said(CODE["a task that nobody waits for"])
    assert line["message"] == "Task exception was never retrieved"


def test_a_line_of_ours_is_as_it_was_written() -> None:
    lines, _ = said("logging.getLogger('workers.lane').info('lane finished', extra={'turn': 't1'})")
    assert [(line["level"], line["message"], line["turn"]) for line in lines] == [
        ("INFO", "lane finished", "t1")
    ]
    lines, _ = said("logging.getLogger('uvicorn.error').info('Started server process [%d]', 7)")
    assert [line["message"] for line in lines] == ["Started server process [7]"]
