"""A turn as its events tell it: fold, hand-over, policy. Events in, outputs out; knows no store."""
