"""A turn as its events tell it: fold, handover, policy. Events in, outputs out; knows no store."""
