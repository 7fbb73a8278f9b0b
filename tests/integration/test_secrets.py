"""Secrets of the configuration: encrypted values, where they can be read, and the check that all other tests rely on."""

import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

from case import Case
from stack import BIN, Stack, forms_of, wait_for

TOKEN = "scrape-token-ひみつ-0123456789"


class Sealed(Case):
    def setUp(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="mirai-secrets-"))
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)
        self.key = self.dir / "secret.key"

    def run_program(self, *arguments, value=None, **variables):
        clean = {name: text for name, text in os.environ.items() if not name.startswith("MIRAI_")}
        return subprocess.run([BIN / arguments[0], *map(str, arguments[1:])], input=value, capture_output=True, text=True, timeout=60,
                              env=clean | {"MIRAI_SECRET_KEY_FILE": str(self.key), "MIRAI_RUN_DIR": str(self.dir)} | variables)

    def ctl(self, *arguments, code=0, **options):
        done = self.run_program("miraictl", *arguments, **options)
        self.assertEqual(done.returncode, code, done)
        return done

    def seal(self, name, value):
        line = self.ctl("secret", "seal", name, value=value + "\n").stdout.strip()
        self.assertNotIn(value, line)
        name, _, sealed = line.partition("=")
        return name, sealed

    def show(self, **variables):
        return self.run_program("mirai-metrics", "--check-config", **variables)

    def test_init_seal_and_start(self):
        self.ctl("secret", "init")
        self.assertEqual(self.key.stat().st_mode & 0o777, 0o600)
        before = self.key.read_text()
        self.ctl("secret", "init", code=1)
        self.assertEqual(self.key.read_text(), before, "never over a key that is there")
        name, sealed = self.seal("METRICS_TOKEN", TOKEN)
        self.assertEqual(name, "MIRAI_METRICS_TOKEN")
        shown = self.show(MIRAI_METRICS_TOKEN=sealed)
        self.assertEqual(shown.returncode, 0, shown)
        self.assertIn("MIRAI_METRICS_TOKEN=***", shown.stdout)
        path = self.dir / "token"
        path.write_text(sealed + "\n")
        self.assertEqual(self.show(MIRAI_METRICS_TOKEN_FILE=str(path)).returncode, 0)

    def test_what_does_not_open_stops_the_start(self):
        self.ctl("secret", "init")
        _, sealed = self.seal("MIRAI_METRICS_TOKEN", TOKEN)
        other = self.dir / "other.key"
        self.ctl("secret", "init", MIRAI_SECRET_KEY_FILE=str(other))
        shared = self.dir / "shared.key"
        shutil.copy(self.key, shared)
        shared.chmod(0o644)
        refused = {
            "another key": {"MIRAI_METRICS_TOKEN": sealed, "MIRAI_SECRET_KEY_FILE": str(other)},
            "another variable": {"MIRAI_TOKEN": sealed},
            "a changed value": {"MIRAI_METRICS_TOKEN": sealed[:-2] + ("AA" if sealed[-2:] != "AA" else "BB")},
            "a key for everybody": {"MIRAI_METRICS_TOKEN": sealed, "MIRAI_SECRET_KEY_FILE": str(shared)},
            "no key": {"MIRAI_METRICS_TOKEN": sealed, "MIRAI_SECRET_KEY_FILE": str(self.dir / "nowhere")},
        }
        for what, variables in refused.items():
            for program in ("mirai-metrics", "mirai-knowledge-store"):
                done = self.run_program(program, **variables)
                self.assertEqual(done.returncode, 2, what)
                self.assertIn("MIRAI_TOKEN: " if what == "another variable" else "MIRAI_METRICS_TOKEN: ", done.stderr, what)
                self.assertNotIn(TOKEN, done.stdout + done.stderr)
                self.assertNotIn(sealed[10:], done.stdout + done.stderr)

    def test_seal_refuses(self):
        self.ctl("secret", "seal", "METRICS_TOKEN", value="x\n", code=1)  # there is no key
        self.ctl("secret", "init")
        self.ctl("secret", "seal", "LOCALE", value="ja\n", code=2)
        self.ctl("secret", "seal", "NO_SUCH", value="x\n", code=2)
        self.ctl("secret", "seal", "METRICS_TOKEN", value="", code=1)
        self.ctl("secret", "seal", "METRICS_TOKEN", value="two\nlines\n", code=1)
        self.ctl("secret", "seal", "AUDIT_KEY", value="not hexadecimal\n", code=1)

    def test_rotate(self):
        self.ctl("secret", "init")
        _, metrics = self.seal("METRICS_TOKEN", TOKEN)
        _, token = self.seal("TOKEN", "another secret value")
        file = self.dir / "mirai.env"
        file.write_text(f'# MIRAI_TOKEN=sealed:1:old\nMIRAI_METRICS_TOKEN={metrics}\nMIRAI_LOCALE=ja\nexport MIRAI_TOKEN="{token}" # 注\nlast=1')
        file.chmod(0o640)
        before = self.key.read_text()
        self.ctl("secret", "rotate", file)
        after = file.read_text()
        self.assertNotEqual(self.key.read_text(), before)
        self.assertEqual(len(self.key.read_text().splitlines()), 1)
        self.assertEqual(self.key.stat().st_mode & 0o777, 0o600)
        self.assertEqual(file.stat().st_mode & 0o777, 0o640)
        self.assertNotIn(metrics, after)
        self.assertNotIn(token, after)
        self.assertEqual([line.partition("sealed:")[0] for line in after.splitlines()],
                         ["# MIRAI_TOKEN=", "MIRAI_METRICS_TOKEN=", "MIRAI_LOCALE=ja", 'export MIRAI_TOKEN="', "last=1"])
        self.assertIn('" # 注\n', after)
        values = dict(line.removeprefix("export ").split("=", 1) for line in after.splitlines() if line.startswith(("MIRAI_METRICS", "export")))
        shown = self.show(MIRAI_METRICS_TOKEN=values["MIRAI_METRICS_TOKEN"], MIRAI_TOKEN=values["MIRAI_TOKEN"].split('"')[1])
        self.assertEqual(shown.returncode, 0, shown)

    def test_a_rotation_that_fails_leaves_values_that_open(self):
        self.ctl("secret", "init")
        _, metrics = self.seal("METRICS_TOKEN", TOKEN)
        good, bad = self.dir / "good", self.dir / "bad"
        good.write_text(f"MIRAI_METRICS_TOKEN={metrics}\n")
        bad.write_text("MIRAI_TOKEN=sealed:1:" + "A" * 80 + "\n")
        done = self.ctl("secret", "rotate", good, bad, code=1)
        self.assertIn("MIRAI_TOKEN", done.stderr)
        for sealed in (metrics, good.read_text().strip().partition("=")[2]):
            self.assertEqual(self.show(MIRAI_METRICS_TOKEN=sealed).returncode, 0)


