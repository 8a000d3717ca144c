"""What ended turns have cost, settled with their tenants."""
