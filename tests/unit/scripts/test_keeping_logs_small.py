"""The logs of a stack stay small while it runs, and nobody who writes one has to be told."""

import subprocess
from pathlib import Path

from tests.system.front_door import wait_for

KEEPER = Path(__file__).resolve().parents[3] / "scripts" / "lib" / "keep-logs"
LARGE = 20_000_001


def test_a_large_log_is_moved_aside_and_goes_on_empty(tmp_path):
    large, small = tmp_path / "large.log", tmp_path / "small.log"
    large.write_bytes(b"x" * LARGE)
    small.write_text("as it was\n")

    with (
        large.open("ab", buffering=0) as writer,
        subprocess.Popen([KEEPER, tmp_path, tmp_path / "pid"]) as keeper,
    ):
        wait_for(lambda: large.stat().st_size == 0)
        writer.write(b"after\n")
        keeper.terminate()

    assert large.read_text() == "after\n"
    assert (tmp_path / "large.log.1").stat().st_size == LARGE
    assert small.read_text() == "as it was\n"
    assert int((tmp_path / "pid").read_text()) == keeper.pid
