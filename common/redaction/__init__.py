"""Personal data in texts, found and masked."""
