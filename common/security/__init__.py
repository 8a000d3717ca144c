"""Encrypted secrets and credentials, hidden names, and the guard for URLs."""
