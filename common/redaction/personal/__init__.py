"""Personal data in a text: where it stands, however it is written or read aloud. Pure."""
