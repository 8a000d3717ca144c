"""Finds personal data in a text, however it is written or read aloud. Pure."""
