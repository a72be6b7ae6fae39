import json
from datetime import datetime, timedelta

import pytest
from access_log import AccessLog, answer_of, recent_answers
from watch_release import is_too_bad, look_back


def line(service, status=200):
    return {"path": f"/api/{service}/products", "status": status, "seconds": 0.02}


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
    ("errors", "answers", "bad"),
    [(0, 100, False), (4, 4, False), (5, 5, True), (5, 100, False), (6, 100, True)],
)
def test_a_few_errors_are_no_reason_to_go_back(errors, answers, bad):
    assert is_too_bad(errors, answers) is bad


def test_a_log_that_was_rotated_meanwhile_is_read_from_its_beginning(log):
    path, write = log
    write(line("service1"))

    reader = AccessLog(path, 10_000)

    assert len(reader.new_answers()) == 1


@pytest.mark.parametrize(
    ("status", "seconds_ago", "is_bad"), [(503, 1, True), (503, 60, False), (200, 1, False)]
)
def test_what_was_bad_just_now_is_known(log, status, seconds_ago, is_bad):
    path, write = log
    when = datetime.now().astimezone() - timedelta(seconds=seconds_ago)
    write(*[{**line("service2", status), "time": when.isoformat(timespec="seconds")}] * 6)
    write({"time": "no time"})

    if is_bad:
        with pytest.raises(SystemExit, match="6 of the last 6"):
            look_back("microservice2", path)
    else:
        look_back("microservice2", path)
    look_back("microservice1", path)


def test_of_a_long_log_the_end_counts(log):
    path, write = log
    now = datetime.now().astimezone()
    for minutes, service in ((9, "service1"), (0, "service2")):
        when = (now - timedelta(minutes=minutes)).isoformat(timespec="seconds")
        write(*[{**line(service), "time": when}] * 3_000)

    answers = recent_answers(path, 60)

    assert len(answers) == 3_000
    assert {answer.service for answer in answers} == {"microservice2"}
