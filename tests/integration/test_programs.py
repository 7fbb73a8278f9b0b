"""What each program says about itself and its configuration, without any daemon running."""

import json
import os
import subprocess
import tempfile
import unittest

from stack import BIN, DAEMONS, ROOT


def run(program, *arguments, **settings):
    clean = {key: value for key, value in os.environ.items() if not key.startswith("MIRAI_")}
    return subprocess.run([BIN / program, *arguments], env=clean | {"LANG": "C"} | settings, capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, timeout=20)


def each_daemon(test):
    """Run the test for every daemon's program."""
    def run_all(self):
        for daemon in DAEMONS:
            with self.subTest(daemon):
                test(self, f"mirai-{daemon}")
    return run_all


class Daemons(unittest.TestCase):
    @each_daemon
    def test_help_names_every_variable(self, program):
        done = run(program, "--help")
        self.assertEqual(done.returncode, 0, done.stderr)
        for name in ("MIRAI_RUN_DIR", "MIRAI_GATEWAY_LISTEN", "MIRAI_METRICS_TOKEN", "MIRAI_LOG_LEVEL"):
            self.assertIn(name, done.stdout)

    @each_daemon
    def test_version(self, program):
        self.assertRegex(run(program, "--version").stdout, rf"^{program} \d+\.\d+\.\d+\n$")

    @each_daemon
    def test_check_config_accepts_the_defaults(self, program):
        done = run(program, "--check-config")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("MIRAI_DRAIN_MS=5000", done.stdout)

    @each_daemon
    def test_unknown_variable_is_named(self, program):
        for arguments in (["--check-config"], []):
            done = run(program, *arguments, MIRAI_GATEWAY_LISTENN="x")
            self.assertEqual(done.returncode, 2)
            self.assertIn("MIRAI_GATEWAY_LISTENN", done.stderr)

    @each_daemon
    def test_bad_value_is_named_with_what_is_allowed(self, program):
        done = run(program, "--check-config", MIRAI_DRAIN_MS="-1", MIRAI_LOCALE="fr")
        self.assertEqual(done.returncode, 2)
        self.assertIn("MIRAI_DRAIN_MS", done.stderr)
        self.assertIn("-1", done.stderr)
        self.assertIn("0..60000", done.stderr)
        self.assertIn("ja|en", done.stderr)

    @each_daemon
    def test_secret_is_not_shown(self, program):
        with tempfile.NamedTemporaryFile("w") as secret:
            secret.write("correct horse\n")
            secret.flush()
            done = run(program, "--check-config", MIRAI_METRICS_TOKEN_FILE=secret.name)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn("MIRAI_METRICS_TOKEN=***", done.stdout)
            self.assertNotIn("correct horse", done.stdout + done.stderr)

    @each_daemon
    def test_unknown_argument(self, program):
        done = run(program, "--nothing")
        self.assertEqual(done.returncode, 2)
        self.assertIn("--nothing", done.stderr)


class Miraictl(unittest.TestCase):
    def test_help_of_every_command(self):
        commands = [line[2:34].split() for line in run("miraictl", "--help").stdout.splitlines() if line.startswith("  ")]
        self.assertGreater(len(commands), 20)
        names = [[word for word in words if word.islower() and "|" not in word] for words in commands]
        for name in names:
            with self.subTest(" ".join(name)):
                done = run("miraictl", *name, "--help")
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertIn("--json", done.stdout)

    def test_language(self):
        self.assertIn("Usage:", run("miraictl", "--help").stdout)
        self.assertIn("使い方", run("miraictl", "--help", LANG="ja_JP.UTF-8").stdout)
        self.assertIn("使い方", run("miraictl", "--help", MIRAI_LOCALE="ja").stdout)

    def test_usage_errors(self):
        for arguments in ([], ["nothing"], ["user"], ["user", "create"], ["status", "--wrong"], ["status", "more"],
                          ["user", "create", "a", "--role", "king"], ["log-level", "nothing", "info"],
                          ["restore", "../../etc"]):
            with self.subTest(arguments):
                done = run("miraictl", *arguments)
                self.assertEqual(done.returncode, 2)
                self.assertTrue(done.stderr)

    def test_configuration_faults(self):
        done = run("miraictl", "status", MIRAI_WRONG="1")
        self.assertEqual(done.returncode, 2)
        self.assertIn("MIRAI_WRONG", done.stderr)
        done = run("miraictl", "config", "check", "--json", MIRAI_DRAIN_MS="x")
        self.assertEqual((done.returncode, json.loads(done.stdout)), (2, {"valid": False}))
        self.assertEqual(run("miraictl", "config", "check").returncode, 0)

    def test_config_show_and_help(self):
        shown = json.loads(run("miraictl", "config", "show", "--json", MIRAI_DRAIN_MS="7").stdout)
        self.assertEqual(shown["MIRAI_DRAIN_MS"], {"value": 7, "source": "environment"})
        self.assertIn("MIRAI_DRAIN_MS", run("miraictl", "config", "help").stdout)
        self.assertIn("| `MIRAI_DRAIN_MS` |", run("miraictl", "config", "help", "--markdown").stdout)

    def test_without_daemons(self):
        with tempfile.TemporaryDirectory() as empty:
            done = run("miraictl", "status", "--json", MIRAI_RUN_DIR=empty)
            self.assertEqual(done.returncode, 3)
            daemons = json.loads(done.stdout)["daemons"]
            self.assertEqual({row["service"] for row in daemons}, set(DAEMONS))
            self.assertEqual({row["state"] for row in daemons}, {"unavailable"})
            done = run("miraictl", "user", "list", "--json", MIRAI_RUN_DIR=empty, MIRAI_RPC_DEADLINE_MS="100")
            self.assertEqual(done.returncode, 3)
            self.assertEqual(json.loads(done.stderr)["error"]["code"], "unavailable")


class Completion(unittest.TestCase):
    SCRIPT = ROOT / "ops" / "completion" / "miraictl.bash"

    def complete(self, line):
        words = line.split(" ")
        program = (f"source {self.SCRIPT}; COMP_WORDS=({' '.join(word or chr(34) * 2 for word in words)}); "
                   f"COMP_CWORD={len(words) - 1}; _miraictl; printf '%s\\n' \"${{COMPREPLY[@]}}\"")
        done = subprocess.run(["bash", "-c", program], capture_output=True, text=True, timeout=20, cwd=ROOT)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return done.stdout.split()

    def test_it_is_what_miraictl_prints(self):
        self.assertEqual(run("miraictl", "completion", "bash").stdout, self.SCRIPT.read_text())

    def test_commands(self):
        self.assertEqual(self.complete("miraictl us"), ["user"])
        self.assertIn("set-role", self.complete("miraictl user "))
        self.assertEqual(self.complete("miraictl backup v"), ["verify"])

    def test_options_and_values(self):
        self.assertEqual(self.complete("miraictl import --st"), ["--status"])
        self.assertEqual(self.complete("miraictl user create --role "), ["viewer", "editor", "admin"])
        self.assertEqual(self.complete("miraictl user create --password-file READ"), ["README.md"]
                         if (ROOT / "README.md").exists() else [])
        self.assertEqual(self.complete("miraictl import READM"), ["README.md"] if (ROOT / "README.md").exists() else [])
