"""ops/quickstart as a new user meets it: start, files, a second installation, stop, start again, mistakes."""

import contextlib
import json
import os
import pathlib
import socket
import stat
import subprocess
import tempfile
import unittest

from stack import ROOT, free_port


class Quickstart(unittest.TestCase):
    def setUp(self):
        self.base = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory(prefix="mirai quickstart ")))
        self.dir = self.base / "it's here"
        self.ports = free_port(), free_port()
        self.addCleanup(self.stop)

    def quickstart(self, *arguments):
        clean = {key: value for key, value in os.environ.items() if not key.startswith("MIRAI_")}
        return subprocess.run([ROOT / "ops" / "quickstart", *map(str, arguments)], env=clean | {"LANG": "C"}, cwd=self.base,
                              capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=300)

    def start(self, *more, directory=None, ports=None):
        port, metrics_port = ports or self.ports
        return self.quickstart("--dir", directory or self.dir, "--port", port, "--metrics-port", metrics_port, "--detach", *more)

    def stop(self):
        return self.quickstart("--stop", "--dir", self.dir)

    def shell(self, command):
        """What someone types after `source DIR/env`."""
        return subprocess.run(["bash", "-c", f'source "$1/env" && {command}', "bash", self.dir], capture_output=True, text=True, timeout=60)

    def test_life_of_an_installation(self):
        done = self.start("--no-samples")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(f"https://localhost:{self.ports[0]}", done.stdout)
        password, token = ((self.dir / name).read_text() for name in ("admin-password", "admin-token"))
        self.assertIn(password.strip(), done.stdout)
        self.assertNotIn(token.strip(), done.stdout)
        for name in ("admin-password", "admin-token", "env", "ca.pem", "tls/server.key"):
            self.assertEqual(stat.S_IMODE((self.dir / name).stat().st_mode), 0o600, name)
        status = self.shell("miraictl status --json")
        self.assertEqual(status.returncode, 0, status.stderr)
        self.assertEqual({row["state"] for row in json.loads(status.stdout)["daemons"]}, {"ok"})

        curl = next(line.strip() for line in done.stdout.splitlines() if line.strip().startswith("curl "))
        found = subprocess.run(["bash", "-c", curl + " --silent --show-error"], capture_output=True, text=True, timeout=30)
        self.assertEqual(json.loads(found.stdout or "{}").get("total"), 0, found.stderr)

        beside = self.start("--no-samples", directory=self.base / "second")  # on the same ports
        self.assertEqual(beside.returncode, 1)
        self.assertIn(f"Port {self.ports[0]} is in use", beside.stderr)

        again = self.start()  # where one runs: it is stopped first; the samples come this time
        self.assertEqual(again.returncode, 0, again.stderr)
        self.assertIn(password.strip(), again.stdout)
        self.assertIn("44 created", again.stdout)
        self.assertEqual((self.dir / "admin-token").read_text(), token)
        self.assertEqual(self.stop().stdout, "Stopped.\n")
        self.assertIn("Nothing runs", self.stop().stdout)

    def test_mistakes_are_named(self):
        for arguments, words in ((["--nothing"], "--nothing"), (["--port"], "--port needs"), (["--port", "http"], "http"),
                                 (["--metrics-port", "65536"], "65536"), (["--port", "9000", "--metrics-port", "9000"], "same")):
            with self.subTest(arguments):
                done = self.quickstart("--dir", self.dir, *arguments)
                self.assertEqual(done.returncode, 2)
                self.assertIn(words, done.stderr)
                self.assertFalse(self.dir.exists())
        self.assertEqual(self.stop().returncode, 1)

    def test_metrics_port_in_use(self):
        with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as taken:
            done = self.start("--no-samples", ports=(free_port(), taken.getsockname()[1]))
            self.assertEqual(done.returncode, 1)
            self.assertIn("in use", done.stderr)
