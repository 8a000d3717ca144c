"""Builds the wheel: the packages of the source tree go into one, `fast_reply`, so that none of their names
can collide with another distribution's `common` or `api`.
"""

import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PACKAGE = "fast_reply"
PARTS = ("api", "workers", "common", "cli", "simulator")
_IMPORT = re.compile(rf"^(\s*from )({'|'.join(PARTS)})(?=[. ])", re.MULTILINE)
# `import common.x` binds a name that the package's own name would take the place of.
_PLAIN_IMPORT = re.compile(rf"^\s*import .*\b({'|'.join(PARTS)})\b", re.MULTILINE)


def write_package(root: Path, into: Path) -> Path:
    """Write the package `fast_reply`, made of the tree at `root`, into a folder; where it is."""
    package = into / PACKAGE
    package.mkdir()
    (package / "py.typed").touch()
    for source in sorted(path for part in PARTS for path in (root / part).rglob("*") if path.is_file()):
        if "__pycache__" not in source.parts:
            _write(source, package / source.relative_to(root))
    _write(root / f"{PACKAGE}.py", package / "__init__.py")
    return package


def _write(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.suffix != ".py":
        shutil.copyfile(source, target)
        return
    text = source.read_text(encoding="utf-8")
    if _PLAIN_IMPORT.search(text):
        raise ValueError(
            f"{source}: say `from package import module`; the wheel can't rename `import package`"
        )
    target.write_text(_IMPORT.sub(rf"\1{PACKAGE}.\2", text), encoding="utf-8")


class WheelHook(BuildHookInterface):  # type: ignore[type-arg]
    """Puts the one package into a wheel. An editable install has the tree itself on its path."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called by hatchling before it collects files."""
        if version == "standard":
            self._folder = tempfile.mkdtemp()
            package = write_package(Path(self.root), Path(self._folder))
            build_data["force_include"][str(package)] = PACKAGE

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Called by hatchling when the wheel is written."""
        if version == "standard":
            shutil.rmtree(self._folder, ignore_errors=True)
