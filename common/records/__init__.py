"""Turns that are over: recorded, replayed under another policy, reported."""
