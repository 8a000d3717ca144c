"""Whole sessions, in the log or the archive: found, read, deleted."""
