"""Who asks, and what they may do; the audit log."""
