"""A service that was broken into, and PostgreSQL's user: what root does about what they leave."""

import pytest

from chassis.settings import SERVICES
from tests.host.asking import BACKUPS, back_up, rows, trade

PRECIOUS = "/root/precious"
SECRETS = "/etc/microservices/secrets"
IMAGES = "/var/lib/microservice2/images"
PWNED = "/var/lib/postgresql/pwned"

# in the place of tables that scripts ask for, and in what the drill asks again
TRAPS = f"""
SET SESSION AUTHORIZATION microservice3_owner;
CREATE FUNCTION pwn(id bigint) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    IF current_setting('is_superuser') = 'on' THEN
        COPY (SELECT current_user) TO PROGRAM 'touch {PWNED}';
    END IF;
    RETURN true;
END $$;
CREATE FUNCTION pwn_by_index(id bigint) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN pwn(id);
END $$;
ALTER TABLE order_history ADD CONSTRAINT pwned CHECK (pwn(id));
CREATE INDEX pwned ON order_items (pwn_by_index(order_id));
ALTER TABLE outbox RENAME TO outbox_real;
CREATE VIEW outbox AS SELECT * FROM outbox_real WHERE pwn(id);
ALTER TABLE orders RENAME TO orders_real;
CREATE VIEW orders AS SELECT * FROM orders_real WHERE pwn(id);
GRANT ALL ON outbox, orders TO microservice3;
"""
MENDED = """
DROP VIEW outbox, orders;
ALTER TABLE outbox_real RENAME TO outbox;
ALTER TABLE orders_real RENAME TO orders;
ALTER TABLE order_history DROP CONSTRAINT pwned;
DROP INDEX pwned;
DROP FUNCTION pwn, pwn_by_index;
"""
AS_BEFORE_THERE_WERE_OWNERS = """
ALTER DATABASE microservice3 OWNER TO microservice3;
REASSIGN OWNED BY microservice3_owner TO microservice3;
DROP OWNED BY microservice3_owner;
DROP ROLE microservice3_owner;
"""
OWNERS = """
SELECT DISTINCT relowner::regrole,
       (SELECT datdba::regrole FROM pg_database WHERE datname = current_database())
  FROM pg_class WHERE relnamespace = 'public'::regnamespace
"""


def as_itself(host, service, statement):
    """Return what psql answers a service: by its role and password, as its user could call it."""
    password = host.output("cat", f"{SECRETS}/{service}.database")
    psql = ("psql", "-XAt", "-h", "/run/postgresql", "-U", service, "-d", service, "-c", statement)
    return host.run(*psql, environment=(f"PGPASSWORD={password}",), check=False)


def in_unit(host, service, script):
    """Run a shell script as whoever has broken into a service: as its user, in its sandbox."""
    pid = host.output("systemctl", "show", "-P", "MainPID", f"microservice@{service}")
    become = ("setpriv", f"--reuid={service}", f"--regid={service}", "--clear-groups")
    return host.run("nsenter", "-t", pid, "-m", *become, "sh", "-c", script)


def as_postgres(host, script):
    return host.run("runuser", "-u", "postgres", "--", "sh", "-c", script)


def in_library(host, text, *libraries):
    sourced = "; ".join(f"source scripts/lib/{name}.sh" for name in ("common", "host", *libraries))
    return host.run("bash", "-c", f"{sourced}; {text}", check=False)


@pytest.fixture
def precious(host):
    """Returns a function: is the file, which is root's alone, as it was?"""
    host.run("install", "-m", "0600", "/dev/stdin", PRECIOUS, stdin="root's\n")
    look = ("sh", "-c", f"stat -c '%U %a %h' {PRECIOUS}; cat {PRECIOUS}")
    before = host.output(*look)

    def is_untouched():
        return host.output(*look) == before

    yield is_untouched
    host.run("rm", PRECIOUS)


@pytest.fixture
def trapped(host):
    """In place of tables of microservice3 there are views whose function asks who they are for."""
    trade(host)
    host.run("rm", "-f", PWNED)
    rows(host, "microservice3", TRAPS)
    yield
    rows(host, "microservice3", MENDED)
    host.run("scripts/migrate", "microservice3")


