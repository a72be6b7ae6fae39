"""Users: who they are, what they may do, and the points they have earned."""
