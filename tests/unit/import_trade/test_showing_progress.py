"""A terminal gets a bar that moves, anything else plain lines."""

import io

import pytest
from import_trade import progress
from import_trade.progress import Notices, Progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def clock(monkeypatch):
    """Time that passes only when told."""
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_a_terminal_shows_a_bar_that_grows_and_goes_when_all_is_done(clock, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    out = Terminal()

    with Progress("orders", 4, out) as stage:
        for _ in range(4):
            clock[0] += 1
            stage.step(is_new=True)

    frames = out.getvalue().split("\r")
    bars = [frame.partition("[")[2].partition("]")[0] for frame in frames if "of 4" in frame]
    assert [bar.count("#") for bar in bars] == [0, 12, 24, 36, 48]
    assert len({len(bar) for bar in bars}) == 1
    assert frames[-1].endswith("     4 in    4.0 s      1.0 a second, 4 new\n")


def test_a_narrow_terminal_gets_figures_without_a_bar(clock, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    out = Terminal()

    with Progress("orders", 4, out):
        pass

    assert "[#" not in out.getvalue()
    assert "0 of 4" in out.getvalue()


def test_a_file_or_pipe_gets_plain_lines_now_and_then(clock):
    out = io.StringIO()

    with Progress("orders", 96, out) as stage:
        for _ in range(96):
            clock[0] += 0.125
            stage.step(is_new=False)

    lines = out.getvalue().splitlines()
    assert "\r" not in out.getvalue()
    assert [line.split()[1:] for line in lines[:2]] == [["40", "of", "96"], ["80", "of", "96"]]
    assert len(lines) == 3
    assert lines[-1].endswith(", none new")


def test_a_stage_that_fails_sums_nothing_up(clock):
    out = io.StringIO()

    with pytest.raises(ValueError), Progress("orders", 4, out):
        raise ValueError

    assert out.getvalue() == ""


def test_trouble_is_told_but_not_for_every_call(clock, capsys):
    notice = Notices()

    notice("first")
    notice("second")
    clock[0] += progress.TROUBLE_EVERY_SECONDS
    notice("third")

    assert capsys.readouterr().err == "first\nthird\n"
