"""What tests ask a host, and what they let it do."""

import re
import time

BACKUPS = "/var/backups/quartet"
UNDER_WAY = (
    "SELECT count(*) FROM orders WHERE state IN ('pending', 'reserved', 'refunding', 'releasing')"
)


def rows(host, database, query):
    """Return what psql prints, a row a line, columns apart by `|`."""
    as_postgres = ("env", "--chdir=/", "runuser", "-u", "postgres", "--")
    return host.output(*as_postgres, "psql", "-XAt", "-d", database, "-c", query)


def trade(host):
    """A customer registers and orders. Returns the order's number."""
    said = host.run(
        *("python3", "scripts/lib/smoke_test.py", "http://127.0.0.1"),
        "/var/lib/microservice4/mail",
        stdin=host.output("scripts/token"),
    )
    return int(re.search(r"order (\d+),", said.stdout)[1])


def back_up(host):
    """Returns the backup's name."""
    return re.search(r"Made (\S+)\.", host.output("scripts/backup"))[1]


def moment(host):
    """Now, on the machine, with nothing in the same second before or after."""
    time.sleep(1.1)
    now = host.output("date", "--utc", "+%F %T")
    time.sleep(1.1)
    return now


def pgbackrest(host, *words):
    settings = ("--config=/etc/microservices/pgbackrest.conf", "--stanza=quartet")
    host.run("runuser", "-u", "postgres", "--", "pgbackrest", *settings, *words)


def archive_log(host):
    """All that was committed until now can be restored."""
    pgbackrest(host, "check")


def orders(host):
    return {int(n) for n in rows(host, "microservice3", "SELECT id FROM orders").split()}
