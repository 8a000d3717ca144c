"""Folders are processes: what may import what."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ALLOWED = {
    "common": set(),
    "api": {"common"},
    "workers": {"common"},
    "simulator": set(),
    "cli": {"api", "workers", "common", "simulator"},
}


def imported(path: Path) -> set[str]:
    """The first parts of all module names that a file imports."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.partition(".")[0])
    return names


@pytest.mark.parametrize("folder", ALLOWED)
def test_imports_point_one_way(folder: str) -> None:
    ours = set(ALLOWED) | {"tests", "bench"}
    files = sorted((ROOT / folder).rglob("*.py"))
    assert files
    for path in files:
        strays = (imported(path) & ours) - ALLOWED[folder] - {folder}
        assert not strays, f"{path.relative_to(ROOT)} imports {', '.join(sorted(strays))}"
