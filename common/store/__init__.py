"""Both Redis servers: connections, batches, keys, clocks, publish and subscribe, scripts."""
