"""Makes documents searchable, and finds passages for a turn."""
