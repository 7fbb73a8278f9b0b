"""The systemd units are valid and confined."""

import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

from stack import BIN, ROOT, measured

UNITS = ROOT / "ops" / "systemd"
SERVICES = ("mirai-gateway", "mirai-knowledge-store", "mirai-search-index@", "mirai-backup", "mirai-metrics")


@unittest.skipUnless(shutil.which("systemd-analyze"), "needs systemd-analyze")
class Units(unittest.TestCase):
    def setUp(self):
        """The units with ExecStart= pointing at the built programs."""
        folder = tempfile.TemporaryDirectory(prefix="mirai-units-")
        self.addCleanup(folder.cleanup)
        self.units = pathlib.Path(folder.name)
        for unit in UNITS.glob("mirai-*.*"):
            text = re.sub(r"^ExecStart=/usr/bin/", f"ExecStart={BIN}/", unit.read_text(), flags=re.M)
            (self.units / unit.name).write_text(text)
        shutil.copy(self.units / "mirai-search-index@.service", self.units / "mirai-search-index@1.service")

    def analyze(self, *arguments):
        return subprocess.run(["systemd-analyze", *arguments], cwd=self.units, capture_output=True, text=True, timeout=60)

    def test_one_unit_for_each_daemon(self):
        found = {unit.name.removesuffix(".service") for unit in UNITS.glob("*.service")}
        self.assertEqual(found, set(SERVICES))

    def test_an_installation_has_what_the_units_start(self):
        root = self.units / "root"
        done = subprocess.run(["cmake", "--install", BIN.parent, "--prefix", root / "usr"], capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 0, done.stderr)
        for name in SERVICES:
            text = (root / "usr" / "lib" / "systemd" / "system" / f"{name}.service").read_text()
            program = root / re.search(r"^ExecStart=/(\S+)", text, re.M).group(1)
            version = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=10)
            self.assertEqual(version.returncode, 0, version.stderr)
        for path in ("bin/miraictl", "lib/systemd/system/mirai-knowledge.target", "lib/sysusers.d/mirai-knowledge.conf",
                     "lib/tmpfiles.d/mirai-knowledge.conf", "share/bash-completion/completions/miraictl"):
            self.assertTrue((root / "usr" / path).is_file(), path)

    def test_verify_finds_nothing(self):
        names = [f"./{name}.service" for name in SERVICES if not name.endswith("@")]
        done = self.analyze("verify", "--man=no", "./mirai-knowledge.target", "./mirai-search-index@1.service", *names)
        self.assertEqual((done.returncode, done.stdout + done.stderr), (0, ""))

    def test_every_service_is_confined(self):
        for name in SERVICES:
            unit = name + "1" if name.endswith("@") else name
            with self.subTest(unit):
                done = self.analyze("security", "--offline=yes", "--threshold=20", f"./{unit}.service")
                self.assertEqual(done.returncode, 0, done.stdout[-300:] + done.stderr)
                measured(f"exposure of {unit}", re.search(r"Overall exposure level .*: ([\d.]+)", done.stdout).group(1))

    def test_daemons_can_tell_each_other_apart_and_leave_no_secrets(self):
        for name in SERVICES:
            text = (UNITS / f"{name}.service").read_text()
            self.assertIn("PrivateUsers=no\n", text)  # otherwise SO_PEERCRED shows everyone as nobody
            self.assertIn("LimitCORE=0\n", text)
            self.assertIn("NoExecPaths=/\n", text)
            self.assertIn(f"User={re.search('^User=(.+)$', text, re.M).group(1)}\n", text)
            filters = re.findall(r"^SystemCallFilter=(.+)$", text, re.M)
            self.assertTrue(filters and not any(group in " ".join(filters) for group in (
                "@system-service", "@process", "@privileged", "@mount", "ptrace", "unshare", "setuid")), filters)

    def test_every_service_has_a_user_of_its_own(self):
        sysusers = (UNITS / "sysusers.d" / "mirai-knowledge.conf").read_text()
        users = []
        for name in SERVICES:
            text = (UNITS / f"{name}.service").read_text()
            users.append(re.search(r"^User=(.+)$", text, re.M).group(1))
            self.assertRegex(sysusers, rf"(?m)^u {users[-1]} ")
            self.assertIn("SupplementaryGroups=mirai-rpc\n", text)
            self.assertIn("WatchdogSec=", text)
            self.assertIn("StartLimitIntervalSec=0\n", text)
        self.assertEqual(len(set(users)), len(SERVICES))

    def test_target_wants_them_all(self):
        wants = re.search(r"^Wants=(.+)$", (UNITS / "mirai-knowledge.target").read_text(), re.M).group(1).split()
        self.assertEqual({unit.replace("@1", "@") for unit in wants}, {f"{name}.service" for name in SERVICES})

    def test_sysusers_and_tmpfiles_are_valid(self):
        root = self.units / "root"
        (root / "etc").mkdir(parents=True)
        users = subprocess.run(["systemd-sysusers", f"--root={root}", UNITS / "sysusers.d" / "mirai-knowledge.conf"],
                               capture_output=True, text=True, timeout=60)
        self.assertEqual(users.returncode, 0, users.stderr)
        self.assertIn("mirai-rpc:", (root / "etc" / "group").read_text())
        files = subprocess.run(["systemd-tmpfiles", "--create", f"--root={root}", "--prefix=/run", "--prefix=/backups",
                                UNITS / "tmpfiles.d" / "mirai-knowledge.conf"], capture_output=True, text=True, timeout=60)
        self.assertEqual(files.returncode, 0, files.stderr)
        self.assertTrue((root / "run" / "mirai").is_dir())
