"""Which module imports which, and from which room: a folder of a package, or a module beside the rooms.

`python -m tests.support.import_graph` prints files, lines, and imports between rooms by package.
"""

import ast
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("common", "api", "workers", "cli", "simulator")


@dataclass(frozen=True, slots=True)
class Import:
    """One name that one module takes from another of ours."""

    of: str
    module: str
    name: str

    @property
    def leaves_its_room(self) -> bool:
        """Whether it goes from one room into another."""
        return room(self.of) != room(self.module)


def room(module: str) -> str:
    """The room of a module: `common.store` of `common.store.keys`."""
    return ".".join(module.split(".")[:2])


def modules(package: str) -> dict[str, Path]:
    """The modules of a package by name."""
    return {_name(path): path for path in sorted((ROOT / package).rglob("*.py"))}


def imports(package: str) -> Iterator[Import]:
    """All imports of a package's modules from modules of ours, those inside functions too."""
    known = {name for each in PACKAGES for name in modules(each)}
    for of, path in modules(package).items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module:
                for alias in node.names:
                    whole = f"{node.module}.{alias.name}"
                    if whole in known:
                        yield Import(of, whole, "")
                    elif node.module in known:
                        yield Import(of, node.module, alias.name)
            elif isinstance(node, ast.Import):
                yield from (Import(of, alias.name, "") for alias in node.names if alias.name in known)


def _name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _figures(package: str) -> str:
    files = modules(package).values()
    lines = sum(len(path.read_text(encoding="utf-8").splitlines()) for path in files)
    within = {(i.of, i.module) for i in imports(package) if i.module.split(".")[0] == package}
    between = {(a, b) for a, b in within if room(a) != room(b)}
    edges = Counter((room(a), room(b)) for a, b in between)
    loose = sum(
        1
        for name, path in modules(package).items()
        if name.count(".") == 1 and path.stem == name[len(package) + 1 :]
    )
    return (
        f"{package:10} {len(files):4} files {lines:6} lines  {loose:3} loose modules  "
        f"{len(between):4} imports between rooms, over {len(edges)} pairs"
    )


if __name__ == "__main__":
    print("\n".join(map(_figures, PACKAGES)))
