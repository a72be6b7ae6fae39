"""What tests ask a host."""

UNDER_WAY = (
    "SELECT count(*) FROM orders WHERE state IN ('pending', 'reserved', 'refunding', 'releasing')"
)


def rows(host, database, query):
    """Return what psql prints, a row a line, columns apart by `|`."""
    as_postgres = ("env", "--chdir=/", "runuser", "-u", "postgres", "--")
    return host.output(*as_postgres, "psql", "-XAt", "-d", database, "-c", query)
