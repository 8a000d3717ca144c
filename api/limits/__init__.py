"""Decides who is let in: limits of tenants, load, refusals, connections."""
