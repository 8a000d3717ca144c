"""The process's memory."""

import gc


def freeze_start_up() -> None:
    """Leave all that start-up has made out of garbage collection, which stops every stream while it looks."""
    gc.collect()
    gc.freeze()
