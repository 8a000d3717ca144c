"""Sound: its formats, and how it reaches the API."""
