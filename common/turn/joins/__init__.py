"""The joins, by which the full's text follows the draft's: one file for each, and their registry."""
