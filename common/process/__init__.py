"""This process itself: its log lines, bugs and memory."""
