"""Database access: one function, one statement."""

import re

from chassis.mailboxes import as_entered, identity
from chassis.pagination import count_of
from chassis.retention import Rows
from chassis.stored_text import Texts
from chassis.text import as_name
from microservice1.models import (
    USERNAME,
    Code,
    DeletedUser,
    FailedSignIns,
    Guesses,
    Redemption,
    Revocation,
    Session,
    User,
)

_USER = """
          id, username, email, email_confirmed, pending_email, full_name, password_hash, role,
          token_epoch, points, points_balance, status, version, created_at, updated_at
"""


def _username(text):
    if not re.fullmatch(USERNAME, text):
        raise ValueError("must begin with a letter, a digit or _")
    return text


def _key_of(email):
    """What users.email_key holds: an ASCII address is identified by itself in lower case."""
    return None if email.isascii() else identity(email)


TEXTS = (
    Texts(
        "users",
        {
            "username": _username,
            "email": as_entered,
            "pending_email": as_entered,
            "full_name": as_name,
        },
        derived={"email_key": ("email", _key_of)},
    ),
)

SESSIONS = Rows("sessions", moment="expires_at")
REVOCATIONS = Rows("revocations", moment="revoked_at")
KNOWN_ADDRESSES = Rows("known_addresses", moment="seen_at")
CODES = Rows("email_codes", moment="expires_at")

_CODE = "user_id, purpose, email, expires_at"

_REDEMPTION = "order_id, state, user_id, points, balance"

_MATCHING = """
       WHERE (%(username)s::text IS NULL OR lower(username) = lower(%(username)s))
         AND (%(mailbox)s::text IS NULL OR coalesce(email_key, lower(email)) = %(mailbox)s)
         AND (%(status)s::text IS NULL OR status = %(status)s)
         AND (%(role)s::text IS NULL OR role = %(role)s)
"""


