"""Secrets are never compared with `==`, which answers the sooner the earlier they differ."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SECRET = re.compile(r"(^|_)(token|digest|signature|secret|password|api_key)$")

NOBODY_GUESSES = {
    "api/admin/forms.py": "the name of a secret",
    "common/knowledge/documents.py": "whether a document is the one that could not be read",
    "common/tenants/file.py": "how the file looked last",
    "common/tenants/origins.py": "the name of a secret",
    "common/tenants/stored.py": "two seals of one configuration",
    "workers/providers/ernie_tokens.py": "two tokens of ours, one of which was refused",
}
"""What is called so, but isn't shown by anybody who wants to be let in."""


def compared(tree: ast.AST) -> Iterator[ast.Compare]:
    """Comparisons by `==` or `!=` of something that is called like a secret."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.Eq | ast.NotEq):
            names = [_name(side) for side in (node.left, *node.comparators)]
            if any(SECRET.search(name) for name in names):
                yield node


def _name(node: ast.expr) -> str:
    """What an expression is called by its last word."""
    if isinstance(node, ast.Call):
        return _name(node.func.value) if isinstance(node.func, ast.Attribute) else _name(node.func)
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


@pytest.mark.parametrize("package", ["api", "common", "workers"])
def test_no_secret_is_compared_by_equality(package: str) -> None:
    found = [
        f"{name}:{each.lineno}"
        for path in (ROOT / package).rglob("*.py")
        if (name := path.relative_to(ROOT).as_posix()) not in NOBODY_GUESSES
        for each in compared(ast.parse(path.read_text()))
    ]
    assert not found


@pytest.mark.parametrize(
    "code",
    ["key.digest == given", "x != self.operator_token", "signature == y", "token.get_secret_value() == x"],
)
def test_such_a_comparison_would_be_found(code: str) -> None:
    assert list(compared(ast.parse(code)))
