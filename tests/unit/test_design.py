"""docs/design.md and docs/contributing.md name files and functions that exist."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = ("design.md", "contributing.md")
HOP = re.compile(r"`((?:api|common|workers)/[\w/]+\.py):(\w+)`")
IN_CODE = re.compile(r"(?<![\w/.])((?:api|common|workers|cli|bench|docs|tests)/[\w/-]+\.(?:py|lua|md))\b")
FILE = re.compile(r"`((?:api|common|workers|cli|bench|tests)/[\w/]+\.(?:py|lua))`")


def text_of(page: str) -> str:
    return (ROOT / "docs" / page).read_text(encoding="utf-8")


def functions(path: Path) -> set[str]:
    """Return the names of all functions and methods of a module."""
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    return {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_each_hop_of_a_turn_is_a_function_of_its_file() -> None:
    hops = HOP.findall(text_of("design.md"))
    assert len(hops) > 20
    assert [f"{file}:{name}" for file, name in hops if name not in functions(ROOT / file)] == []


def test_no_hop_goes_back_to_a_file_that_it_has_left() -> None:
    steps = re.findall(r"^\d+\. `([\w/.]+):", text_of("design.md"), re.M)
    assert len(steps) == 14
    assert len(set(steps)) == len(steps)


def test_each_file_that_code_names_exists() -> None:
    sources = [
        path for room in ("api", "common", "workers", "cli", "bench") for path in (ROOT / room).rglob("*")
    ]
    gone = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in sources
        if path.suffix in (".py", ".lua")
        for name in IN_CODE.findall(path.read_text(encoding="utf-8"))
        if not (ROOT / name).exists()
    }
    assert not gone


@pytest.mark.parametrize("page", PAGES)
def test_each_named_file_exists(page: str) -> None:
    named = FILE.findall(text_of(page))
    assert named
    assert [file for file in named if not (ROOT / file).exists()] == []
