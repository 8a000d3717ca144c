"""What clients get: outputs of turns as chunks, events, sound."""
