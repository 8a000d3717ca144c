"""Jobs for the workers, shared fairly among tenants."""
