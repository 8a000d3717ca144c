"""Finds, reads and deletes whole sessions, in the log or the archive."""
