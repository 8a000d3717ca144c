"""The process's memory."""

import gc


def freeze_start_up() -> None:
    """Exempt all start-up objects from garbage collection, which halts every stream while it scans them."""
    gc.collect()
    gc.freeze()
