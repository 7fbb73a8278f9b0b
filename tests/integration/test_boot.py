"""An installation on a Debian of its own, booted for real: users, modes, confinement, restarts, miraictl as the operator."""

import json
import pathlib
import re
import unittest

import machine
import rpc
from stack import measured, wait_for

UNITS = {
    "mirai-knowledge-store": "mirai-store",
    "mirai-search-index@1": "mirai-search",
    "mirai-gateway": "mirai-gateway",
    "mirai-backup": "mirai-backup",
    "mirai-metrics": "mirai-metrics",
}

CERTIFICATE = """
cd "$1/etc/mirai/tls"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost \
  -addext subjectAltName=DNS:localhost -keyout server.key -out server.pem 2>/dev/null
chgrp "$(sed -n 's/^mirai-gateway:x:\\([0-9]*\\):.*/\\1/p' "$1/etc/group")" server.key server.pem
chmod 640 server.key
"""

# A system call that a unit's filter does not allow ends the daemon instead of failing, so that no one can be missed.
DEADLY_FILTER = "[Service]\nSystemCallErrorNumber=kill\n"


@unittest.skipIf(machine.why_not(), machine.why_not())
class Boot(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        files = {f"/etc/systemd/system/{unit.replace('@1', '@')}.service.d/filter.conf": DEADLY_FILTER for unit in UNITS}
        cls.machine = cls.enterClassContext(machine.Machine(files | {"/etc/mirai/mirai.env": ""}, prepare=CERTIFICATE))
        wait_for(lambda: cls.get("/ready").endswith(" 200"), 60, lambda: "/ready (" + cls.machine.journal("-n", "30") + ")")
        measured("the machine's start", cls.machine.journal("-b", "-g", "Startup finished").splitlines()[-1].split("finished in ")[-1])
        run, cls.token = cls.machine.run, "/root/token"
        run("sh", "-c", "head -c 18 /dev/urandom | base64 >/root/password; chmod 600 /root/password")
        run("miraictl", "user", "create", "admin", "--role", "admin", "--password-file", "/root/password")
        run("miraictl", "token", "create", "test", "--user", "admin", "--role", "admin", "--output-file", cls.token)

    @classmethod
    def get(cls, path, *arguments):
        """curl in the machine's network: the body and the status."""
        return cls.machine.network("curl", "-sk", "--max-time", "10", "-w", " %{http_code}", *arguments,
                                   f"https://localhost:8888{path}").stdout

    @classmethod
    def api(cls, method, path, body=None):
        token = cls.machine.run("cat", cls.token).stdout.strip()
        data = ["--data", json.dumps(body), "-H", "Content-Type: application/json"] if body else []
        text, _, status = cls.get(path, "-X", method, "-H", f"Authorization: Bearer {token}", *data).rpartition(" ")
        return int(status), json.loads(text) if text else None

    def pid(self, unit):
        return int(self.machine.show(unit, "MainPID"))

    def wait_active(self, unit, old):
        wait_for(lambda: self.machine.show(unit, "ActiveState") == "active" and self.pid(unit) not in (0, old), 20,
                 lambda: f"{unit} runs again ({self.machine.journal('-u', unit, '-n', '10')})")

    # ---------------------------------------------------------------- what stands

    def test_each_daemon_runs_as_its_own_user_without_any_capability(self):
        for unit, user in UNITS.items():
            with self.subTest(unit):
                self.assertEqual(self.machine.show(unit, "ActiveState"), "active")
                pid = self.pid(unit)
                status = self.machine.run("cat", f"/proc/{pid}/status").stdout
                uid = self.machine.run("id", "-u", user).stdout.strip()
                self.assertRegex(status, rf"(?m)^Uid:\t{uid}\t{uid}\t{uid}\t{uid}$")
                for line in ("CapEff:\t0000000000000000", "CapBnd:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2"):
                    self.assertIn(line, status)
                limits = self.machine.run("cat", f"/proc/{pid}/limits").stdout
                self.assertRegex(limits, r"(?m)^Max core file size +0 +0 ")
                # not dumpable: its memory belongs to root, also for processes of its own user
                self.assertEqual(self.machine.run("stat", "-c", "%U", f"/proc/{pid}/mem").stdout.strip(), "root")

    def test_modes_of_directories_sockets_and_data(self):
        modes = {
            "/run/mirai": "3770 root mirai-rpc",
            "/run/mirai/knowledge-store@1.sock": "660 mirai-store mirai-rpc",
            "/run/mirai/knowledge-store@1.pub": "660 mirai-store mirai-rpc",
            "/run/mirai/knowledge-store@1.stamps": "640 mirai-store mirai-rpc",
            "/run/mirai/search-index@1.sock": "660 mirai-search mirai-rpc",
            "/run/mirai/gateway@1.sock": "660 mirai-gateway mirai-rpc",
            "/run/mirai/backup@1.sock": "660 mirai-backup mirai-rpc",
            "/run/mirai/metrics@1.sock": "660 mirai-metrics mirai-rpc",
            "/var/lib/mirai": "700 mirai-store mirai-store",
            "/var/lib/mirai-search": "700 mirai-search mirai-search",
            "/backups/mirai-knowledge": "750 mirai-backup mirai-backup",
            "/etc/mirai/tls": "750 root mirai-gateway",
            "/etc/mirai/tls/server.key": "640 root mirai-gateway",
        }
        for path, mode in modes.items():
            with self.subTest(path):
                self.assertEqual(self.machine.run("stat", "-c", "%a %U %G", path).stdout.strip(), mode)
        open_to_all = self.machine.run("find", "/run/mirai", "/var/lib/mirai", "/var/lib/mirai-search", "/backups/mirai-knowledge",
                                       "-perm", "/007").stdout
        self.assertEqual(open_to_all, "")

    # ---------------------------------------------------------------- what works

    def test_the_text_of_an_attachment_is_read(self):
        """mirai-extract starts within its unit's filter and builds its own sandbox there."""
        _, article = self.api("POST", "/api/v1/articles", {"title": "添付試験", "type": "incident", "body": "本文", "status": "published"})
        token = self.machine.run("cat", self.token).stdout.strip()
        answer = self.get(f"/api/v1/articles/{article['id']}/attachments?name=a.txt", "-X", "POST", "-H", f"Authorization: Bearer {token}",
                          "-H", "Content-Type: text/plain", "--data-binary", "attached text")
        self.assertTrue(answer.endswith(" 201"), answer)

        def outcomes():
            text = self.machine.network("curl", "-s", "--max-time", "10", "http://127.0.0.1:9464/metrics").stdout
            return {name: int(count) for name, count in re.findall(r'mirai_search_extracts_total\{[^}]*outcome="([^"]+)"[^}]*\} ([0-9]+)', text)
                    if count != "0"}
        wait_for(outcomes, 30, lambda: f"an attachment that was read ({self.machine.journal('-u', 'mirai-search-index@1', '-n', '10')})")
        self.assertEqual(outcomes(), {"done": 1})

    def test_an_article_is_written_found_and_backed_up(self):
        status, article = self.api("POST", "/api/v1/articles", {
            "title": "起動試験の記事", "type": "incident", "body": "ルーターが応答しない", "status": "published"})
        self.assertEqual(status, 201, article)

        def found():
            answer = self.api("GET", "/api/v1/search?q=%E3%83%AB%E3%83%BC%E3%82%BF%E3%83%BC")
            return answer[0] == 200 and any(hit["id"] == article["id"] for hit in answer[1]["hits"])
        wait_for(found, 20, "the article in the index")
        snapshot = json.loads(self.machine.run("miraictl", "backup", "now", "--json").stdout)["name"]
        self.assertEqual(self.api("DELETE", f"/api/v1/articles/{article['id']}")[0], 204)
        self.machine.run("miraictl", "restore", snapshot, "--yes", timeout=90)
        wait_for(lambda: self.api("GET", f"/api/v1/articles/{article['id']}")[0] == 200, 30, "the article is back")

    def test_metrics_are_complete(self):
        def up():
            text = self.machine.network("curl", "-s", "http://127.0.0.1:9464/metrics").stdout
            return set(re.findall(r'^mirai_up\{daemon="([\w-]+)",daemon_instance="1"\} 1$', text, re.M))
        wait_for(lambda: up() == {"gateway", "knowledge-store", "search-index", "backup", "metrics"}, 20, lambda: f"all up: {up()}")

    def test_a_killed_daemon_is_started_again(self):
        for unit in UNITS:
            with self.subTest(unit):
                old = self.pid(unit)
                restarts = int(self.machine.show(unit, "NRestarts"))
                self.machine.run("systemctl", "kill", "-s", "KILL", unit)
                self.wait_active(unit, old)
                self.assertEqual(int(self.machine.show(unit, "NRestarts")), restarts + 1)
        wait_for(lambda: self.get("/ready").endswith(" 200"), 20, "/ready")

    def test_a_daemon_can_be_restarted(self):
        old = self.pid("mirai-knowledge-store")
        self.machine.run("systemctl", "restart", "mirai-knowledge-store")
        self.wait_active("mirai-knowledge-store", old)
        wait_for(lambda: self.get("/ready").endswith(" 200"), 20, "/ready")

    def test_a_renewed_certificate_is_taken_without_a_restart(self):
        def serial():
            shown = self.machine.network("sh", "-c", "openssl s_client -connect localhost:8888 </dev/null 2>/dev/null |"
                                         " openssl x509 -noout -serial").stdout
            return shown.strip()
        before, pid = serial(), self.pid("mirai-gateway")
        self.assertIn("serial=", before)
        root = pathlib.Path(f"/proc/{self.machine.init}/root/etc/mirai/tls")
        group = (root / "server.key").stat().st_gid
        import os
        import subprocess
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                        "-subj", "/CN=localhost", "-keyout", root / "new.key", "-out", root / "new.pem"],
                       check=True, capture_output=True)
        for name in ("key", "pem"):
            os.chown(root / f"new.{name}", 0, group)
            (root / f"new.{name}").chmod(0o640)
            (root / f"new.{name}").rename(root / f"server.{name}")
        wait_for(lambda: serial() not in ("", before), 30, "the new certificate")
        self.assertEqual(self.pid("mirai-gateway"), pid)

    # ---------------------------------------------------------------- what is refused

    def call(self, user, groups, service, method, **options):
        ids = [int(self.machine.run("id", "-u", user).stdout), int(self.machine.run("id", "-g", user).stdout)]
        gids = [int(self.machine.run("getent", "group", group).stdout.split(":")[2]) for group in groups]
        return rpc.call_as(*ids, gids, f"/proc/{self.machine.init}/root/run/mirai/{service}@1.sock", method, **options)

    def test_who_may_call_whom(self):
        expected = {
            ("nobody", (), "service.health"): "no permission",
            ("daemon", ("mirai-rpc",), "service.health"): "refused",  # in the group, and yet nobody that is known
            ("mirai-metrics", ("mirai-rpc",), "service.metrics"): None,
            ("mirai-metrics", ("mirai-rpc",), "user.list"): "forbidden",
            ("mirai-gateway", ("mirai-rpc",), "snapshot.begin"): "forbidden",
            ("mirai-search", ("mirai-rpc",), "user.list"): "forbidden",
            ("mirai-backup", ("mirai-rpc",), "user.list"): "forbidden",
            ("mirai-store", ("mirai-rpc",), "user.list"): None,  # the daemon's own user
            ("daemon", ("mirai-rpc", "mirai-operator"), "user.list"): None,
            ("root", (), "user.list"): None,
        }
        for (user, groups, method), answer in expected.items():
            with self.subTest(user=user, groups=groups, method=method):
                self.assertEqual(self.call(user, groups, "knowledge-store", method), answer)

    def test_an_operator_needs_no_root(self):
        done = self.machine.as_user("daemon", "miraictl", "status", groups=("mirai-rpc", "mirai-operator"))
        self.assertIn("knowledge-store", done.stdout)
        stranger = self.machine.as_user("daemon", "miraictl", "user", "list", groups=("mirai-rpc",), check=False)
        self.assertNotEqual(stranger.returncode, 0)

    @classmethod
    def tearDownClass(cls):
        """After all of the above: nothing was ended by its filter, nothing died by itself."""
        text = cls.machine.journal("-b")
        bad = [line for line in text.splitlines() if re.search(r"status=31/SYS|SIGSYS|code=dumped|Permission denied|panic", line)]
        assert not bad, "\n".join(bad)


if __name__ == "__main__":
    unittest.main()
