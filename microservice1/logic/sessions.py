"""Sessions: a password opens one, a refresh token keeps it open, an access token acts in it.

Every service believes an access token until it expires, 10 minutes later, or until the list of
revocations names it, which is what `end_all` is for. Refresh tokens end with the session; of these
only hashes are stored.

A refresh token is the key of its session, which stays, and a secret of its own: `<key>.<secret>`.
So one that was replaced long ago still names the session that is to end when it turns up again.
"""

import hashlib
import logging
import secrets

from chassis import audit, service
from chassis.database import transaction
from chassis.errors import present
from chassis.tokens import USER_TOKEN_SECONDS
from microservice1 import database
from microservice1.errors import BadCredentials
from microservice1.logic import guessing, passwords

SESSION_DAYS = 30
GRACE_SECONDS = 10
MOST_SESSIONS = 50  # of one user, the newest
DELETED_AT_ONCE = 1000
LISTED_SECONDS = USER_TOKEN_SECONDS + 60  # a revocation: longer than any token, and clocks differ

log = logging.getLogger(__name__)


def sign_in(username, password, network):
    """Open a session. Returns its tokens.

    network: see chassis.networks. Raises BadCredentials, TooManyAttempts or PasswordsBusy.
    """
    with transaction() as tx:
        user = database.find_user_called(tx, username)
        tried = guessing.admit(tx, username, user, network)
    password_hash = passwords.confirmed(password, user and user.password_hash)
    if password_hash is None:
        guessing.failed(tried)
        raise BadCredentials
    refresh_token = _new_token(secrets.token_urlsafe(16))
    present_user = _open(tried, password_hash, refresh_token)
    if present_user is None:
        return sign_in(username, password, network)
    return _tokens(present_user, refresh_token)


def refresh(refresh_token):
    """Return new tokens in exchange for a refresh token, with the role that the user has now.

    The one given works for GRACE_SECONDS more: the answer may be lost, and two may ask at once.
    All that come of it are equals, and whichever is used first replaces all of them. One that is
    used after its time was stolen, or what replaced it was: the session ends (RFC 9700, 4.14.2).
    Raises BadCredentials.
    """
    successor = _new_token(_key_of(refresh_token))
    with transaction() as tx:
        session = database.lock_session(
            tx, key_hash=_hash_of(_key_of(refresh_token)), token_hash=_hash_of(refresh_token)
        )
        user = _continue(tx, session, successor) if session else None
    if user is None:
        raise BadCredentials("The refresh token is unknown, used, expired or revoked")
    return _tokens(user, successor)


def sign_out(refresh_token):
    """End the session of a refresh token, also a used one; one that is over already stays so."""
    with transaction() as tx:
        database.delete_session_with_key(tx, _hash_of(_key_of(refresh_token)))


def end_all(tx, user_id):
    """End all sessions of a user, and put their access tokens on the list of revocations.

    Call it in the transaction of the change, with the user's row locked: before or after a change
    of the row, but before its deletion. What is issued after that transaction is valid.

    A user can have more sessions than one statement can delete. Those that are left are void, and
    go when they expire.
    """
    database.begin_token_epoch(tx, user_id)
    database.delete_sessions_of(tx, user_id, but_newest=0, limit=DELETED_AT_ONCE)


def revoked():
    """Return which access tokens are void although not expired: {user id as a string: epoch}."""
    with transaction() as tx:
        found = database.list_revocations(tx, seconds=LISTED_SECONDS)
    return {str(revocation.user_id): revocation.epoch for revocation in found}


def keep_revocations():
    """Write the list for this service's own processes; the other services fetch it."""
    service.current().revocations.replace(revoked())


def access_token_of(username):
    """Return an access token of that user without a password: for who runs the service."""
    with transaction() as tx:
        return _access_token(present(database.find_user_called(tx, username)))


def _open(tried, password_hash, refresh_token):
    """Store a session, and the hash of the password if it is a better one.

    Returns the user as they are now, or None if the password that was checked is theirs no longer.
    """
    user = tried.user
    with transaction() as tx:
        found = database.lock_user(tx, user.id)
        if found is None or found.password_hash != user.password_hash:
            return None
        if password_hash != found.password_hash:
            database.update_password_hash(tx, user.id, password_hash)
        database.insert_session(
            tx,
            user.id,
            epoch=found.token_epoch,
            key_hash=_hash_of(_key_of(refresh_token)),
            token_hash=_hash_of(refresh_token),
            days=SESSION_DAYS,
        )
        database.delete_sessions_of(tx, user.id, but_newest=MOST_SESSIONS, limit=DELETED_AT_ONCE)
        guessing.succeeded(tx, tried)
        guessing.remember_address(tx, tried)
        if found.role == "admin":
            with audit.on_behalf_of(f"user:{user.id}"):
                audit.record(tx, "signed_in", f"user/{user.id}")
        return found


def _continue(tx, session, successor):
    """Let a successor take the place of the token that was presented, or end the session.

    session: with its row locked. Returns the user as they are now, or None if the session ended.
    """
    user = database.find_user(tx, session.user_id)
    if user is None or session.epoch < user.token_epoch:
        database.delete_session(tx, session.id)
        return None
    if session.is_current:
        database.rotate_session(tx, session.id, _hash_of(successor))
    elif session.is_previous and session.seconds_since_rotation <= GRACE_SECONDS:
        database.add_refresh_token(tx, session.id, _hash_of(successor))
    else:
        log.warning("a refresh token was used again", extra={"user_id": session.user_id})
        database.delete_session(tx, session.id)
        return None
    return user


def _tokens(user, refresh_token):
    return {
        "access_token": _access_token(user),
        "token_type": "Bearer",
        "expires_in": USER_TOKEN_SECONDS,
        "refresh_token": refresh_token,
    }


def _access_token(user):
    return service.current().signer.user_token(user.id, user.role, user.token_epoch)


def _new_token(key):
    return f"{key}.{secrets.token_urlsafe(32)}"


def _key_of(refresh_token):
    return refresh_token.partition(".")[0]


def _hash_of(text):
    return hashlib.sha256(text.encode()).digest()
