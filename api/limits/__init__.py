"""Who is let in: limits of tenants, load, patience, connections."""
