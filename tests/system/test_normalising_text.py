"""Text of an older release in a running stack: a script normalises it, or lists what it cannot."""

import uuid

import pytest


@pytest.fixture
def old_rows(stack):
    """Store products as an older release did, of unique keys; delete them afterwards."""
    key = uuid.uuid4().hex

    def as_owner(sql):
        return stack.function("as_owner", "microservice2", "microservice2", "-Atc", sql).stdout

    as_owner(
        f"""
        INSERT INTO products (sku, name, category, price)
        VALUES ('{key}-1', 'Cafe\u0301', 'Old', 1), ('{key}-2', '   ', 'Old', 1)
        """
    )
    yield lambda: as_owner(f"SELECT name FROM products WHERE sku LIKE '{key}%' ORDER BY sku")
    as_owner(f"DELETE FROM products WHERE sku LIKE '{key}%'")


def test_a_script_normalises_stored_text_and_lists_the_rest(stack, old_rows):
    first = stack.script("normalise", "microservice2", check=False)

    assert first.returncode == 1
    assert "microservice2  products: 1 texts normalised" in first.stdout
    assert "name must not be blank" in first.stdout
    assert old_rows() == "Café\n   \n"

    after_an_upgrade = stack.function("normalise_after_upgrade", "microservice2")
    assert "name must not be blank" in after_an_upgrade.stderr
    assert "normalised" not in after_an_upgrade.stderr.replace("scripts/normalise lists", "")
