"""This process itself: its log lines, its memory."""
