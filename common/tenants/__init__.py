"""Tenants: their configuration, keys, profiles and usage."""
