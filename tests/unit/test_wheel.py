"""The wheel has one import name: nothing in it collides with another distribution's `common` or `api`."""

import subprocess
import sys
from pathlib import Path

import pytest

from hatch_build import PARTS, write_package

ROOT = Path(__file__).parents[2]
# Every module of the package is imported with only the package's folder and the dependencies on the path.
IMPORT_ALL = """
import pathlib, sys
sys.path[:] = [path for path in sys.path if pathlib.Path(path or '.').resolve() != pathlib.Path({root!r})]
sys.path.insert(0, {folder!r})
import fast_reply
package = pathlib.Path({folder!r}, 'fast_reply')
names = ['.'.join(path.relative_to(package.parent).with_suffix('').parts) for path in package.rglob('*.py')]
for name in names:
    if name.rpartition('.')[2] not in ('__init__', '__main__', 'tether', 'gradio_chat'):
        __import__(name)
from fast_reply.cli.stack import _MAIN, _ROOT
assert _MAIN == 'fast_reply.cli.main' and _ROOT == package.parent, (_MAIN, _ROOT)
taken = sorted({{name.partition('.')[0] for name in sys.modules}} & set({parts!r}))
print(len(names), taken)
"""


def test_every_module_is_imported_from_the_one_package_alone(tmp_path: Path) -> None:
    package = write_package(ROOT, tmp_path)
    assert (package / "py.typed").is_file() and (package / "common/store/scripts/take_jobs.lua").is_file()
    code = IMPORT_ALL.format(root=str(ROOT), folder=str(tmp_path), parts=PARTS)
    ran = subprocess.run([sys.executable, "-P", "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    count, _, taken = ran.stdout.partition(" ")
    assert int(count) > 200 and taken.strip() == "[]"


def test_an_import_that_can_not_be_renamed_stops_the_build(tmp_path: Path) -> None:
    for part in PARTS:
        (tmp_path / part).mkdir()
    (tmp_path / "fast_reply.py").touch()
    (tmp_path / "api/main.py").write_text("import common.settings\n")
    (tmp_path / "out").mkdir()
    with pytest.raises(ValueError, match=r"api/main\.py"):
        write_package(tmp_path, tmp_path / "out")
