"""The streams of sessions: written, read, counted."""