def insert_user(
    tx, *, username, email, email_confirmed, full_name, password_hash, role, points, status
):
    """Insert a user; their opening points are both earned and to be spent."""
    return tx.one(
        User,
        f"""
        INSERT INTO users (
            username, email, email_key, email_confirmed, full_name, password_hash, role,
            points, points_balance, status
        )
        VALUES (
            %(username)s, %(email)s, %(email_key)s, %(email_confirmed)s, %(full_name)s,
            %(password_hash)s, %(role)s, %(points)s, %(points)s, %(status)s
        )
        RETURNING {_USER}
        """,
        username=username,
        email=email,
        email_key=_key_of(email),
        email_confirmed=email_confirmed,
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
                   WHEN EXISTS (
                            SELECT FROM users WHERE coalesce(email_key, lower(email)) = %(mailbox)s
                        )
                   THEN 'users_mailbox_key'
               END
        """,
        username=username,
        mailbox=identity(email),
    )


def find_user_with_email(tx, email):
    """Return the user whose mailbox this is, confirmed or not, but not pending; in any spelling."""
    return tx.one(
        User,
        f"SELECT {_USER} FROM users WHERE coalesce(email_key, lower(email)) = %(mailbox)s",
        mailbox=identity(email),
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
    """Count users. filters: username, mailbox (a chassis.mailboxes.identity), status, role."""
    return tx.value(count_of(f"users {_MATCHING}"), **filters)


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


def update_user(
    tx,
    user_id,
    *,
    username,
    email,
    email_confirmed,
    pending_email,
    full_name,
    password_hash,
    role,
):
    return tx.one(
        User,
        f"""
           UPDATE users
              SET username = %(username)s,
                  email = %(email)s,
                  email_key = %(email_key)s,
                  email_confirmed = %(email_confirmed)s,
                  pending_email = %(pending_email)s,
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
        email_key=_key_of(email),
        email_confirmed=email_confirmed,
        pending_email=pending_email,
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
        RETURNING id, username, email, email_confirmed, pending_email, full_name, password_hash,
                  role, token_epoch, points, points_balance, status, version + 1 AS version,
                  created_at, updated_at
        """,
        user_id=user_id,
    )


def find_deleted_user(tx, user_id):
    """Return when a user was deleted, and their last version, or None."""
    return tx.one(
        DeletedUser,
        "SELECT version, deleted_at FROM deleted_users WHERE user_id = %(user_id)s",
        user_id=user_id,
    )


def raise_versions(tx, *, after, by, most):
    """Raise the versions of up to `most` users behind that id. Returns the last id, or None."""
    return tx.value(
        """
          WITH raised AS (
                      UPDATE users
                         SET version = version + %(by)s
                       WHERE id = ANY(ARRAY(
                                 SELECT id
                                   FROM users
                                  WHERE id > %(after)s
                                  ORDER BY id
                                  LIMIT %(most)s
                             ))
                   RETURNING id
               )
        SELECT max(id)
          FROM raised
        """,
        after=after,
        by=by,
        most=most,
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


def insert_session(tx, user_id, *, epoch, key_hash, token_hash, days):
    tx.queue(
        """
        INSERT INTO sessions (key_hash, user_id, epoch, current_hashes, expires_at)
        VALUES (
            %(key_hash)s, %(user_id)s, %(epoch)s, ARRAY[%(token_hash)s],
            now() + make_interval(days => %(days)s)
        )
        """,
        user_id=user_id,
        epoch=epoch,
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
               epoch,
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


def delete_sessions_of(tx, user_id, *, but_newest, limit):
    """Delete the user's sessions, but keep the newest; at most `limit` of them, newest first."""
    tx.queue(
        """
        DELETE FROM sessions
         WHERE id = ANY(ARRAY(
                   SELECT id
                     FROM sessions
                    WHERE user_id = %(user_id)s
                    ORDER BY id DESC
                   OFFSET %(but_newest)s
                    LIMIT %(limit)s
               ))
        """,
        user_id=user_id,
        but_newest=but_newest,
        limit=limit,
    )


def begin_token_epoch(tx, user_id):
    """Void what was issued to the user so far, and list that."""
    tx.queue(
        """
        WITH begun AS (
                 UPDATE users
                    SET token_epoch = token_epoch + 1
                  WHERE id = %(user_id)s
              RETURNING id, token_epoch
             )
        INSERT INTO revocations (user_id, epoch)
        SELECT id, token_epoch
          FROM begun
            ON CONFLICT (user_id) DO UPDATE
           SET epoch = excluded.epoch,
               revoked_at = now()
        """,
        user_id=user_id,
    )


def list_revocations(tx, *, seconds):
    """Return the Revocations of the last so many seconds."""
    return tx.all(
        Revocation,
        """
        SELECT user_id, epoch
          FROM revocations
         WHERE revoked_at > now() - make_interval(secs => %(seconds)s)
         ORDER BY user_id
        """,
        seconds=seconds,
    )


def is_still(tx, user_id, *, role, epoch):
    """Whether there is a user of that role whose tokens of that epoch are not void."""
    return tx.value(
        """
        SELECT EXISTS (
                   SELECT FROM users
                    WHERE id = %(user_id)s
                      AND role = %(role)s
                      AND token_epoch <= %(epoch)s
               )
        """,
        user_id=user_id,
        role=role,
        epoch=epoch,
    )


def find_guesses(tx, slot, key):
    # not now(): a transaction that began before the last try would count from before it
    return tx.one(
        Guesses,
        """
        SELECT failures,
               tried_at,
               extract(epoch FROM clock_timestamp() - tried_at)::float8 AS seconds_since
          FROM guesses
         WHERE slot = %(slot)s
           AND key = %(key)s
        """,
        slot=slot,
        key=key,
    )


def claim_try(tx, slot, key, tried_at):
    """Let one try through, after the one at `tried_at`. False if another request was first."""
    return tx.run(
        """
        UPDATE guesses
           SET tried_at = now()
         WHERE slot = %(slot)s
           AND key = %(key)s
           AND tried_at = %(tried_at)s
        """,
        slot=slot,
        key=key,
        tried_at=tried_at,
    )


def count_failure(tx, slot, key, *, forgotten_seconds):
    """Count a failure; another key in the slot, or one of long ago, gives way to it."""
    tx.queue(
        """
        INSERT INTO guesses AS earlier (slot, key, failures, tried_at)
        VALUES (%(slot)s, %(key)s, 1, now())
            ON CONFLICT (slot) DO UPDATE
           SET key = excluded.key,
               failures = CASE
                   WHEN earlier.key = excluded.key
                    AND earlier.tried_at > now() - make_interval(secs => %(forgotten_seconds)s)
                   THEN earlier.failures + 1
                   ELSE 1
               END,
               tried_at = excluded.tried_at
        """,
        slot=slot,
        key=key,
        forgotten_seconds=forgotten_seconds,
    )


def delete_guesses(tx, slot, key):
    tx.queue(
        "DELETE FROM guesses WHERE slot = %(slot)s AND key = %(key)s",
        slot=slot,
        key=key,
    )


def is_known_address(tx, user_id, address, *, days):
    return tx.value(
        """
        SELECT EXISTS (
                   SELECT FROM known_addresses
                    WHERE user_id = %(user_id)s
                      AND address = %(address)s
                      AND seen_at > now() - make_interval(days => %(days)s)
               )
        """,
        user_id=user_id,
        address=address,
        days=days,
    )


def remember_address(tx, user_id, address):
    tx.queue(
        """
        INSERT INTO known_addresses (user_id, address)
        VALUES (%(user_id)s, %(address)s)
            ON CONFLICT (user_id, address) DO UPDATE
           SET seen_at = now()
        """,
        user_id=user_id,
        address=address,
    )


def forget_addresses_of(tx, user_id, *, days, kept):
    """Delete a user's addresses that are older, and all but the newest."""
    tx.queue(
        """
        DELETE FROM known_addresses
         WHERE user_id = %(user_id)s
           AND address NOT IN (
                   SELECT address
                     FROM known_addresses
                    WHERE user_id = %(user_id)s
                      AND seen_at > now() - make_interval(days => %(days)s)
                    ORDER BY seen_at DESC
                    LIMIT %(kept)s
               )
        """,
        user_id=user_id,
        days=days,
        kept=kept,
    )


def count_failed_sign_in(tx, user_id, address, request_id, *, most):
    """Count a failure for this hour; of further accounts and addresses than `most`, none."""
    tx.queue(
        """
        INSERT INTO failed_sign_ins AS earlier (hour, user_id, address, request_id)
        SELECT date_trunc('hour', now()), %(user_id)s, %(address)s, %(request_id)s
         WHERE (
                   SELECT count(*) < %(most)s
                       OR count(*) FILTER (
                              WHERE user_id = %(user_id)s AND address = %(address)s
                          ) > 0
                     FROM failed_sign_ins
                    WHERE hour = date_trunc('hour', now())
               )
            ON CONFLICT (hour, user_id, address) DO UPDATE
           SET failures = earlier.failures + 1,
               request_id = excluded.request_id
        """,
        user_id=user_id,
        address=address,
        request_id=request_id,
        most=most,
    )


def take_failed_sign_ins(tx, *, most):
    """Delete and return the FailedSignIns of hours that have ended, at most `most` of each."""
    return tx.all(
        FailedSignIns,
        """
        WITH taken AS (
                 DELETE FROM failed_sign_ins
                  WHERE hour < date_trunc('hour', now())
              RETURNING hour, user_id, address, failures, request_id
             ),
             ranked AS (
                 SELECT hour, user_id, address, failures, request_id,
                        row_number() OVER (PARTITION BY hour ORDER BY failures DESC) AS place
                   FROM taken
             )
        SELECT user_id, address, failures, request_id
          FROM ranked
         WHERE place <= %(most)s
         ORDER BY hour, place
        """,
        most=most,
    )


def insert_code(tx, user_id, *, purpose, mailbox, code_hash, valid_for):
    """Store a code that goes to a mailbox. valid_for: a timedelta. Returns the Code."""
    return tx.one(
        Code,
        f"""
        INSERT INTO email_codes (code_hash, user_id, purpose, email, expires_at)
        VALUES (%(code_hash)s, %(user_id)s, %(purpose)s, %(mailbox)s, now() + %(valid_for)s)
        RETURNING {_CODE}
        """,
        user_id=user_id,
        purpose=purpose,
        mailbox=mailbox,
        code_hash=code_hash,
        valid_for=valid_for,
    )


def find_code(tx, purpose, code_hash):
    """Return the Code with that hash, or None if it is unknown, used or expired."""
    return tx.one(
        Code,
        f"""
        SELECT {_CODE}
          FROM email_codes
         WHERE code_hash = %(code_hash)s
           AND purpose = %(purpose)s
           AND expires_at > now()
        """,
        purpose=purpose,
        code_hash=code_hash,
    )


def count_codes(tx, user_id, *, purpose, mailbox, within):
    """Return how many codes were made for that mailbox of a user lately. within: a timedelta."""
    return tx.value(
        """
        SELECT count(*)
          FROM email_codes
         WHERE user_id = %(user_id)s
           AND purpose = %(purpose)s
           AND lower(email) = %(mailbox)s
           AND created_at > now() - %(within)s
        """,
        user_id=user_id,
        purpose=purpose,
        mailbox=mailbox,
        within=within,
    )


def delete_codes(tx, user_id, purpose):
    tx.queue(
        "DELETE FROM email_codes WHERE user_id = %(user_id)s AND purpose = %(purpose)s",
        user_id=user_id,
        purpose=purpose,
    )


def delete_codes_for_other_mailboxes(tx, user_id, *, purpose, mailbox):
    tx.queue(
        """
        DELETE FROM email_codes
         WHERE user_id = %(user_id)s
           AND purpose = %(purpose)s
           AND lower(email) <> %(mailbox)s
        """,
        user_id=user_id,
        purpose=purpose,
        mailbox=mailbox,
    )
