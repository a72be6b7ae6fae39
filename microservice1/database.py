"""Database access: one function, one statement."""

from microservice1.models import User

_USER = """
          id, username, email, full_name, password_hash, role, points, points_balance, status,
          version, created_at, updated_at
"""

_MATCHING = """
       WHERE (%(username)s::text IS NULL OR lower(username) = lower(%(username)s))
         AND (%(email)s::text IS NULL OR lower(email) = lower(%(email)s))
         AND (%(status)s::text IS NULL OR status = %(status)s)
         AND (%(role)s::text IS NULL OR role = %(role)s)
"""


def insert_user(tx, *, username, email, full_name, password_hash, role, points, status):
    """Insert a user; their opening points are both earned and to be spent."""
    return tx.one(
        User,
        f"""
        INSERT INTO users (
            username, email, full_name, password_hash, role, points, points_balance, status
        )
        VALUES (
            %(username)s, %(email)s, %(full_name)s, %(password_hash)s, %(role)s,
            %(points)s, %(points)s, %(status)s
        )
        RETURNING {_USER}
        """,
        username=username,
        email=email,
        full_name=full_name,
        password_hash=password_hash,
        role=role,
        points=points,
        status=status,
    )


def find_user(tx, user_id):
    return tx.one(User, f"SELECT {_USER} FROM users WHERE id = %(user_id)s", user_id=user_id)


def find_user_called(tx, username):
    return tx.one(
        User,
        f"SELECT {_USER} FROM users WHERE lower(username) = lower(%(username)s)",
        username=username,
    )


def lock_user(tx, user_id):
    """Return the user, their row locked until the end of the transaction, or None."""
    return tx.one(
        User,
        f"SELECT {_USER} FROM users WHERE id = %(user_id)s FOR UPDATE",
        user_id=user_id,
    )


def lock_admins_and(tx, user_id):
    """Return all administrators and that user, their rows locked in the order of their ids."""
    return tx.all(
        User,
        f"""
        SELECT {_USER}
          FROM users
         WHERE role = 'admin'
            OR id = %(user_id)s
         ORDER BY id
           FOR UPDATE
        """,
        user_id=user_id,
    )


def count_users(tx, **filters):
    return tx.value(f"SELECT count(*) FROM users {_MATCHING}", **filters)


def list_users(tx, window, **filters):
    return tx.all(
        User,
        f"""
        SELECT {_USER}
          FROM users
        {_MATCHING}
         AND (%(after_id)s::bigint IS NULL OR id > %(after_id)s)
         ORDER BY id
         LIMIT %(limit)s
        OFFSET %(offset)s
        """,
        **window,
        **filters,
    )


def update_user(tx, user_id, *, username, email, full_name, password_hash, role):
    return tx.one(
        User,
        f"""
           UPDATE users
              SET username = %(username)s,
                  email = %(email)s,
                  full_name = %(full_name)s,
                  password_hash = %(password_hash)s,
                  role = %(role)s,
                  version = version + 1,
                  updated_at = now()
            WHERE id = %(user_id)s
        RETURNING {_USER}
        """,
        user_id=user_id,
        username=username,
        email=email,
        full_name=full_name,
        password_hash=password_hash,
        role=role,
    )


def update_points(tx, user_id, *, points, points_balance, status):
    return tx.one(
        User,
        f"""
           UPDATE users
              SET points = %(points)s,
                  points_balance = %(points_balance)s,
                  status = %(status)s,
                  version = version + 1,
                  updated_at = now()
            WHERE id = %(user_id)s
        RETURNING {_USER}
        """,
        user_id=user_id,
        points=points,
        points_balance=points_balance,
        status=status,
    )


def update_password_hash(tx, user_id, password_hash):
    """Write another hash of the same password: for the user nothing has changed."""
    tx.run(
        "UPDATE users SET password_hash = %(password_hash)s WHERE id = %(user_id)s",
        user_id=user_id,
        password_hash=password_hash,
    )


def delete_user(tx, user_id):
    """Delete a user with all that hangs on them. Returns them as they were, a version later."""
    return tx.one(
        User,
        """
        DELETE FROM users
         WHERE id = %(user_id)s
        RETURNING id, username, email, full_name, password_hash, role, points, points_balance,
                  status, version + 1 AS version, created_at, updated_at
        """,
        user_id=user_id,
    )


def insert_points_entry(tx, user_id, *, kind, order_id, points, balance, reason):
    """Write an entry of the ledger. False if the order has one of this kind already."""
    return tx.run(
        """
        INSERT INTO points_entries (user_id, kind, order_id, points, balance, reason)
        VALUES (%(user_id)s, %(kind)s, %(order_id)s, %(points)s, %(balance)s, %(reason)s)
            ON CONFLICT DO NOTHING
        """,
        user_id=user_id,
        kind=kind,
        order_id=order_id,
        points=points,
        balance=balance,
        reason=reason,
    )


def find_order_points(tx, order_id, kind):
    """Return the points in the order's entry of that kind, or None without such an entry."""
    return tx.value(
        "SELECT points FROM points_entries WHERE order_id = %(order_id)s AND kind = %(kind)s",
        order_id=order_id,
        kind=kind,
    )


def insert_refresh_token(tx, user_id, *, token_hash, days):
    tx.run(
        """
        INSERT INTO refresh_tokens (token_hash, user_id, expires_at)
        VALUES (%(token_hash)s, %(user_id)s, now() + make_interval(days => %(days)s))
        """,
        user_id=user_id,
        token_hash=token_hash,
        days=days,
    )


def find_token_holder(tx, token_hash):
    """Return the user to whom a refresh token belongs, or None if it is unknown or expired."""
    return tx.one(
        User,
        f"""
        SELECT {_USER}
          FROM users
         WHERE id = (
                   SELECT user_id
                     FROM refresh_tokens
                    WHERE token_hash = %(token_hash)s
                      AND expires_at > now()
               )
        """,
        token_hash=token_hash,
    )


def delete_refresh_token(tx, token_hash):
    tx.run("DELETE FROM refresh_tokens WHERE token_hash = %(token_hash)s", token_hash=token_hash)


def delete_refresh_tokens(tx, user_id):
    tx.run("DELETE FROM refresh_tokens WHERE user_id = %(user_id)s", user_id=user_id)


def delete_expired_refresh_tokens(tx):
    tx.run("DELETE FROM refresh_tokens WHERE expires_at <= now()")
