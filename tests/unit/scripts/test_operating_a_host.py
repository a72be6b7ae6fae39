"""Scripts of a host on a machine without systemd, in namespaces with folders of their own.

Only what comes before the first call of systemd can be tried here; tests/host boots a machine.
"""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
WWW = "/opt/www/microservice3"
OF_THE_SERVICE = ("microservice3", "requirements")

# the folders that scripts/install writes to are empty, and /etc is a copy
_NAMESPACE = """
for folder in /opt /run /usr/local/lib /var/backups; do mount -t tmpfs tmpfs $folder; done
cp -a /etc/. "$1"
mount --bind "$1" /etc
rm -rf /etc/postgresql
shift
exec "$@"
"""


def _can_mount():
    if os.geteuid():
        return False
    mounting = ["unshare", "--mount", "--net", "mount", "-t", "tmpfs", "tmpfs", "/opt"]
    return subprocess.run(mounting, capture_output=True).returncode == 0


pytestmark = pytest.mark.skipif(not _can_mount(), reason="only root can mount, and not everywhere")


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A checkout with one commit."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in ("VERSION", "chassis", "scripts", "systemd", "nginx", *OF_THE_SERVICE):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, folder / name)
    git(folder, "init", "--quiet")
    commit(folder, "Sell lamps\x1b[31m")
    return folder


def git(folder, *words):
    author = ("-c", "user.name=test", "-c", "user.email=test@example.com")
    return subprocess.check_output(["git", "-C", folder, *author, *words], text=True).strip()


def commit(folder, message):
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", f"--message={message}")


@pytest.fixture
def on_a_host(checkout, tmp_path):
    """Returns a function: run bash after the libraries of a host. Returns what it printed."""

    def run(text, **options):
        prelude = f"cd {checkout}/scripts; {_SOURCES}; set +e\n"
        namespace = ["unshare", "--mount", "--net", "sh", "-ec", _NAMESPACE, "sh", tmp_path / "etc"]
        (tmp_path / "etc").mkdir(exist_ok=True)
        return subprocess.run(
            [*namespace, "bash", "-c", prelude + text],
            **{"capture_output": True, "text": True, "timeout": 120, **options},
        )

    return run


_SOURCES = "; ".join(
    f"source lib/{name}.sh" for name in ("common", "host", "provisioning", "host_backups")
)

# a host whose microservice3 runs a release of HEAD
INSTALLED = f"""
mkdir -p /usr/local/lib/systemd/system {WWW}/releases
touch /usr/local/lib/systemd/system/microservices.target
release=$(release_of HEAD)
mkdir -p {WWW}/releases/$release/venv/lib/$(basename $(readlink -f $SYSTEM_PYTHON))
cp $CHECKOUT/VERSION {WWW}/releases/$release
point microservice3 current $release
"""

# ---- uninstall


def test_where_nothing_is_installed_uninstall_says_so_and_changes_nothing(on_a_host):
    listing = "find /etc /opt /usr/local/lib /var/backups -printf '%p %T@\\n' | sort"
    answer = on_a_host(f"""
        {listing} >/tmp/quartet-before.$$
        ./uninstall; echo $?; ./uninstall --erase; echo $?
        {listing} | diff /tmp/quartet-before.$$ - && echo unchanged
        rm /tmp/quartet-before.$$""")

    said = "Quartet is not installed on this host; nothing was changed."
    assert answer.stdout.count(said) == 2
    assert [line for line in answer.stdout.splitlines() if len(line) == 1] == ["0", "0"]
    assert answer.stdout.endswith("\nunchanged\n"), answer


LEFT_DATA = """
mkdir -p /etc/microservices/secrets /var/backups/quartet/sets
echo precious >/etc/microservices/secrets/backup.key
useradd --system --no-create-home microservice3
"""


def test_data_of_an_earlier_installation_are_kept_and_named(on_a_host):
    answer = on_a_host(f"{LEFT_DATA} ./uninstall; cat /etc/microservices/secrets/backup.key")

    assert "not installed" in answer.stdout
    assert "--erase --dry-run lists them" in answer.stdout
    assert answer.stdout.endswith("precious\n")


@pytest.mark.parametrize("reply", ["", "no\n"])
def test_erasing_lists_what_goes_and_does_nothing_without_a_yes(on_a_host, reply):
    answer = on_a_host(
        f"{LEFT_DATA} ./uninstall --erase; echo $?; cat /etc/microservices/secrets/backup.key",
        input=reply,
    )

    for thing in ("/etc/microservices  settings and secrets", "/var/backups/quartet  backups"):
        assert thing in answer.stdout
    assert "user      microservice3" in answer.stdout
    assert answer.stdout.endswith("1\nprecious\n")
    assert "--yes" in answer.stderr


def test_a_dry_run_lists_the_same_and_asks_nothing(on_a_host):
    answer = on_a_host(f"{LEFT_DATA} ./uninstall --erase --dry-run; echo $?; ls /opt")

    assert "/etc/microservices  settings and secrets" in answer.stdout
    assert answer.stdout.endswith("nothing was changed.\n0\n")
    assert answer.stderr == ""


# ---- releases and deploy


def test_releases_tells_what_became_of_each_and_who_did_it(on_a_host):
    answer = on_a_host(f"""{INSTALLED}
        bad=20991231-235959-ffffffffff
        mkdir {WWW}/releases/$bad
        SUDO_USER=$'ada\\tx\\n' record_deployment microservice3 deployed $release
        SUDO_USER=bob record_deployment microservice3 "thrown back" $bad
        stat -c '%U %a' {WWW}/deployments
        ./releases microservice3""")

    owned, heading, good, bad = answer.stdout.splitlines()
    assert owned == "root 644"
    assert heading.split()[:4] == ["SERVICE", "RELEASE", "VERSION", "STATE"]
    version = (ROOT / "VERSION").read_text().strip()
    assert good.split()[2:4] == [version, "current"]
    assert " deployed 20" in good
    assert good.endswith("Sell lamps[31m")
    assert " by adax " in good
    assert " thrown back 20" in bad
    assert bad.rstrip().endswith(" by bob")


