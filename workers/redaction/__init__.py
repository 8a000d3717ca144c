"""Words that are not to be kept, masked in the log."""
