"""Business logic, a use case a file. What the service promises; it knows no HTTP and no SQL."""
