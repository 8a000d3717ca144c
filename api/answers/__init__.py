"""Turns the outputs of turns into what clients get: chunks, events, sound."""
