"""What all four services share, one concern a file. It knows none of them."""
