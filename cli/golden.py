"""`fast-reply golden`: checks that recordings still fold to what was heard."""

import sys
from pathlib import Path

from cli.golden_sessions import compare, keep


def run_golden(paths: list[Path], *, keeping: bool) -> int:
    """Compare, or with `keeping` first store what is heard now; return the process's exit code."""
    turns = differing = 0
    for path in paths:
        try:
            if keeping:
                keep(path)
            count, found = compare(path)
        except (OSError, EOFError, ValueError, KeyError) as error:
            print(f"{path} can't be read: {error}", file=sys.stderr)
            return 2
        turns += count
        differing += len(found)
        for difference in found:
            print(f"{path}: {difference}\n")
    print(f"{turns} turns, {differing} of them heard otherwise than they were recorded")
    return 1 if differing else 0
