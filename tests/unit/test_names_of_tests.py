"""The tests' files share one name space: they are imported by their base names, and so are their helpers."""

from collections import Counter
from pathlib import Path

TESTS = Path(__file__).parents[1]
OF_A_FOLDER = {"conftest", "__init__", "__main__"}


def in_packages() -> set[Path]:
    """The folders that are packages: what lies in them has their names before its own."""
    return {path.parent for path in TESTS.rglob("__init__.py")}


def test_no_two_files_have_one_name() -> None:
    packages = in_packages()
    loose = [path for path in TESTS.rglob("*.py") if path.parent not in packages]
    names = Counter(path.stem for path in loose if path.stem not in OF_A_FOLDER)
    assert len(names) > 100
    assert [name for name, count in names.items() if count > 1] == []