class Environment(Case):
    def test_no_process_shows_a_secret(self):
        with Stack(MIRAI_METRICS_TOKEN=TOKEN) as stack:
            pids = stack.pids() | {"run": stack.process.pid}
            self.assertEqual(len(pids), 6)
            for name, pid in pids.items():
                environment = pathlib.Path(f"/proc/{pid}/environ").read_bytes()
                self.assertIn(b"MIRAI_METRICS_TOKEN=\0", environment, name)
                self.assertNotIn(TOKEN.encode(), environment, name)
            # and yet each has it, also what the supervisor starts again
            old = stack.kill("metrics")
            wait_for(lambda: stack.pid("metrics") not in (None, old), 10, "metrics started again")
            stack.may_restart = True
            self.assertEqual(self.scrape(stack, None), 401)
            self.assertEqual(self.scrape(stack, TOKEN), 200)

    def scrape(self, stack, token):
        import http.client

        def ask():
            connection = http.client.HTTPConnection("127.0.0.1", stack.metrics_port, timeout=5)
            try:
                connection.request("GET", "/metrics", headers={"Authorization": b"Bearer " + token.encode()} if token else {})
                return connection.getresponse().status
            except OSError:
                return None
            finally:
                connection.close()
        return wait_for(ask, 10, "metrics answering")


class Check(Case):
    """The check that leaving an installation makes finds what it is there to find."""

    def leaked(self, *lines):
        stack = Stack()
        stack.keep_secret("päss wörd/+日本", "mkt_0123456789abcdef")
        (stack.dir / "daemons.log").write_text("\n".join(lines))
        try:
            return len(stack.secrets_in_logs())
        finally:
            shutil.rmtree(stack.dir)

    def test_every_form_is_found(self):
        import base64
        for form in forms_of("päss wörd/+日本"):
            self.assertEqual(self.leaked("x" + form.decode() + "y"), 1, form)
        for name in ("", "a", "ab", "abc"):
            basic = base64.b64encode(f"{name}päss wörd/+日本tail".encode()).decode()
            self.assertEqual(self.leaked(f"Basic {basic}"), 1, name)
        self.assertEqual(self.leaked("mkt_0123456789abcdef", "p%C3%A4ss%20w%C3%B6rd%2F%2B%E6%97%A5%E6%9C%AC"), 2)
        self.assertEqual(self.leaked("mkt_0123456789abcdeX", "nothing"), 0)

    def test_a_process_that_shows_one_is_found(self):
        stack = Stack()
        stack.process = subprocess.Popen(["sleep", "60"], env={"X": "a secret in the environment"})
        try:
            stack.keep_secret("a secret in the environment")
            wait_for(stack.secrets_in_processes, 5, "the secret found")
        finally:
            stack.process.kill()
            stack.process.wait()
            shutil.rmtree(stack.dir)


if __name__ == "__main__":
    unittest.main()
