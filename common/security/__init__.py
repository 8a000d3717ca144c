"""Secrets under lock, and which addresses may be asked."""
