"""The administration of tenants, behind the doors."""
