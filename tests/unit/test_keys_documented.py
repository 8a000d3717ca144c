"""docs/wire-format.md has every key and channel of `common/store/keys.py`: its type, content and lifetime."""

import ast
import inspect
import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from common.events import KINDS
from common.names import CollectionRef, JobRef, SessionRef, TurnRef
from common.store import keys

DOCS = Path(__file__).parents[2] / "docs" / "wire-format.md"
SESSION = SessionRef("<tenant>", "<session>")
TURN = TurnRef(SESSION, "<turn>")
NAMED = {
    SessionRef: SESSION,
    TurnRef: TURN,
    CollectionRef: CollectionRef("<tenant>", "<collection>"),
    JobRef: "<job>",
}
ROW = re.compile(r"^\| `(fr:[^`]*)` \| ([^|]+) \| (.+) \| ([^|]+) \|$")


def spelled(function: Any) -> str:
    """A key as the documentation writes it, with its parts' names in angle brackets."""
    parts = inspect.signature(function).parameters.values()
    key = function(*(NAMED.get(part.annotation, f"<{part.name}>") for part in parts))
    return re.sub(r"[0-9a-f]{32}", "<digest>", unquote(key))


def keys_of_the_code() -> dict[str, str]:
    """Each key's type, as its docstring begins."""
    found = {}
    statements = ast.parse(inspect.getsource(keys)).body
    for statement, after in zip(statements, [*statements[1:], None], strict=True):
        if isinstance(statement, ast.FunctionDef):
            name, said = statement.name, ast.get_docstring(statement) or ""
        elif isinstance(statement, ast.Assign) and isinstance(after, ast.Expr):
            assert isinstance(statement.targets[0], ast.Name)
            name, said = statement.targets[0].id, str(ast.literal_eval(after.value))
        else:
            continue
        if kind := re.match(r"(String|Hash|List|Set|Sorted set|Stream|Channel)(, [a-z']+)?:", said):
            value = getattr(keys, name)
            found[value if isinstance(value, str) else spelled(value)] = kind[0][:-1].lower()
    return found


def test_code_and_document_have_the_same_keys_of_the_same_types() -> None:
    rows = [row for line in DOCS.read_text().splitlines() if (row := ROW.match(line))]
    documented = {row[1]: row[2] for row in rows}
    assert len(documented) == len(rows), "a key stands there twice"
    assert documented == keys_of_the_code()


def test_code_and_document_have_the_same_kinds_of_events() -> None:
    lines = DOCS.read_text().splitlines()
    table = lines[lines.index("| kind | written by | fields beside `turn` |") + 2 :]
    rows = table[: table.index("")]
    assert [row.split("`")[1] for row in rows] == list(KINDS)


def test_no_key_is_spelled_past_its_docstring() -> None:
    in_source = set(re.findall(r'f?"(fr:[^"]*)"', inspect.getsource(keys)))
    assert len(in_source) == len(keys_of_the_code())
