"""A Debian of its own, booted for real by systemd-nspawn, with this build installed in it. Needs root.

The base (Debian's packages that the programs need) is made once and kept under build/machine/. A test changes a copy-on-write
layer in memory; all mounts live in a mount namespace that ends with the machine."""

import contextlib
import fcntl
import hashlib
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import textwrap
import unittest

from stack import BIN, ROOT, wait_for

CACHE = ROOT / "build" / "machine"
LOCK = pathlib.Path(tempfile.gettempdir()) / "mirai-machine.lock"
CGROUPS = pathlib.Path("/sys/fs/cgroup")
MIRROR = "http://deb.debian.org/debian"
TOOLS = ("mmdebstrap", "systemd-nspawn", "nsenter", "unshare")
SYSTEM = ("systemd", "systemd-sysv", "dbus", "mecab-ipadic-utf8", "poppler-data")


def why_not():
    """Why no machine can be booted here, or None."""
    if os.geteuid() != 0:
        return "needs root"
    missing = [tool for tool in TOOLS if not shutil.which(tool)]
    return f"needs {', '.join(missing)}" if missing else None


def packages():
    """Debian packages of the shared libraries that the programs are linked with."""
    programs = sorted(BIN.glob("mirai-*")) + [BIN / "miraictl"]
    linked = subprocess.run(["ldd", *programs], capture_output=True, text=True, check=True).stdout
    files = sorted({os.path.realpath(path) for path in re.findall(r"=> (/\S+)", linked)})
    # Debian 12 records files of /usr/lib under /lib for packages that were there before the directories were merged.
    names = set(SYSTEM)
    for file in files:
        for path in (file, file.removeprefix("/usr")):
            found = subprocess.run(["dpkg", "-S", path], capture_output=True, text=True)
            if found.returncode == 0:
                names.add(found.stdout.split(":")[0])
                break
        else:
            raise AssertionError(f"no package holds {file}")
    return sorted(names)


def base():
    """The folder with the base; made when missing. Raises SkipTest where Debian's mirror cannot be reached."""
    wanted = packages()
    folder = CACHE / hashlib.sha256(" ".join(wanted).encode()).hexdigest()[:16]
    if folder.is_dir():
        return folder
    CACHE.mkdir(parents=True, exist_ok=True)
    making = pathlib.Path(tempfile.mkdtemp(prefix="making-", dir=CACHE))
    try:
        made = subprocess.run(["mmdebstrap", "--quiet", "--variant=minbase", f"--include={','.join(wanted)}", "bookworm",
                               making / "root", MIRROR], capture_output=True, text=True, timeout=600)
        if made.returncode != 0:
            raise unittest.SkipTest(f"no Debian base could be made: {made.stderr[-500:]}")
        for old in CACHE.glob("[0-9a-f]*"):
            shutil.rmtree(old)
        (making / "root").rename(folder)
    finally:
        shutil.rmtree(making, ignore_errors=True)
    return folder


START = """
set -eu
mount --make-rprivate /
mount -t tmpfs -o size=512m,mode=755 tmpfs "$WORK"
mkdir "$WORK/upper" "$WORK/work" "$WORK/root"
mount -t overlay -o lowerdir="$BASE",upperdir="$WORK/upper",workdir="$WORK/work" overlay "$WORK/root"
DESTDIR="$WORK/root" cmake --install "$BUILD" --prefix /usr >/dev/null
systemd-sysusers --root="$WORK/root" 2>/dev/null
systemd-tmpfiles --root="$WORK/root" --create --prefix=/etc/mirai --prefix=/backups 2>/dev/null
cp -a "$FILES/." "$WORK/root/"
sh -eu -c "$PREPARE" prepare "$WORK/root"
systemctl --root="$WORK/root" --quiet enable mirai-knowledge.target
exec systemd-nspawn --quiet --register=no --keep-unit --private-network --resolv-conf=off --timezone=off \\
  -D "$WORK/root" -b --console=read-only
"""


def groups_left():
    """Control groups named by systemd-nspawn, which leaves them behind."""
    return {path for place in (CGROUPS, *CGROUPS.glob("*")) for name in ("payload", "supervisor") if (path := place / name).is_dir()}


