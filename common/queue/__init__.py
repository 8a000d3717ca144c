"""Jobs for the workers, shared fairly between tenants."""
