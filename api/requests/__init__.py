"""What callers send: read, checked, told apart from a retry."""
