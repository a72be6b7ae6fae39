import json
from datetime import datetime, timedelta

import pytest
from access_log import AccessLog, answer_of, recent_answers
from watch_release import before, is_too_bad, watch


def line(service, status=200):
    return {"path": f"/api/{service}/products", "status": status, "seconds": 0.02}


def failing(upstream_status):
    """A line of an answer that the service gave with that status, as Nginx passes it on."""
    status = 500 if upstream_status == "500" else 503
    told = {"upstream": "unix:/run/quartet/microservice2.sock", "upstream_status": upstream_status}
    return line("service2", status) | told


@pytest.fixture
def log(tmp_path):
    """A file that is written as Nginx does. Returns (its path, a function that writes lines)."""
    path = tmp_path / "access.log"
    path.touch()

    def write(*entries):
        with path.open("a") as file:
            file.writelines(json.dumps(entry) + "\n" for entry in entries)

    return path, write


def test_a_line_tells_which_service_answered_what():
    answer = answer_of(json.dumps(line("service2", 503)))

    assert (answer.service, answer.status, answer.is_error) == ("microservice2", 503, True)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"no JSON",
        b"[]",
        b"\xff\xfe",
        b'{"status": 200}',
        json.dumps({**line("service2"), "path": "/"}).encode(),
        json.dumps({**line("service2"), "path": "/other/service2/x"}).encode(),
    ],
)
def test_what_is_no_answer_of_a_service_is_passed_over(text):
    assert answer_of(text) is None


def test_only_what_comes_later_is_read(log):
    path, write = log
    write(line("service1"))
    reader = AccessLog(path, path.stat().st_size)

    write(line("service2"), line("service3"))

    assert [answer.service for answer in reader.new_answers()] == ["microservice2", "microservice3"]
    assert reader.new_answers() == []


def test_half_a_line_waits_for_its_other_half(log):
    path, _ = log
    reader = AccessLog(path, 0)
    text = json.dumps(line("service1")) + "\n"

    path.write_text(text[:20])
    assert reader.new_answers() == []
    path.write_text(text)

    assert len(reader.new_answers()) == 1


def test_nothing_is_lost_when_the_log_is_rotated(log):
    path, write = log
    reader = AccessLog(path, 0)
    write(line("service1"))
    path.rename(path.with_suffix(".1"))
    write(line("service2"))

    assert [answer.service for answer in reader.new_answers()] == ["microservice1", "microservice2"]


@pytest.mark.parametrize(
    ("failures", "answers", "share_before", "bad"),
    [
        (0, 100, 0.0, False),
        (4, 4, 0.0, False),
        (5, 5, 0.0, True),
        (5, 100, 0.0, False),
        (6, 100, 0.0, True),
        (30, 100, 0.3, False),
        (36, 100, 0.3, True),
        (100, 100, 1.0, False),
    ],
)
def test_a_release_is_too_bad_if_it_fails_more_than_the_one_before(
    failures, answers, share_before, bad
):
    assert is_too_bad(failures, answers, share_before) is bad


@pytest.mark.parametrize(
    ("status", "upstream", "upstream_status", "is_failure"),
    [
        (500, "unix:/run/quartet/microservice2.sock", "500", True),
        (503, "unix:/run/quartet/microservice2.sock", "502", True),  # Nginx answers 503 for a 502
        (503, "unix:/run/quartet/microservice2.sock", "503", False),
        (503, "unix:/run/quartet/microservice2.sock", "504", False),
        (503, "service2", "502", False),  # refused by Nginx: no connection was tried
        (500, "", "", False),
        (200, "unix:/run/quartet/microservice2.sock", "200", False),
    ],
)
def test_only_failures_of_the_service_itself_count(status, upstream, upstream_status, is_failure):
    entry = line("service2", status) | {"upstream": upstream, "upstream_status": upstream_status}

    assert answer_of(json.dumps(entry)).is_failure is is_failure


def test_overload_by_outsiders_does_not_end_a_release(log, capsys):
    path, write = log
    write(*[failing("503")] * 1000, *[line("service2")] * 10)

    watch("microservice2", path, 0, 0.1, "0.000")

    assert capsys.readouterr().out == "1010 answers watched\n"


def test_failures_end_a_release_at_once(log):
    path, write = log
    write(*[failing("500")] * 10, *[line("service2")] * 10)

    with pytest.raises(SystemExit, match="10 of the last 20 answers were failures"):
        watch("microservice2", path, 0, 60, "0.000")


def test_a_log_that_was_rotated_meanwhile_is_read_from_its_beginning(log):
    path, write = log
    write(line("service1"))

    reader = AccessLog(path, 10_000)

    assert len(reader.new_answers()) == 1


@pytest.mark.parametrize(
    ("upstream_status", "seconds_ago", "share"),
    [("500", 1, "1.000"), ("500", 30, "1.000"), ("500", 90, "0.000"), ("503", 1, "0.000")],
)
def test_what_failed_before_the_switch_is_known(log, capsys, upstream_status, seconds_ago, share):
    path, write = log
    when = datetime.now().astimezone() - timedelta(seconds=seconds_ago)
    write(*[failing(upstream_status) | {"time": when.isoformat(timespec="seconds")}] * 6)
    write({"time": "no time"})

    before("microservice2", path)
    before("microservice1", path)

    assert capsys.readouterr().out == f"{share}\n0.000\n"


def test_a_few_failures_before_the_switch_excuse_nothing(log, capsys):
    path, write = log
    now = datetime.now().astimezone().isoformat(timespec="seconds")
    write(*[failing("500") | {"time": now}] * 4)

    before("microservice2", path)

    assert capsys.readouterr().out == "0.000\n"


def test_of_a_long_log_the_end_counts(log):
    path, write = log
    now = datetime.now().astimezone()
    for minutes, service in ((9, "service1"), (0, "service2")):
        when = (now - timedelta(minutes=minutes)).isoformat(timespec="seconds")
        write(*[{**line(service), "time": when}] * 3_000)

    answers = recent_answers(path, 60)

    assert len(answers) == 3_000
    assert {answer.service for answer in answers} == {"microservice2"}
