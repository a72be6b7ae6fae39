"""Business logic, one use case a file. It knows nothing of HTTP and no SQL."""
