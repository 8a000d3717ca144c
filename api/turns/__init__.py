"""Turns on this replica: planned, started, followed, ended."""
