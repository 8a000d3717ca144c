"""Settles the cost of ended turns with their tenants."""
