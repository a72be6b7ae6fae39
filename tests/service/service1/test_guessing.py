"""Wrong passwords: who tries many has to wait, the owner does not, and no account is locked."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from chassis import testing
from chassis.database import transaction
from microservice1.errors import TooManyAttempts
from microservice1.logic import guessing, passwords, retention

PASSWORD = "correct horse battery"
NEW_PASSWORD = "a wholly new password"
OWNER, STRANGER = "198.51.100.1", "203.0.113.7"


def refusal(answer):
    return answer.status_code, answer.json["code"]


@pytest.fixture
def ada(a_user):
    return a_user(username="Ada", password=PASSWORD)


@pytest.fixture
def try_from(app):
    """Returns a function that tries to sign in from an address, and returns the answer."""

    def try_once(address, username="ada", password="wrong"):
        client = testing.Client(app, address=address)
        return client.post("/tokens", json={"username": username, "password": password})

    return try_once


@pytest.fixture(autouse=True)
def hashes(monkeypatch):
    """Passwords that were hashed; in place of argon2, which is tested elsewhere, a quick look."""
    tried = []

    def confirmed(password, password_hash):
        tried.append(password)
        return password_hash if password == PASSWORD else None

    monkeypatch.setattr(passwords, "confirmed", confirmed)
    return tried


@pytest.fixture(autouse=True)
def long_waits(monkeypatch):
    """No wait is over because the computer was slow. Returns the function that is replaced."""
    schedule = guessing.seconds_to_wait

    def at_least_a_minute(failures, free_tries):
        seconds = schedule(failures, free_tries)
        return seconds and max(60, seconds)

    monkeypatch.setattr(guessing, "seconds_to_wait", at_least_a_minute)
    return schedule


@pytest.fixture
def later(rows):
    """Returns a function: so many seconds pass."""
    return lambda seconds: rows(
        "UPDATE guesses SET tried_at = tried_at - make_interval(secs => %(seconds)s)",
        seconds=seconds,
    )


@pytest.fixture
def attacked(ada, try_from, rows):
    """Returns a function: strangers have failed so often that the wait for ada is 300 s."""

    def attack():
        for address in list(addresses())[:10]:
            assert try_from(address).status_code == 401
        rows("UPDATE guesses SET failures = failures + 10 WHERE failures = 10")

    return attack


def addresses():
    """So many addresses that no count of an address is ever full."""
    return (f"192.0.2.{number % 256}" for number in range(1000))


def test_after_ten_free_tries_a_wait_doubles_with_each_failure(
    ada, try_from, later, rows, long_waits, monkeypatch
):
    source = addresses()
    for _ in range(10):
        assert refusal(try_from(next(source))) == (401, "bad_credentials")
    assert refusal(try_from(next(source))) == (429, "too_many_attempts")
    monkeypatch.setattr(guessing, "seconds_to_wait", long_waits)
    rows("UPDATE guesses SET failures = failures + 4, tried_at = now() WHERE failures = 10")

    for seconds in (16, 32, 64, 128, 256, 300, 300):
        refused = try_from(next(source))
        assert refusal(refused) == (429, "too_many_attempts")
        assert seconds / 2 < int(refused.headers["Retry-After"]) <= seconds
        later(seconds)
        assert refusal(try_from(next(source))) == (401, "bad_credentials")


def test_a_refused_try_costs_no_hash_and_no_write(attacked, try_from, hashes, rows):
    attacked()
    hashed = len(hashes)
    kept = rows("SELECT xmin, xmax, * FROM guesses ORDER BY slot")

    for address in list(addresses())[:20]:
        assert try_from(address, password=PASSWORD).status_code == 429

    assert len(hashes) == hashed
    assert rows("SELECT xmin, xmax, * FROM guesses ORDER BY slot") == kept


def test_strangers_do_not_delay_the_owner(attacked, try_from):
    assert try_from(OWNER, password=PASSWORD).status_code == 200
    attacked()

    assert refusal(try_from(STRANGER, password=PASSWORD)) == (429, "too_many_attempts")
    assert try_from(OWNER, password=PASSWORD).status_code == 200
    assert try_from(STRANGER, password=PASSWORD).status_code == 429  # still


def test_a_forged_header_makes_nobody_the_owner(app, attacked, try_from):
    assert try_from(OWNER, password=PASSWORD).status_code == 200
    attacked()

    answer = testing.Client(app, address=STRANGER).post(
        "/tokens",
        json={"username": "ada", "password": PASSWORD},
        headers={"X-Forwarded-For": OWNER, "X-Real-IP": OWNER, "Forwarded": f"for={OWNER}"},
    )

    assert refusal(answer) == (429, "too_many_attempts")


def test_at_the_owners_address_too_there_are_ten_free_tries(ada, try_from):
    assert try_from(OWNER, password=PASSWORD).status_code == 200
    for _ in range(10):
        assert try_from(OWNER).status_code == 401

    assert refusal(try_from(OWNER, password=PASSWORD)) == (429, "too_many_attempts")


def test_an_address_is_the_owners_for_thirty_days_and_so_are_twenty(attacked, try_from, rows):
    for number in range(25):
        assert try_from(f"198.51.100.{number}", password=PASSWORD).status_code == 200
    assert rows("SELECT count(*) FROM known_addresses") == [(20,)]

    rows("UPDATE known_addresses SET seen_at = seen_at - interval '30 days'")
    attacked()

    assert try_from("198.51.100.24", password=PASSWORD).status_code == 429


def test_old_addresses_are_forgotten(users, ada, try_from, rows):
    try_from(OWNER, password=PASSWORD)
    rows("UPDATE known_addresses SET seen_at = seen_at - interval '31 days'")
    try_from(STRANGER, password=PASSWORD)
    rows(
        """
        INSERT INTO known_addresses (user_id, address, seen_at)
        SELECT %(id)s, int4send(n), now() - interval '31 days' FROM generate_series(1, 1500) AS n
        """,
        id=ada.id,
    )

    with users.active():
        retention.clean_up()

    assert rows("SELECT count(*) FROM known_addresses") == [(1,)]


def test_a_success_ends_the_count_of_the_account(ada, try_from):
    for _ in range(3):
        for _ in range(9):
            assert try_from(STRANGER).status_code == 401
        assert try_from(OWNER, password=PASSWORD).status_code == 200
        assert try_from(STRANGER, password=PASSWORD).status_code == 200


def test_an_hour_without_a_try_ends_a_count(ada, try_from, later):
    for _ in range(10):
        try_from(STRANGER)
    assert try_from(STRANGER).status_code == 429

    later(3601)

    assert [try_from(STRANGER).status_code for _ in range(11)] == [401] * 10 + [429]


def test_a_clock_that_was_put_back_delays_nobody(attacked, try_from, later):
    attacked()

    later(-7200)

    assert try_from(STRANGER, password=PASSWORD).status_code == 200


@pytest.mark.parametrize("username", ["nobody", "ada", "\u00e4\u0130\u212a"])
def test_a_name_that_no_account_has_is_counted_alike(ada, try_from, rows, username):
    answers = [refusal(try_from(address, username)) for address in list(addresses())[:10]]
    rows("UPDATE guesses SET failures = failures + 10 WHERE failures = 10")

    assert answers == [(401, "bad_credentials")] * 10
    assert refusal(try_from(STRANGER, username)) == (429, "too_many_attempts")


def test_upper_and_lower_case_are_one_count(ada, try_from):
    for number, address in zip(range(10), addresses(), strict=False):
        try_from(address, ("ada", "ADA", "Ada")[number % 3])

    assert try_from(STRANGER, "aDA").status_code == 429


def test_one_address_has_a_hundred_free_tries_whatever_the_names(ada, try_from):
    for number in range(100):
        assert try_from(STRANGER, f"name{number}").status_code == 401

    assert refusal(try_from(STRANGER, "ada", PASSWORD)) == (429, "too_many_attempts")
    assert try_from(OWNER, "ada", PASSWORD).status_code == 200


def test_a_success_does_not_end_the_count_of_the_address(ada, a_user, try_from):
    mallory = a_user(username="mallory", password=PASSWORD).username
    for number in range(100):
        try_from(STRANGER, f"name{number}")
        if number == 50:
            assert try_from(STRANGER, mallory, PASSWORD).status_code == 200

    assert try_from(STRANGER, "another").status_code == 429
    assert try_from(STRANGER, mallory, PASSWORD).status_code == 200  # it is known to mallory


def test_of_ipv6_a_network_is_one_address(ada, try_from):
    for number in range(100):
        try_from(f"2001:db8:1:2::{number:x}", f"name{number}")

    assert try_from("2001:db8:1:2:ffff::", "another").status_code == 429
    assert try_from("2001:db8:1:3::", "another").status_code == 401


def test_the_host_itself_is_limited_by_account_alone(ada, try_from):
    for number in range(120):
        assert try_from("127.0.0.1", f"name{number}").status_code == 401

    answers = [try_from("127.0.0.1").status_code for _ in range(11)]
    assert answers == [401] * 10 + [429]


def test_of_tries_at_once_one_is_let_through(ada, try_from, later):
    for address in list(addresses())[:16]:  # the next wait is 128 s, longer than this test
        try_from(address)
        later(64)

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(try_from, list(addresses())[:8]))

    assert sorted(answer.status_code for answer in answers) == [401] + [429] * 7


def test_a_transaction_that_began_before_the_last_try_waits_after_it(users, ada, try_from, later):
    for address in list(addresses())[:16]:
        try_from(address)
        later(64)

    with users.active(), transaction() as tx:
        tx.value("SELECT now()")
        assert try_from("192.0.2.77").status_code == 401
        with pytest.raises(TooManyAttempts):
            guessing.admit(tx, "ada", None, "192.0.2.78")


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_the_current_password_is_a_guess_like_any_other(
    app, ada, as_holder, try_from, method, keys
):
    thief = testing.Client(app, testing.user_token(keys, ada.id), address=STRANGER)
    body = {"email": ada.email, "password": NEW_PASSWORD, "current_password": "a guess"}

    answers = [refusal(thief.open(method, f"/users/{ada.id}", json=body)) for _ in range(11)]

    assert answers == [(403, "wrong_password")] * 10 + [(429, "too_many_attempts")]
    right = body | {"current_password": PASSWORD}
    refused = thief.open(method, f"/users/{ada.id}", json=right)
    assert refusal(refused) == (429, "too_many_attempts")
    assert 0 < int(refused.headers["Retry-After"]) <= 60
    assert try_from("192.0.2.1", password=PASSWORD).status_code == 429  # the same count


def test_edits_without_a_password_are_not_counted(app, ada, keys, rows):
    holder = testing.Client(app, testing.user_token(keys, ada.id), address=STRANGER)

    for number in range(12):
        assert (
            holder.patch(f"/users/{ada.id}", json={"full_name": f"Ada {number}"}).status_code == 200
        )
        refused = holder.patch(f"/users/{ada.id}", json={"password": NEW_PASSWORD})
        assert refusal(refused) == (403, "wrong_password")
    assert rows("SELECT count(*) FROM guesses") == [(0,)]


def test_many_addresses_and_names_do_not_make_the_table_grow(try_from, monkeypatch, rows):
    monkeypatch.setattr(guessing, "SLOTS", 16)

    for number in range(200):
        address = f"10.0.{number // 250}.{number % 250}"
        assert try_from(address, f"name{number}").status_code in (401, 429)

    ((kept,),) = rows("SELECT count(*) FROM guesses")
    assert kept <= 16


def test_what_is_stored_names_nobody(ada, try_from, rows):
    try_from(STRANGER)
    try_from(OWNER, password=PASSWORD)

    stored = str(rows("SELECT guesses::text FROM guesses"))
    stored += str(rows("SELECT known_addresses::text FROM known_addresses"))
    for private in ("ada", "Ada", OWNER, STRANGER):
        assert private not in stored
        assert private.encode().hex() not in stored


@pytest.mark.parametrize(("username", "user"), [("ada", "ada"), ("nobody", None)])
def test_the_log_says_whose_account_was_tried(ada, try_from, caplog, username, user):
    caplog.clear()
    try_from(STRANGER, username)

    (line,) = [line for line in caplog.records if line.message == "a password was wrong"]
    assert (line.levelname, line.user_id) == ("WARNING", user and ada.id)
    assert STRANGER not in str(vars(line))
