"""How the full's text follows on the draft's: one file for each join, and their registry."""
