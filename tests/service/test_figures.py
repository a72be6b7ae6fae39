"""What each service tells an operator of its own database."""

import pytest

from chassis import figures


@pytest.fixture
def run(name, app, commands_of):
    run = commands_of(figures, of=name)
    return lambda: run(name)


def test_an_empty_outbox_is_told_in_whole_numbers(run):
    figures = "collations_outdated 0\noutbox_waiting 0\noutbox_dead 0\noutbox_oldest_seconds 0"
    assert run() == (0, figures, "")


def test_what_waits_and_what_is_dead_is_counted(run, rows):
    rows(
        """
        INSERT INTO outbox (lane, subject, message, request_id, state, created_at)
        VALUES ('elsewhere', 'thing/1', '{}', 'request-1', 'waiting', now() - interval '90 s'),
               ('elsewhere', 'thing/2', '{}', 'request-2', 'dead', now() - interval '1 day')
        """
    )

    _, waiting, dead, oldest = run()[1].splitlines()

    assert (waiting, dead) == ("outbox_waiting 1", "outbox_dead 1")
    assert 90 <= int(oldest.removeprefix("outbox_oldest_seconds ")) < 3600


def test_a_database_that_does_not_answer_is_said(run, monkeypatch):
    monkeypatch.setenv("DATABASE_URL", "postgresql:///gone?host=/nowhere")

    code, said, complained = run()

    assert (code, said) == (1, "")
    assert "database" in complained
