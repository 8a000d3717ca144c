"""Sessions as their owners see them: lists, replays, live tails, what was heard."""
