"""Documents made searchable, and passages found for a turn."""
