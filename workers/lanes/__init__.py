"""One lane of a turn: asks its model and writes what it says."""
