"""Business logic. What the service promises; it knows nothing of HTTP and no SQL."""