@pytest.mark.brief
@pytest.mark.parametrize("service", SERVICES)
def test_a_service_puts_nothing_in_the_place_of_a_table(host, service):
    refused = as_itself(host, service, "ALTER TABLE outbox RENAME TO outbox_real")
    assert "must be owner of table outbox" in refused.stdout

    made = as_itself(host, service, "CREATE FUNCTION pwn() RETURNS int LANGUAGE sql AS 'SELECT 1'")
    assert "permission denied for schema public" in made.stdout

    forgotten = as_itself(host, service, "DELETE FROM audit_entries")
    assert "permission denied for table audit_entries" in forgotten.stdout


@pytest.mark.brief
def test_the_trap_closes_upon_a_superuser(host, trapped):
    """So that what the other tests do not see is worth something."""
    rows(host, "microservice3", "SELECT count(*) FROM orders")

    assert host.run("ls", PWNED).returncode == 0


def test_no_script_asks_a_service_as_a_superuser(host, trapped):
    for script in (
        ("status",),
        ("install", "--check"),
        ("settle", "--dry-run"),
        ("settle",),
        ("migrate", "--status", "microservice3"),
        ("migrate", "microservice3"),
        ("dead-letters", "list"),
        ("backup", "microservice3"),
        ("backup",),
        ("restore-drill",),
    ):
        host.run(f"scripts/{script[0]}", *script[1:], check=False)
        assert host.run("ls", PWNED, check=False).returncode != 0, script


@pytest.mark.brief
@pytest.mark.parametrize("service", SERVICES)
def test_root_writes_into_no_fifo_of_a_service(host, service, precious):
    run = f"/run/microservices/{service}"
    in_unit(host, service, f"mv {run}/fifo {run}/fifo.kept; ln -s {PRECIOUS} {run}/fifo")
    try:
        asked = in_library(host, f"_ask_for_chain {service}", "host_backups", "switching")
    finally:
        in_unit(host, service, f"mv {run}/fifo.kept {run}/fifo")

    assert asked.returncode != 0
    assert precious()


@pytest.mark.brief
def test_a_migration_runs_as_nobody_else_and_a_service_never_has_its_password(host):
    for service in SERVICES:
        shown = "id -u; env | grep -o '^[A-Z_]*_FILE' | sort"
        ran = in_library(host, f"in_service_as_owner {service} sh -c {shown!r}").stdout.split()

        assert ran[1:] == ["DATABASE_OWNER_PASSWORD_FILE", "JWKS_FILE", "REVOCATIONS_FILE"]
        assert ran[0] not in {"0", host.output("id", "-u", service)}
        password = ("runuser", "-u", service, "--", "cat", f"{SECRETS}/{service}.owner")
        assert "Permission denied" in host.run(*password, check=False).stdout


def test_images_are_read_and_written_by_their_keeper(host, precious):
    """So a link among them leads to nothing that is not its own anyway."""
    in_unit(
        host,
        "microservice2",
        f"""
        echo 'its own' >{IMAGES}/7701.png
        ln -s {PRECIOUS} {IMAGES}/7702.png
        mkfifo {IMAGES}/7703.png
        """,
    )
    name = back_up(host)
    kept = host.output("sh", "-c", f"cd {BACKUPS}/sets/{name}/images; ls 770*; stat -c %U 7701.png")
    assert kept == "7701.png\nroot"
    in_unit(
        host,
        "microservice2",
        f"""
        rm {IMAGES}/770*
        ln -s {PRECIOUS} {IMAGES}/.new
        ln -s /root {IMAGES}/.restored
        """,
    )

    put_back = in_library(host, f"put_images_back {name}", "host_backups", "restoring")

    assert put_back.returncode == 0, put_back.stdout
    shown = host.output("sh", "-c", f"cat {IMAGES}/7701.png; stat -c '%U %a' {IMAGES}/7701.png")
    assert shown == "its own\nmicroservice2 644"
    assert precious()
    assert host.run("ls", "/root/7701.png", check=False).returncode != 0
    host.run("sh", "-c", f"rm {IMAGES}/770* {IMAGES}/.new")


