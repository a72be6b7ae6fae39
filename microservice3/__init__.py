"""Orders: what was bought by whom, and how far each order has come."""
