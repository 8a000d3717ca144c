"""The HTTP server's own: connections, headers, origins, who asks."""
