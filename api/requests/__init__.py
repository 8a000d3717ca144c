"""Reads and checks what callers send, and recognizes retries."""
