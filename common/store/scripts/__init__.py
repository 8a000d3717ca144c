"""Lua scripts for the queue's server, where several counts must be looked at and changed as one."""

from pathlib import Path

_FOLDER = Path(__file__).parent


def script(*names: str) -> str:
    """Return the text of these scripts, one behind the other."""
    return "\n".join((_FOLDER / f"{name}.lua").read_text() for name in names)
