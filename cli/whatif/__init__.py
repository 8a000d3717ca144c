"""`fast-reply whatif`: recorded turns under another policy."""
