"""Rows from before the rules of text: each service brings them into their form, or reports them."""

import importlib

import pytest

from chassis import stored_text

DECOMPOSED = "Cafe\u0301"
COMPOSED = "Café"

# By service: what an older release has stored, a statement that shows it, and what is left of it.
OLD_ROWS = {
    "microservice1": (
        """
        INSERT INTO users (username, email, full_name)
        VALUES ('ada', 'Info@bu\u0308cher.example', 'Cafe\u0301'),
               ('bob', 'bob@example.com', 'Bob')
        """,
        "SELECT full_name, email, email_key FROM users ORDER BY id",
        [
            (COMPOSED, "Info@bücher.example", "info@xn--bcher-kva.example"),
            ("Bob", "bob@example.com", None),
        ],
    ),
    "microservice2": (
        """
        INSERT INTO products (sku, name, category, price, description)
        VALUES ('Cafe\u0301', 'Cafe\u0301', 'Cafe\u0301', 1, E'Cafe\u0301\n\tau lait')
        """,
        "SELECT sku, name, category, description FROM products",
        [(COMPOSED, COMPOSED, COMPOSED, "Café\n\tau lait")],
    ),
    "microservice3": (
        """
        INSERT INTO orders (user_id, requested, currency, placed_at, reference)
        VALUES (7, '[]', 'EUR', now(), 'Cafe\u0301')
        """,
        "SELECT reference FROM orders",
        [(COMPOSED,)],
    ),
    "microservice4": (
        "INSERT INTO contacts (user_id, email, full_name) VALUES (7, 'a@b.example', 'Cafe\u0301')",
        "SELECT full_name FROM contacts",
        [(COMPOSED,)],
    ),
}


@pytest.fixture
def normalise(commands_of):
    """Returns a function of a service: its command, with its output."""
    return lambda name: commands_of(importlib.import_module(f"{name}.normalise"))


@pytest.fixture
def command(normalise, app):
    return normalise(app.name)


def test_stored_text_is_brought_into_its_form_once(name, command, rows):
    old, shown, wanted = OLD_ROWS[name]
    rows(old)

    code, dry, _ = command("--dry-run")
    assert (code, rows(shown) == wanted) == (0, False)
    assert "would be normalised" in dry
    code, said, _ = command()
    assert (code, rows(shown)) == (0, wanted)
    assert "normalised" in said

    written = f"SELECT xmin::text FROM {shown.partition(' FROM ')[2]}"
    before = rows(written)
    assert command() == (0, "", "")
    assert rows(written) == before


class TestProducts:
    @pytest.fixture
    def name(self):
        return "microservice2"

    def test_a_key_that_would_equal_another_stays_and_is_reported(self, command, rows):
        rows(
            """
            INSERT INTO products (sku, name, category, price)
            VALUES ('Café', 'First', 'A', 1), ('Cafe\u0301', 'Cafe\u0301', 'A', 1)
            """
        )

        dry_code, dry, _ = command("--dry-run")
        code, said, _ = command()

        assert (code, dry_code) == (1, 1)
        assert "sku is taken in another spelling" in dry
        assert (
            "microservice2  products 2: sku is taken in another spelling (products_sku_key)"
            in said.splitlines()
        )
        assert rows("SELECT sku, name FROM products ORDER BY id") == [
            (COMPOSED, "First"),
            (DECOMPOSED, COMPOSED),
        ]

    def test_a_name_that_no_rule_accepts_stays_and_is_reported(self, command, rows):
        rows(
            """
            INSERT INTO products (sku, name, category, price)
            VALUES ('LAMP\u200b', '   ', 'A', 1)
            """
        )

        code, said, _ = command()

        assert code == 1
        assert said.splitlines() == [
            "microservice2  products 1: sku must not contain U+200B (zero width space)",
            "microservice2  products 1: name must not be blank",
        ]
        assert rows("SELECT sku, name FROM products") == [("LAMP\u200b", "   ")]

    def test_many_rows_are_done_in_pieces(self, command, rows, monkeypatch):
        monkeypatch.setattr(stored_text, "IDS_AT_ONCE", 10)
        rows(
            """
            INSERT INTO products (sku, name, category, price)
            SELECT 'sku' || n, 'Cafe\u0301', 'Coffee', 1 FROM generate_series(1, 25) AS n
            """
        )

        assert command()[1] == "microservice2  products: 25 texts normalised"
        assert rows("SELECT DISTINCT name FROM products") == [(COMPOSED,)]


class TestUsers:
    @pytest.fixture
    def name(self):
        return "microservice1"

    def test_two_accounts_of_one_mailbox_stay_and_one_is_reported(self, command, rows):
        rows(
            """
            INSERT INTO users (username, email)
            VALUES ('ada', 'info@xn--bcher-kva.example'), ('eve', 'info@bücher.example')
            """
        )

        code, said, _ = command()

        assert code == 1
        assert said == (
            "microservice1  users 2: email is taken in another spelling (users_mailbox_key)"
        )
        assert rows("SELECT email, email_key FROM users ORDER BY id") == [
            ("info@xn--bcher-kva.example", None),
            ("info@bücher.example", None),
        ]

    @pytest.mark.parametrize("username", ["..", "-rf", ".ada"])
    def test_a_username_that_is_a_path_or_an_option_is_reported(self, command, rows, username):
        rows("INSERT INTO users (username, email) VALUES (%(name)s, 'a@b.example')", name=username)

        code, said, _ = command()

        assert code == 1
        assert said == "microservice1  users 1: username must begin with a letter, a digit or _"

    @pytest.mark.parametrize("email", ['"a da"@example.com', "ada@[127.0.0.1]", "ada@ex.com\u200b"])
    def test_an_address_that_cannot_be_written_to_is_reported(self, command, rows, email):
        rows("INSERT INTO users (username, email) VALUES ('ada', %(email)s)", email=email)

        code, said, _ = command()

        assert code == 1
        assert said.startswith("microservice1  users 1: email must ")

    def test_no_address_is_printed(self, command, rows):
        rows("INSERT INTO users (username, email) VALUES ('ada', 'secret@gmail\u200b')")

        code, said, complained = command()

        assert code == 1
        assert "secret" not in said + complained