class Machine:
    """One at a time on a host: systemd-nspawn gives all the same control group. Use as a context manager. `files`: {path in the machine: content}, made before it boots. `prepare`: shell commands that
    run before it boots, with its root as $1."""

    def __init__(self, files=None, prepare=""):
        self.files = files or {}
        self.prepare = prepare
        self.process = None
        self.init = None

    def __enter__(self):
        self.lock = open(LOCK, "w")
        fcntl.flock(self.lock, fcntl.LOCK_EX)
        self.groups_before = groups_left()
        try:
            root = base()
        except BaseException:
            self.lock.close()
            raise
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="mirai-machine-"))
        (self.dir / "work").mkdir()
        for path, content in self.files.items():
            target = self.dir / "files" / path.lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(textwrap.dedent(content))
        (self.dir / "files").mkdir(exist_ok=True)
        environment = os.environ | {"WORK": str(self.dir / "work"), "BASE": str(root), "BUILD": str(BIN.parent),
                                    "FILES": str(self.dir / "files"), "PREPARE": self.prepare}
        self.console = open(self.dir / "console", "wb")
        try:
            self.process = subprocess.Popen(["unshare", "--mount", "sh", "-c", START], env=environment, stdin=subprocess.DEVNULL,
                                            stdout=self.console, stderr=self.console)
            self.init = wait_for(self.find_init, 60, self.console_text)
            wait_for(lambda: self.run("systemctl", "is-system-running", check=False).stdout.strip() in ("running", "degraded"),
                     60, self.console_text)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        if self.init:
            with open(f"/proc/{self.init}/status") as status:
                assert re.search(r"^NSpid:.*\t1$", status.read(), re.M)
            os.kill(self.init, signal.SIGKILL)  # the kernel ends everything in its namespace
        elif self.process:
            self.process.terminate()
        if self.process:
            self.process.wait(30)
        self.console.close()
        shutil.rmtree(self.dir, ignore_errors=True)
        for group in groups_left() - self.groups_before:
            for folder, _, _ in os.walk(group, topdown=False):
                with contextlib.suppress(OSError):
                    os.rmdir(folder)
        self.lock.close()

    def console_text(self):
        return f"the machine has started ({(self.dir / 'console').read_text(errors='replace')[-2000:]})"

    def find_init(self):
        if self.process.poll() is not None:
            raise AssertionError(self.console_text())
        for pid in self.descendants(self.process.pid):
            try:
                status = pathlib.Path(f"/proc/{pid}/status").read_text()
            except OSError:
                continue
            if re.search(r"^NSpid:.*\t1$", status, re.M) and re.search(r"^Name:\tsystemd$", status, re.M):
                return pid
        return None

    def descendants(self, pid):
        try:
            children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        except OSError:
            return
        for child in map(int, children):
            yield child
            yield from self.descendants(child)

    def run(self, *command, check=True, timeout=60, **options):
        """Run a command in the machine as its root; returns the finished process with text output."""
        done = subprocess.run(["nsenter", "-t", str(self.init), "-m", "-u", "-i", "-n", "-p", "--", *map(str, command)],
                              env={"PATH": "/usr/sbin:/usr/bin", "LANG": "C.UTF-8"}, capture_output=True, text=True,
                              timeout=timeout, **options)
        if check and done.returncode != 0:
            raise AssertionError(f"{' '.join(map(str, command))}: {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done

    def as_user(self, user, *command, groups=(), **options):
        """The same as another user of the machine, with exactly these groups beside its own."""
        extra = ["--groups", ",".join(groups)] if groups else ["--clear-groups"]
        return self.run("setpriv", "--reuid", user, "--regid", user, *extra, "--", *command, **options)

    def network(self, *command, timeout=60):
        """Run a program of this host in the machine's network."""
        return subprocess.run(["nsenter", "-t", str(self.init), "-n", "--", *map(str, command)], capture_output=True, text=True,
                              timeout=timeout)

    def show(self, unit, key):
        return self.run("systemctl", "show", "--value", "-p", key, unit).stdout.strip()

    def journal(self, *arguments):
        return self.run("journalctl", "--no-pager", "-o", "short-monotonic", *arguments).stdout
