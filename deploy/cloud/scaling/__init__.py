"""What a function does under traffic, computed: instances, cold starts, latency, cost, and what would keep it warm."""
