"""Lua scripts for the queue's server, for steps that must read and change several counts as one."""

from pathlib import Path

_FOLDER = Path(__file__).parent


def script(*names: str) -> str:
    """Return the text of these scripts, concatenated."""
    return "\n".join((_FOLDER / f"{name}.lua").read_text() for name in names)
