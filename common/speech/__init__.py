"""Speech: audio formats, and the stream by which audio reaches the API."""
