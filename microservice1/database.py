"""Database access: one function, one statement."""

from microservice1.models import Redemption, Session, User

_USER = """
          id, username, email, full_name, password_hash, role, points, points_balance, status,
          version, created_at, updated_at
"""

_REDEMPTION = "order_id, state, user_id, points, balance"

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


def find_taken_name(tx, username, email):
    """Return the constraint that a new user of these names would break, or None."""
    return tx.value(
        """
        SELECT CASE
                   WHEN EXISTS (SELECT FROM users WHERE lower(username) = lower(%(username)s))
                   THEN 'users_username_key'
                   WHEN EXISTS (SELECT FROM users WHERE lower(email) = lower(%(email)s))
                   THEN 'users_email_key'
               END
        """,
        username=username,
        email=email,
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


def claim_redemption(tx, order_id, *, state, user_id=None, points=None):
    """Insert and return the order's redemption, or None if it has one already."""
    return tx.one(
        Redemption,
        f"""
        INSERT INTO redemptions (order_id, state, user_id, points)
        VALUES (%(order_id)s, %(state)s, %(user_id)s, %(points)s)
            ON CONFLICT DO NOTHING
        RETURNING {_REDEMPTION}
        """,
        order_id=order_id,
        state=state,
        user_id=user_id,
        points=points,
    )


def find_redemption(tx, order_id):
    return tx.one(
        Redemption,
        f"SELECT {_REDEMPTION} FROM redemptions WHERE order_id = %(order_id)s",
        order_id=order_id,
    )


def lock_redemption(tx, order_id):
    """Return the order's redemption, its row locked until the end of the transaction, or None."""
    return tx.one(
        Redemption,
        f"SELECT {_REDEMPTION} FROM redemptions WHERE order_id = %(order_id)s FOR UPDATE",
        order_id=order_id,
    )


def update_redemption(tx, order_id, *, state, balance=None):
    return tx.one(
        Redemption,
        f"""
           UPDATE redemptions
              SET state = %(state)s,
                  balance = %(balance)s,
                  updated_at = now()
            WHERE order_id = %(order_id)s
        RETURNING {_REDEMPTION}
        """,
        order_id=order_id,
        state=state,
        balance=balance,
    )


def insert_session(tx, user_id, *, key_hash, token_hash, days):
    tx.queue(
        """
        INSERT INTO sessions (key_hash, user_id, current_hashes, expires_at)
        VALUES (
            %(key_hash)s, %(user_id)s, ARRAY[%(token_hash)s],
            now() + make_interval(days => %(days)s)
        )
        """,
        user_id=user_id,
        key_hash=key_hash,
        token_hash=token_hash,
        days=days,
    )


def lock_session(tx, *, key_hash, token_hash):
    """Return the session of that key and what that token is in it, or None if it is over.

    Its row is locked until the end of the transaction.
    """
    return tx.one(
        Session,
        """
        SELECT id,
               user_id,
               %(token_hash)s = ANY(current_hashes) AS is_current,
               %(token_hash)s = ANY(previous_hashes) AS is_previous,
               extract(epoch FROM now() - rotated_at)::float8 AS seconds_since_rotation
          FROM sessions
         WHERE key_hash = %(key_hash)s
           AND expires_at > now()
           FOR UPDATE
        """,
        key_hash=key_hash,
        token_hash=token_hash,
    )


def rotate_session(tx, session_id, token_hash):
    """Replace what is current by a new token: it becomes the previous."""
    tx.queue(
        """
        UPDATE sessions
           SET previous_hashes = current_hashes,
               current_hashes = ARRAY[%(token_hash)s],
               rotated_at = now()
         WHERE id = %(session_id)s
        """,
        session_id=session_id,
        token_hash=token_hash,
    )


def add_refresh_token(tx, session_id, token_hash):
    """Let another token be current beside those that are."""
    tx.queue(
        """
        UPDATE sessions
           SET current_hashes = current_hashes || %(token_hash)s
         WHERE id = %(session_id)s
        """,
        session_id=session_id,
        token_hash=token_hash,
    )


def delete_session(tx, session_id):
    tx.queue("DELETE FROM sessions WHERE id = %(session_id)s", session_id=session_id)


def delete_session_with_key(tx, key_hash):
    tx.queue("DELETE FROM sessions WHERE key_hash = %(key_hash)s", key_hash=key_hash)


def delete_sessions_of(tx, user_id):
    tx.queue("DELETE FROM sessions WHERE user_id = %(user_id)s", user_id=user_id)


def delete_expired_sessions(tx):
    tx.queue("DELETE FROM sessions WHERE expires_at <= now()")