def test_settings_of_postgresql_are_written_by_its_own_user(host, precious):
    folder = host.output("sh", "-c", "ls -d /etc/postgresql/*/main")
    links = [f"{folder}/pg_hba.conf.new", f"{folder}/conf.d/quartet.conf.new"]
    as_postgres(
        host,
        f"""
        for link in {" ".join(links)}; do ln -s {PRECIOUS} $link; done
        rm {folder}/conf.d/quartet.conf
        """,
    )

    host.run("scripts/install")

    assert precious()
    owned = host.output("stat", "-c", "%U %a", f"{folder}/pg_hba.conf")
    assert owned == "postgres 640"
    assert host.run("scripts/install", "--check").returncode == 0


def test_a_folder_of_data_that_leads_elsewhere_is_not_followed_by_root(host, precious):
    data = host.output("sh", "-c", "ls -d /var/lib/postgresql/*/main")
    host.run("mkdir", "-p", "/root/folder")
    as_postgres(host, f"ln -s /root/folder {data}.restored; ln -s {PRECIOUS} {data}.link")
    link = f"{BACKUPS}/cluster/link"
    as_postgres(host, f"ln -s {PRECIOUS} {link}")
    back_up(host)

    restored = host.run("scripts/restore", "--yes", "latest")
    in_library(host, "make_archive", "host_backups")

    assert "To give it up" in restored.stdout
    assert precious()
    assert host.output("stat", "-c", "%U", "/root/folder") == "root"
    host.run("sh", "-c", f"rm -rf {link} {data}.link {data}.before_*")


def test_with_traps_of_every_service_every_script_leaves_the_files_of_root_alone(
    host, precious, a_release
):
    for service in SERVICES:
        run = f"/run/microservices/{service}"
        in_unit(host, service, f"rm {run}/fifo; ln -s {PRECIOUS} {run}/fifo")
        in_unit(host, service, f"ln -s {PRECIOUS} {run}/candidate.sock")
    as_postgres(host, f"ln -s {PRECIOUS} /run/postgresql/pgbackrest.lock")
    commit = a_release("microservice3/errors.py", '"""', '"""Of a later release: ')

    for script in (
        *("status", "releases microservice3", "logs -n 1", "logs postgres -n 1", "token"),
        *("trace no-such-request", "dead-letters list", "restore --list", "settle --dry-run"),
        *(f"deploy --watch 1 microservice3 {commit}", "rollback microservice3"),
        *("scale microservice4 --threads 4", "keys rotate microservice4", "restart"),
        *("stop microservice4", "start microservice4", "migrate microservice4"),
        *("backup microservice4", "backup", "restore-drill", "install"),
    ):
        host.run("sh", "-c", f"scripts/{script}", check=False)
        assert precious(), script

    host.run("rm", "-f", "/run/postgresql/pgbackrest.lock")
    host.run("scripts/restart")
    assert host.run("scripts/status").returncode == 0


def test_a_host_from_before_there_were_owners_is_converted_without_a_lost_request(host, under_load):
    rows(host, "microservice3", AS_BEFORE_THERE_WERE_OWNERS)
    host.run("rm", f"{SECRETS}/microservice3.owner")
    order = trade(host)
    old = back_up(host)
    found = host.run("scripts/install", "--check", check=False)
    assert "each with a role and an owner" in found.stdout

    with under_load(orders=1) as load:
        host.run("scripts/install")

    load.assert_nobody_was_refused()
    assert rows(host, "microservice3", OWNERS) == "microservice3_owner|microservice3_owner"
    assert (
        "permission denied" in as_itself(host, "microservice3", "DELETE FROM audit_entries").stdout
    )
    assert "nothing was changed" in host.output("scripts/install")

    host.run("scripts/restore-drill", old)
    host.run("scripts/restore", "--yes", old, "microservice3")

    assert rows(host, "microservice3", OWNERS) == "microservice3_owner|microservice3_owner"
    assert (
        "permission denied" in as_itself(host, "microservice3", "DELETE FROM audit_entries").stdout
    )
    host.run("scripts/settle")
    assert trade(host) > order
