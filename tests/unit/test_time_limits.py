"""Deadlines shrink inwards: whoever waits for somebody waits longer than that one may take."""

import re
from pathlib import Path

from chassis import (
    database,
    guard,
    http,
    image_store,
    outbox,
    shedding,
    tracing,
    uploads,
    worker,
)
from microservice2.logic import catalogue
from microservice4.clients import smtp

ROOT = Path(__file__).resolve().parents[2]


def test_every_limit_lies_inside_the_next():
    nginx = figure_in("nginx/snippets/uwsgi_service.conf", r"uwsgi_read_timeout\s+(\d+)s;")
    harakiri = figure_in("chassis/uwsgi.ini", r"harakiri\s*=\s*(\d+)")

    limits = [
        nginx,
        harakiri,
        tracing.REQUEST_SECONDS,
        http.CALL_SECONDS,
        http.TRY_SECONDS,
        database.STATEMENT_TIMEOUT_SECONDS,
        database.LOCK_TIMEOUT_SECONDS,
    ]

    assert limits == [9, 8, 5, 3, 1.4, 1, 0.5]
    assert database.POOL_WAIT_SECONDS == database.LOCK_TIMEOUT_SECONDS
    assert 2 * http.TRY_SECONDS + http.PAUSE_SECONDS < http.CALL_SECONDS
    assert database.STATEMENT_TIMEOUT_SECONDS < database.ANSWER_SECONDS < http.TRY_SECONDS


def test_what_waited_for_the_longest_is_answered_before_nginx_gives_up():
    nginx = figure_in("nginx/snippets/uwsgi_service.conf", r"uwsgi_read_timeout\s+(\d+)s;")

    assert nginx > shedding.WAIT_SECONDS + shedding.STANDING_SECONDS + tracing.REQUEST_SECONDS


def test_a_search_is_limited_more_than_other_statements():
    assert catalogue.SEARCH_SECONDS <= database.STATEMENT_TIMEOUT_SECONDS / 5


def test_an_upload_has_limits_of_its_own_once_nginx_has_it():
    nginx = figure_in("nginx/snippets/product_images.conf", r"uwsgi_read_timeout\s+(\d+)s;")
    harakiri = figure_in("microservice2/uwsgi.ini", r"harakiri\s*=\s*(\d+)")

    assert nginx > harakiri > image_store.RECEIVE_SECONDS + tracing.REQUEST_SECONDS
    usual = figure_in("microservice2/uwsgi.ini", r"harakiri:(\d+)")
    assert usual == figure_in("chassis/uwsgi.ini", r"harakiri\s*=\s*(\d+)")


def test_nginx_and_the_service_take_uploads_of_one_size():
    megabytes = figure_in("nginx/snippets/product_images.conf", r"client_max_body_size\s+(\d+)m;")
    assert megabytes * 2**20 == uploads.MOST_BYTES


def test_a_probe_is_not_given_up_before_it_can_have_ended():
    assert guard.PLACE_SECONDS + http.TRY_SECONDS < guard.PROBE_SECONDS


def test_a_conversation_with_the_mail_server_ends_before_its_task_and_its_probe():
    assert smtp.MAIL_SECONDS < worker.TASK_SECONDS
    assert smtp.MAIL_SECONDS <= guard.PROBE_SECONDS


def test_a_neighbour_that_hung_until_just_now_is_called_within_3_seconds_of_its_return():
    assert http.TRY_SECONDS + guard.OPEN_SECONDS < 3


def test_a_lease_outlives_the_request_and_the_task_that_hold_it():
    assert tracing.REQUEST_SECONDS < outbox.LEASE_SECONDS
    assert worker.TASK_SECONDS < outbox.LEASE_SECONDS


def test_no_lease_and_no_pause_is_as_long_as_one_that_a_stepped_clock_has_made():
    longest = max(
        outbox.LEASE_SECONDS,
        http.LONGEST_PAUSE_SECONDS,
        worker.LONGEST_RETRY_SECONDS,
        worker.OUR_FAULT_RETRY_SECONDS,
    )

    assert longest < outbox.LONGEST_PAUSE_SECONDS


def test_the_queue_of_a_service_has_room_beyond_what_nginx_passes_on():
    listen = figure_in("chassis/uwsgi.ini", r"\nlisten = (\d+)")
    places = figure_in("nginx/conf.d/service.conf", r"max_conns=(\d+)")

    assert figure_in("systemd/microservice@.socket", r"Backlog=(\d+)") == listen
    assert places == figure_in("nginx/embedded.conf", r"max_conns=(\d+)")
    assert 8 * places < listen  # of eight processes of Nginx


def figure_in(file, pattern):
    return float(re.search(pattern, (ROOT / file).read_text(encoding="utf-8"))[1])
