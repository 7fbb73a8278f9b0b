"""`miraictl run` with small programs in the daemons' places: restarts, order of stopping, no orphans."""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

from stack import BIN, DAEMONS, wait_for

DAEMON = """#!/usr/bin/env python3
import os, signal, sys, time
name = os.path.basename(sys.argv[0]).removeprefix("mirai-")
note = lambda what: os.write(events, f"{what} {name} {os.getpid()} {time.monotonic()}\\n".encode())
events = os.open(os.environ["EVENTS"], os.O_WRONLY | os.O_APPEND)
def stop(*_):
    if name in os.environ.get("STUBBORN", ""):
        return note("ignored")
    note("stopped")
    sys.exit(0)
signal.signal(signal.SIGTERM, stop)
signal.signal(signal.SIGHUP, lambda *_: note("reloaded"))
note("started")
if name in os.environ.get("FAILING", ""):
    sys.exit(1)
while True:
    signal.pause()
"""


class Supervisor(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="mirai-run-")
        self.addCleanup(folder.cleanup)
        self.dir = pathlib.Path(folder.name)
        shutil.copy(BIN / "miraictl", self.dir)
        for daemon in DAEMONS:
            program = self.dir / f"mirai-{daemon}"
            program.write_text(DAEMON)
            program.chmod(0o755)
        self.events_file = self.dir / "events"
        self.events_file.touch()
        self.process = None

    def tearDown(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if self.process:
            self.process.stdout.close()

    def launch(self, *arguments, **settings):
        clean = {key: value for key, value in os.environ.items() if not key.startswith("MIRAI_")}
        environment = clean | {"LANG": "C", "MIRAI_RUN_DIR": str(self.dir / "run"), "EVENTS": str(self.events_file)} | settings
        return subprocess.Popen([self.dir / "miraictl", "run", *arguments], env=environment, text=True,
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    def start(self, *arguments, count=len(DAEMONS), **settings):
        self.process = self.launch(*arguments, **settings)
        wait_for(lambda: len(self.events("started")) >= count, 10, "start")

    def events(self, kind):
        """[(daemon, pid, time)] of what the programs wrote down."""
        rows = [line.split() for line in self.events_file.read_text().splitlines()]
        return [(row[1], int(row[2]), float(row[3])) for row in rows if row[0] == kind]

    def pid(self, daemon):
        return [pid for name, pid, _ in self.events("started") if name == daemon][-1]

    def test_starts_all_and_stops_the_gateway_first(self):
        self.start()
        self.process.terminate()
        self.assertEqual(self.process.wait(10), 0)
        stopped = [name for name, _, _ in self.events("stopped")]
        self.assertEqual(stopped[0], "gateway")
        self.assertEqual(sorted(stopped), sorted(DAEMONS))
        for line in self.process.stdout.read().splitlines():
            self.assertEqual(json.loads(line)["service"], "supervisor")

    def test_only(self):
        self.start("--only", "backup,metrics", count=2)
        self.process.terminate()
        self.assertEqual(self.process.wait(10), 0)
        self.assertEqual({name for name, _, _ in self.events("started")}, {"backup", "metrics"})
        wrong = self.launch("--only", "backup,nothing")
        self.assertIn("nothing", wrong.communicate(timeout=10)[0])
        self.assertEqual(wrong.returncode, 2)

    def test_restarts_at_once_and_again_and_again(self):
        self.start()
        for number in range(6):
            before = len(self.events("started"))
            killed = time.monotonic()
            os.kill(self.pid("metrics"), signal.SIGKILL)
            wait_for(lambda: len(self.events("started")) > before, 5, "restart")
            if number == 0:
                self.assertLess(self.events("started")[-1][2] - killed, 1.0)
        others = [name for name, _, _ in self.events("started") if name != "metrics"]
        self.assertEqual(len(others), len(DAEMONS) - 1)

    def test_one_that_always_fails_is_started_slower_but_without_end(self):
        self.start(FAILING="backup")
        wait_for(lambda: len([1 for name, _, _ in self.events("started") if name == "backup"]) >= 7, 15, "seven starts")
        times = [at for name, _, at in self.events("started") if name == "backup"]
        gaps = [later - earlier for earlier, later in zip(times, times[1:])]
        self.assertGreater(gaps[5], 0.7)
        self.process.terminate()
        self.assertEqual(self.process.wait(10), 0)

    def test_one_that_does_not_stop_is_killed(self):
        self.start(STUBBORN="search-index", MIRAI_DRAIN_MS="0")
        since = time.monotonic()
        self.process.terminate()
        self.assertEqual(self.process.wait(10), 0)
        self.assertGreater(time.monotonic() - since, 1.5)
        self.assertTrue(self.events("ignored"))
        self.assertFalse(pathlib.Path(f"/proc/{self.pid('search-index')}").exists())

    def test_second_signal_kills(self):
        self.start(STUBBORN="search-index gateway", MIRAI_DRAIN_MS="60000")
        self.process.terminate()
        wait_for(lambda: self.events("ignored"), 5, "SIGTERM at the gateway")
        self.process.terminate()
        self.assertEqual(self.process.wait(5), 0)

    def test_hangup_reaches_all(self):
        self.start()
        self.process.send_signal(signal.SIGHUP)
        wait_for(lambda: len(self.events("reloaded")) == len(DAEMONS), 5, "SIGHUP everywhere")

    def test_no_orphans_after_kill(self):
        self.start(STUBBORN="backup")
        pids = [pid for _, pid, _ in self.events("started")]
        self.process.kill()
        self.process.wait(5)
        def gone(pid):
            status = pathlib.Path(f"/proc/{pid}/status")
            try:
                return "State:\tZ" in status.read_text()
            except (FileNotFoundError, ProcessLookupError):
                return True
        wait_for(lambda: all(gone(pid) for pid in pids), 5, "end of all daemons")

    def test_one_supervisor_for_a_run_directory(self):
        self.start()
        second = self.launch()
        self.assertIn("supervisor.lock", second.communicate(timeout=10)[0])
        self.assertEqual(second.returncode, 1)
        self.assertIsNone(self.process.poll())
        self.process.kill()
        self.process.wait(5)
        self.process.stdout.close()
        self.start(count=2 * len(DAEMONS))

    def test_missing_program_is_named(self):
        (self.dir / "mirai-backup").unlink()
        done = self.launch()
        self.assertIn("mirai-backup", done.communicate(timeout=10)[0])
        self.assertEqual(done.returncode, 1)
        self.assertEqual(self.events("started"), [])