def test_a_release_without_a_record_is_shown_with_what_is_known(on_a_host):
    answer = on_a_host(f"{INSTALLED} ./releases microservice3")

    row = answer.stdout.splitlines()[-1]
    assert " built 20" in row
    assert row.endswith("Sell lamps?[31m")


def test_the_last_event_of_a_release_counts(on_a_host):
    answer = on_a_host(f"""{INSTALLED}
        record_deployment microservice3 "thrown back" $release
        record_deployment microservice3 deployed $release
        ./releases microservice3""")

    assert " deployed 20" in answer.stdout
    assert "thrown back" not in answer.stdout


def test_a_record_that_cannot_be_written_stops_nothing(on_a_host):
    """Such as a full disk, just when a bad release has to go."""
    answer = on_a_host(f"""{INSTALLED}
        mkdir {WWW}/deployments
        set -e
        record_deployment microservice3 "thrown back" $release
        echo goes on""")

    assert answer.stdout == "goes on\n"
    assert "could not be recorded" in answer.stderr


def test_deploy_says_which_edits_are_not_part_of_it_also_if_there_is_nothing_to_do(on_a_host):
    """It ends where it asks the service, which does not run here."""
    answer = on_a_host(f"""{INSTALLED}
        touch $CHECKOUT/README.md
        ./deploy microservice3
        echo edited
        echo >>$CHECKOUT/microservice3/errors.py
        touch $CHECKOUT/microservice3/new.py
        ./deploy microservice3
        git -C $CHECKOUT checkout -q .
        rm $CHECKOUT/microservice3/new.py $CHECKOUT/README.md""")

    before, said, *edits = answer.stdout.splitlines()
    assert before == "edited"  # of README.md, which no release has, nothing was said
    assert "that are not committed are not part of 20" in said
    assert edits == ["   M microservice3/errors.py", "  ?? microservice3/new.py"]
    assert answer.stderr.count("already, and is not ready") == 2


def test_a_release_has_its_version_and_one_from_before_versions_is_built_as_well(on_a_host):
    """Without its packages, for which there is no network here."""
    author = "-c user.name=test -c user.email=test@example.com"
    answer = on_a_host(f"""
        _make_environment() {{ mkdir -p $1/venv/lib/$(basename $(readlink -f $SYSTEM_PYTHON)); }}
        git -C $CHECKOUT rm --quiet VERSION
        git -C $CHECKOUT {author} commit --quiet --message=before
        attempt build_release microservice3 HEAD old >/dev/null
        echo $outcome; version_of microservice3 old
        git -C $CHECKOUT reset --quiet --hard HEAD~1
        attempt build_release microservice3 HEAD new >/dev/null
        echo $outcome; version_of microservice3 new
        ls {WWW}/releases""")

    version = (ROOT / "VERSION").read_text()
    assert answer.stdout == f"0\n0\n{version}new\nold\n", answer.stderr


# ---- settings


def test_files_of_settings_name_every_setting_and_keep_what_was_chosen(on_a_host):
    answer = on_a_host("""
        for service in "${SERVICES[@]}"; do useradd --system --user-group $service; done
        mkdir -p /etc/microservices
        CURRENCY=GBP PROCESSES='' make_settings
        stat -c '%U %G %a' /etc/microservices/microservice3.env
        sha256sum /etc/microservices/*.env >/tmp/quartet-sums.$$
        has_settings && make_settings && sha256sum --quiet --check /tmp/quartet-sums.$$ && echo same
        rm /tmp/quartet-sums.$$
        sed -i '/LOG_LEVEL/d; /CURRENCY: /d; s/^#ORDERS_PER_MINUTE=.*/ORDERS_PER_MINUTE="7"/' \
          /etc/microservices/microservice3.env
        has_settings || make_settings
        stat -c '%U %G %a' /etc/microservices/microservice3.env
        cat /etc/microservices/microservice3.env""")

    lines = answer.stdout.splitlines()
    assert lines[:3] == ["root microservice3 640", "same", "root microservice3 640"], answer
    assert 'CURRENCY="GBP"' in lines
    assert lines[lines.index('CURRENCY="GBP"') - 1].startswith("## CURRENCY: three capital")
    assert 'ORDERS_PER_MINUTE="7"' in lines
    assert '#ORDERS_PER_MINUTE="120"' not in lines
    assert lines.count('#LOG_LEVEL="INFO"') == 1
    assert "SMTP_URL" not in answer.stdout


def test_scale_sets_what_was_a_comment_in_its_place(on_a_host):
    answer = on_a_host("""
        mkdir -p /etc/microservices
        useradd --system --user-group microservice3
        write_settings microservice3
        settings=$(_completed microservice3 <$SETTINGS/microservice3.env)
        replace_settings microservice3 <<<"$settings"
        source <(sed '/^source/d; /^_main "/d' scale)
        service=microservice3 changes=(processes=4 threads=8)
        _changed_settings >/tmp/quartet-scaled.$$
        diff $SETTINGS/microservice3.env /tmp/quartet-scaled.$$
        rm /tmp/quartet-scaled.$$""")

    changed = [line for line in answer.stdout.splitlines() if line[0] in "<>"]
    assert sorted(changed) == [
        '< #PROCESSES="2"',
        '< #THREADS="4"',
        '> PROCESSES="4"',
        '> THREADS="8"',
    ]
