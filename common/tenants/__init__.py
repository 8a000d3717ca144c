"""Tenants: who they are, what they may do, which models their turns are put to."""
