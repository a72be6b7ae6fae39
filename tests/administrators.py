"""Administrators whom the tests sign tokens for: Users lets those write who are in its table."""

from chassis import testing

ADMINISTRATOR = 999


def register_administrator(database_url, user_id=ADMINISTRATOR):
    """Insert an administrator of that number into the database of Users."""
    testing.query(
        database_url,
        """
        INSERT INTO users (id, username, email, role)
        OVERRIDING SYSTEM VALUE
        VALUES (%(id)s, 'administrator', 'administrator@quartet.invalid', 'admin')
        """,
        id=user_id,
    )
