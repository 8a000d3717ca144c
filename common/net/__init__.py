"""Connections, server-sent events, addresses."""
