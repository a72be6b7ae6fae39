"""A bare Debian machine with systemd, booted in seconds: an operator's server before anything.

    with a_machine("bookworm") as machine:
        machine.run("scripts/install")

Its tree is made once by debootstrap, outside of the checkout, and every machine begins as an
overlay on it. Its network is its own, so that every port is free; slirp4netns takes its calls to
the package registries out. Needs root, debootstrap, systemd-container and slirp4netns.
Memory and task limits of units, and IPAddressDeny, are accepted in it, but not enforced.
"""

import fcntl
import os
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CACHE = Path(os.environ.get("XDG_CACHE_HOME", "/var/cache")) / "quartet"
CHECKOUT = "/root/quartet"
BOOT_SECONDS = 60
NAME_SERVER = "10.0.2.3"  # slirp4netns's own, which asks this machine's
PACKAGES = "systemd,systemd-sysv,dbus,python3,git,ca-certificates,procps"
_ENDS_WITH_US = ["setpriv", "--pdeathsig", "KILL"]  # however this process ends
_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

# how this machine's package clients reach their registries, and nothing else of its environment
_REGISTRY_FILES = (
    "etc/apt/apt.conf.d",
    "etc/apt/auth.conf.d",
    "etc/apt/keyrings",
    "etc/apt/trusted.gpg.d",
    "etc/hosts",
    "etc/pip.conf",
    "etc/ssl/certs/ca-certificates.crt",
    "usr/local/share/ca-certificates",
)
_REGISTRY_VARIABLES = (
    *("PIP_CERT", "PIP_DEFAULT_TIMEOUT", "PIP_INDEX_URL", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"),
    *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"),
)


class CannotBoot(Exception):
    """What this machine is makes it impossible: no mirror, no overlay, no namespaces."""


class Machine:
    """A machine on a folder of its own: what it writes stays there while it is off."""

    def __init__(self, tree, folder):
        self.name = folder.name.replace("_", "")
        self.root = folder / "root"
        self._folder = folder
        self._console = None
        self._network = None
        self._end = None
        self._leader = None
        for name in ("root", "upper", "work"):
            (folder / name).mkdir()
        layers = f"lowerdir={tree},upperdir={folder}/upper,workdir={folder}/work"
        try:
            _call("mount", "-t", "overlay", "overlay", "-o", layers, self.root)
        except subprocess.CalledProcessError as error:
            shutil.rmtree(folder)
            raise CannotBoot("no overlay can be mounted here") from error

    def boot(self):
        """Switch it on, and wait until systemd has started all there is to start."""
        options = ["--register=no", "--keep-unit", "--link-journal=no", "--console=pipe"]
        options += ["--quiet", "--boot", "--private-network", "--resolv-conf=off"]
        with (self._folder / "console.log").open("ab") as log:
            self._console = subprocess.Popen(
                [*_ENDS_WITH_US, "systemd-nspawn", *options]
                + [f"--machine={self.name}", f"--directory={self.root}"],
                **{"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log},
            )
        _until(BOOT_SECONDS, self._has_booted, "the machine boots")
        # its init outlives systemd-nspawn; it dies when our end of this pipe does, however we end
        kill = ["sh", "-c", 'read _; kill -KILL "$0"', str(self._leader)]
        self._end = subprocess.Popen(kill, stdin=subprocess.PIPE)
        self._network = subprocess.Popen(
            [*_ENDS_WITH_US, "slirp4netns", "--configure", "--mtu=65520"]
            + [str(self._leader), "tap0"],
            **{"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL},
        )

    def run(self, *command, check=True, stdin="", environment=()):
        """Run a command in the checkout. Returns a CompletedProcess, its output as one text."""
        done = subprocess.run(
            self.command(*command, environment=environment),
            **{"input": stdin, "text": True, "stdout": subprocess.PIPE},
            stderr=subprocess.STDOUT,
        )
        if check and done.returncode:
            raise AssertionError(f"{command} ended with {done.returncode}:\n{done.stdout}")
        return done

    def command(self, *command, environment=()):
        """Return what to run here so that `command` runs in the machine."""
        variables = [
            f"{name}={os.environ[name]}" for name in _REGISTRY_VARIABLES if name in os.environ
        ]
        inside = ["env", "-i", _PATH, "HOME=/root", "LANG=C.UTF-8", *variables, *environment]
        enter = ["nsenter", "-t", str(self._leader), "-m", "-u", "-i", "-n", "-p", "-C"]
        there = ["sh", "-c", 'cd "$0" && exec "$@"', CHECKOUT]
        return [*enter, "--", *inside, *there, *command]

    def output(self, *command):
        return self.run(*command).stdout.strip()

    def power_off(self):
        """Shut it down in good order."""
        self.run("systemctl", "poweroff", check=False)
        self._is_off()

    def lose_power(self):
        """Kill every process in it at once, as when the plug is pulled."""
        with suppress(ProcessLookupError):
            os.kill(self._leader, signal.SIGKILL)
        self._is_off()

    def destroy(self):
        if self._console:
            self.lose_power()
        _remove(self._folder)

    def put_checkout(self):
        """Put this checkout into the machine as it stands, as one commit."""
        target = self.root / CHECKOUT.lstrip("/")
        target.mkdir(parents=True)
        listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        files = [
            name
            for name in subprocess.check_output(listed, cwd=ROOT).split(b"\0")
            if name and (ROOT / os.fsdecode(name)).exists()
        ]
        for name in map(os.fsdecode, files):
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name, follow_symlinks=False)
        _call("git", "-C", target, "init", "--quiet")
        self.commit("as it stands")

    def commit(self, message):
        """Commit what is in the machine's checkout. Returns the commit."""
        git = ["git", "-C", self.root / CHECKOUT.lstrip("/")]
        _call(*git, "add", "--all")
        author = ["-c", "user.name=test", "-c", "user.email=test@example.com"]
        _call(*git, *author, "commit", "--quiet", f"--message={message}")
        return subprocess.check_output([*git, "rev-parse", "HEAD"], text=True).strip()

    def _is_off(self):
        self._console.wait(timeout=60)
        self._network.terminate()
        self._network.wait(timeout=10)
        self._end.kill()
        self._end.wait()
        self._end.stdin.close()
        self._console = None

    def _has_booted(self):
        if self._console.poll() is not None:
            self._console = None
            raise CannotBoot((self._folder / "console.log").read_text(errors="replace"))
        pid = self._console.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        if not children:
            return False
        self._leader = int(children[0])  # the first of all is soon replaced by another
        state = self.run("systemctl", "is-system-running", check=False).stdout.strip()
        return state in ("running", "degraded")


@contextmanager
def a_machine(suite):
    """Yield a bare machine of this Debian release, booted, with the checkout in /root/quartet.

    Raises CannotBoot.
    """
    with _alone():
        tree = _tree(suite)
        machine = Machine(tree, Path(tempfile.mkdtemp(prefix=f"{suite}-", dir=CACHE / "machines")))
        try:
            machine.put_checkout()
            machine.boot()
            yield machine
        finally:
            machine.destroy()


@contextmanager
def _alone():
    """Two machines at once would end each other's units: they share control groups."""
    (CACHE / "machines").mkdir(parents=True, exist_ok=True)
    with (CACHE / "machines.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for left in (CACHE / "machines").iterdir():  # by a run that was killed
            _remove(left)
        yield


def _remove(folder):
    if (folder / "root").is_mount():
        _call("umount", "--lazy", folder / "root")
    shutil.rmtree(folder)


def _tree(suite):
    """Return the folder of a bare Debian; made if it is not there. Raises CannotBoot."""
    tree = CACHE / suite
    if not tree.is_dir():
        CACHE.mkdir(parents=True, exist_ok=True)
        unfinished = CACHE / f"{suite}.new"
        shutil.rmtree(unfinished, ignore_errors=True)
        try:
            _call("debootstrap", "--variant=minbase", f"--include={PACKAGES}", suite, unfinished)
        except subprocess.CalledProcessError as error:
            raise CannotBoot(f"debootstrap makes no {suite} here") from error
        for name in _REGISTRY_FILES:
            _copy(Path("/") / name, unfinished / name)
        _write_apt_sources(unfinished, suite)
        (unfinished / "etc/resolv.conf").write_text(f"nameserver {NAME_SERVER}\n")
        unfinished.rename(tree)
    return tree


def _copy(source, target):
    if source.is_dir():
        shutil.copytree(source, target, dirs_exist_ok=True)
    elif source.is_file():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)


def _write_apt_sources(tree, suite):
    """The mirror as debootstrap used it, with its security updates."""
    (tree / "etc/apt/sources.list").write_text(
        f"deb http://deb.debian.org/debian {suite} main\n"
        f"deb http://deb.debian.org/debian {suite}-updates main\n"
        f"deb http://deb.debian.org/debian-security {suite}-security main\n"
    )


def _until(seconds, condition, what):
    end = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.05)
    return found


def _call(*command):
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
