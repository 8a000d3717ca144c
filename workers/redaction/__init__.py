"""Masks or drops words in the log that are not to be kept."""
