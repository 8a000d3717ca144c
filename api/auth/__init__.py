"""Tells who asks and what they may do; keeps the audit log."""
