"""Notifications: what happened, told to customers by e-mail."""
