"""Packages that only some deployments need: `pip install 'fast-reply[speech]'`, and so on."""

from importlib.util import find_spec
from typing import Literal

Extra = Literal["speech", "knowledge"]

_PACKAGES: dict[Extra, tuple[str, ...]] = {
    "speech": ("espeakng_loader", "numpy"),
    "knowledge": ("tantivy",),
}


def lacks(extra: Extra) -> str:
    """Return what to install, in words, where a package of this extra is missing; else nothing."""
    missing = [name for name in _PACKAGES[extra] if find_spec(name) is None]
    return f"{' and '.join(missing)} not installed: pip install 'fast-reply[{extra}]'" if missing else ""
