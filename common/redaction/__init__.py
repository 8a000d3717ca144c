"""Finds personal data in texts, and masks it."""
