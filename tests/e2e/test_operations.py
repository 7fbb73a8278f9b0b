"""What an operator does: metrics, backup and restore, import and export, status, log level, start and stop."""

import concurrent.futures
import http.client
import json
import pathlib
import signal
import subprocess
import threading
import time
import unittest

from case import Case
from stack import DAEMONS, ROOT, Stack, measured, wait_for

stack = None


def setUpModule():
    global stack
    stack = unittest.enterModuleContext(Stack(may_restart=True))  # a restore restarts the store


def exposition(accept=None):
    connection = http.client.HTTPConnection("127.0.0.1", stack.metrics_port, timeout=5)
    connection.request("GET", "/metrics", headers={"Accept": accept} if accept else {})
    response = connection.getresponse()
    body = response.read()
    connection.close()
    return response, body


class Metrics(Case):
    def test_promtool_finds_nothing_wrong(self):
        response, body = exposition()
        self.assertEqual(response.status, 200)
        done = subprocess.run(["promtool", "check", "metrics"], input=body, capture_output=True)
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, b"", b""))

    def test_openmetrics_when_asked_for(self):
        response, body = exposition("application/openmetrics-text; version=1.0.0")
        self.assertIn("openmetrics-text", response.headers["Content-Type"])
        self.assertTrue(body.endswith(b"# EOF\n"))

    def test_the_replaced_application_s_names_exist_and_count(self):
        client = stack.client()
        before = stack.metrics()
        for name in ("app_requests_total", "app_response_time_seconds_bucket", "app_active_users", "app_knowledge_total", "app_errors_total"):
            self.assertIn(name, before)
        for _ in range(10):
            client.get("/api/v1/articles")
        client.get("/api/v1/articles/999999")
        stack.article()
        after = wait_for(lambda: (now := stack.metrics())["app_requests_total"] >= before["app_requests_total"] + 12 and now, 10, "the counters")
        self.assertEqual(after["app_knowledge_total"], before["app_knowledge_total"] + 1)
        self.assertGreaterEqual(after["app_response_time_seconds_count"], before["app_response_time_seconds_count"] + 12)

    def test_every_daemon_is_up_and_shows_its_process(self):
        text = exposition()[1].decode()
        for daemon in DAEMONS:
            self.assertRegex(text, f'mirai_up{{[^}}]*"{daemon}"[^}}]*}} 1')
            self.assertRegex(text, f'process_resident_memory_bytes{{[^}}]*"{daemon}"|mirai_process_resident_memory_bytes{{[^}}]*"{daemon}"')

    def test_other_paths_and_methods(self):
        connection = http.client.HTTPConnection("127.0.0.1", stack.metrics_port, timeout=5)
        for method, path, status in (("GET", "/nothing", 404), ("POST", "/metrics", 405), ("HEAD", "/metrics", 200)):
            connection.request(method, path)
            response = connection.getresponse()
            response.read()
            self.assertEqual(response.status, status, (method, path))
        connection.close()


class Backup(Case):
    def test_snapshot_verify_damage_and_restore(self):
        client = stack.client()
        kept = stack.article(title="残る記事", body="復元される本文")
        upload = client.request("POST", f"/api/v1/articles/{kept['id']}/attachments?name=a.bin", raw=b"attached" * 1000, headers={"Content-Type": "x/y"})
        self.expect(upload, 201)
        made = json.loads(stack.ctl("backup", "now", "--json").stdout)
        self.assertEqual(made["kind"], "manual")
        names = [row["name"] for row in client.get("/api/v1/backups").json["items"]]
        self.assertIn(made["name"], names)
        self.assertIn(made["name"], stack.ctl("backup", "list").stdout)
        verified = json.loads(stack.ctl("backup", "verify", made["name"], "--json").stdout)
        self.assertTrue(verified["verified_at"])
        self.assertNotIn("fault", verified)

        # A second snapshot, damaged in one byte: found, by name, and not taken for a restore.
        time.sleep(1.1)  # names count seconds
        damaged = json.loads(stack.ctl("backup", "now", "--json").stdout)["name"]
        database = stack.dir / "backups" / "snapshots" / damaged / "knowledge.db"
        content = bytearray(database.read_bytes())
        content[len(content) // 2] ^= 1
        database.chmod(0o600)
        database.write_bytes(content)
        refused = stack.ctl("backup", "verify", damaged, check=False)
        self.assertNotEqual(refused.returncode, 0, refused.stdout)
        self.assertEqual(stack.ctl("backup", "verify", made["name"], check=False).returncode, 0)
        self.assertNotEqual(stack.ctl("restore", damaged, "--yes", check=False).returncode, 0)
        self.expect(client.get(f"/api/v1/articles/{kept['id']}"), 200)

        # What came after the snapshot is gone after the restore; what was in it is back, attachment and search included.
        later = stack.article(title="消える記事evanescent")
        self.expect(client.patch(f"/api/v1/articles/{kept['id']}", {"body": "書き換えた"}, "*"), 200)
        old_etag = client.get(f"/api/v1/articles/{kept['id']}").etag
        started = time.monotonic()
        stack.ctl("restore", made["name"], "--yes")

        def restored():
            try:
                answer = client.get(f"/api/v1/articles/{kept['id']}")
            except OSError:
                return False
            return answer.status == 200 and answer.json["body"] == "復元される本文"
        wait_for(restored, 20, "the restored article")
        measured("restore until the first read", f"{time.monotonic() - started:.1f} s")
        self.expect_problem(client.get(f"/api/v1/articles/{later['id']}"), 404)
        content = client.get(f"/api/v1/articles/{kept['id']}/attachments/{upload.json['id']}/content")
        self.assertEqual(content.body, b"attached" * 1000)
        self.expect_problem(client.patch(f"/api/v1/articles/{kept['id']}", {"body": "x"}, old_etag), 412)  # another epoch
        wait_for(lambda: (found := client.get("/api/v1/search", q="evanescent")).status == 200 and found.json["total"] == 0, 15, "search without what is gone")
        wait_for(lambda: client.get("/api/v1/search", q="復元される").json.get("total") == 1, 15, "search with what is back")
        new = stack.article(title="復元後の記事")
        self.expect(client.get(f"/api/v1/articles/{new['id']}"), 200)

    def test_expired_snapshots_go_with_what_only_they_need(self):
        snapshots, contents = stack.dir / "backups" / "snapshots", stack.dir / "backups" / "attachments"
        client = stack.client()
        article = stack.article(title="添付のある記事")
        uploaded = client.request("POST", f"/api/v1/articles/{article['id']}/attachments?name=b.bin", raw=b"only in the old one",
                                  headers={"Content-Type": "x/y"})
        sha256 = self.expect(uploaded, 201).json["sha256"]
        made = json.loads(stack.ctl("backup", "now", "--json").stdout)
        self.assertTrue((contents / sha256[:2] / sha256).exists())
        self.expect(client.delete(f"/api/v1/articles/{article['id']}/attachments/{uploaded.json['id']}"), 204)
        old = snapshots / "20200101T030000.000Z-daily"
        (snapshots / made["name"]).rename(old)
        manifest = json.loads((old / "manifest.json").read_text())
        (old / "manifest.json").write_text(json.dumps(manifest | {"name": old.name, "created_at": "2020-01-01T03:00:00.000Z"}))
        kept = json.loads(stack.ctl("backup", "now", "--json").stdout)
        wait_for(lambda: not old.exists(), 10, "removal of the expired snapshot")
        self.assertTrue((snapshots / kept["name"] / "manifest.json").exists())
        wait_for(lambda: not (contents / sha256[:2] / sha256).exists(), 10, "removal of the attachment that only it needed")
        self.assertNotIn("expired snapshots could not be removed", [line.get("message") for line in stack.log_lines()])

    def test_unknown_snapshot(self):
        for name in ("20200101T000000Z-daily", "../../etc", "x"):
            self.assertNotEqual(stack.ctl("backup", "verify", name, check=False).returncode, 0)
            self.assertNotEqual(stack.ctl("restore", name, "--yes", check=False).returncode, 0)


class ImportExport(Case):
    def test_samples_go_in_and_come_out_the_same(self):
        samples = sorted((ROOT / "ops" / "samples").rglob("*.md"))
        self.assertGreaterEqual(len(samples), 40)
        before = stack.client().get("/api/v1/statistics").json["articles"]
        started = time.monotonic()
        stack.ctl("import", ROOT / "ops" / "samples")
        measured(f"import of {len(samples)} samples", f"{time.monotonic() - started:.2f} s")
        count = lambda: stack.client().get("/api/v1/statistics").json["articles"]
        self.assertEqual(count(), before + len(samples))
        stack.ctl("import", ROOT / "ops" / "samples")  # again: nothing new
        self.assertEqual(count(), before + len(samples))
        article = stack.client().get("/api/v1/articles/by-slug/sqlite-database-locked").json
        self.assertEqual(article["version"], 1)
        self.assertEqual((article["type"], article["status"], sorted(article["tags"])), ("problem", "published", sorted(["SQLite", "データベース", "Linux"])))

        out = stack.dir / "export"
        stack.ctl("export", out)
        exported = {path.name: path for path in out.rglob("*.md")}
        self.assertGreaterEqual(len(exported), len(samples))
        for path in samples:
            body = path.read_text().split("---\n", 2)[2].strip()
            found = [other for other in exported.values() if body in other.read_text()]
            self.assertEqual(len(found), 1, path)
        with Stack() as other:
            other.ctl("import", out)
            pick = lambda row: {key: row.get(key) for key in ("slug", "title", "type", "status", "summary_technical", "language")} | {"tags": sorted(row.get("tags", []))}
            ours = {row["slug"]: pick(row) for row in stack.client().pages("/api/v1/articles", limit=200)}
            theirs = {row["slug"]: pick(row) for row in other.client().pages("/api/v1/articles", limit=200)}
            self.assertEqual(theirs, ours)

    def test_refused_files_are_reported_and_do_not_stop_the_rest(self):
        folder = stack.dir / "mixed"
        folder.mkdir()
        (folder / "good.md").write_text("---\ntitle: 良い記事\nslug: mixed-good\ntype: incident\n---\n本文\n")
        (folder / "type.md").write_text("---\ntitle: 種別が不正\nslug: mixed-bad\ntype: banana\n---\n本文\n")
        (folder / "yaml.md").write_text("---\ntitle: [\n---\n本文\n")
        (folder / "utf8.md").write_bytes(b"---\ntitle: x\n---\n\xff\xfe\n")
        done = stack.ctl("import", folder, check=False)
        self.assertEqual(done.returncode, 4, (done.stdout, done.stderr))
        for name in ("type.md", "yaml.md", "utf8.md"):
            self.assertIn(name, done.stdout + done.stderr)
        self.expect(stack.client().get("/api/v1/articles/by-slug/mixed-good"), 200)
        self.expect(stack.client().get("/api/v1/articles/by-slug/mixed-bad"), 404)


class Daemons(Case):
    def test_status_shows_all_five(self):
        rows = json.loads(stack.ctl("status", "--json").stdout)["daemons"]
        self.assertEqual({row["service"] for row in rows}, set(DAEMONS))
        self.assertEqual({row["state"] for row in rows}, {"ok"})
        over_http = stack.client().get("/api/v1/status").json["daemons"]
        self.assertEqual({row["service"] for row in over_http}, set(DAEMONS))

    def test_log_level_changes_at_run_time(self):
        stack.ctl("log-level", "knowledge-store", "debug")
        stack.ctl("log-level", "knowledge-store", "info")
        self.assertNotEqual(stack.ctl("log-level", "knowledge-store", "loud", check=False).returncode, 0)

    def test_logs_are_json_lines_with_the_asked_fields(self):
        lines = list(stack.log_lines())
        raw = [line for line in (stack.dir / "daemons.log").read_text().splitlines() if line.strip()]
        self.assertEqual(len(lines), len(raw))
        for line in lines:
            self.assertTrue({"timestamp", "level", "message", "service"} <= set(line), line)

    def test_reindex(self):
        stack.ctl("reindex")

    def test_stop_is_orderly_and_quick_and_start_is_fast(self):
        pids = stack.pids()
        self.assertEqual(set(pids), set(DAEMONS))
        article = stack.article(title="再起動しても残る")
        started = time.monotonic()
        self.assertEqual(stack.stop(), 0)
        measured("stop of all", f"{time.monotonic() - started:.2f} s")
        self.assertLess(time.monotonic() - started, 6)
        for pid in pids.values():
            self.assertFalse(pathlib.Path(f"/proc/{pid}").exists())
        started = time.monotonic()
        stack.start()
        measured("start to ready", f"{time.monotonic() - started:.2f} s")
        self.expect(stack.client().get(f"/api/v1/articles/{article['id']}"), 200)

    def test_stop_under_load_is_orderly_too(self):
        with Stack() as busy:
            article = f"/api/v1/articles/{busy.article()['id']}"
            done = threading.Event()

            def ask(path):
                count = 0
                while not done.is_set():
                    client = busy.client(timeout=3)
                    try:
                        while not done.is_set():
                            client.get(path)
                            count += 1
                    except (OSError, http.client.HTTPException):
                        client.close()
                        time.sleep(0.01)
                return count

            with concurrent.futures.ThreadPoolExecutor(24) as pool:
                askers = [pool.submit(ask, path) for path in ("/ready", article, "/api/v1/status", f"{article}/render") * 6]
                for _ in range(4):
                    time.sleep(0.5)
                    pid = busy.kill("gateway", signal.SIGTERM)
                    wait_for(lambda: busy.pid("gateway") not in (None, pid), 8, "the gateway's return")
                done.set()
                self.assertGreater(sum(asker.result() for asker in askers), 100)
            ends = [line for line in busy.log_lines() if line.get("daemon") == "gateway" and "exit_code" in line]
            self.assertGreaterEqual(len(ends), 4)
            self.assertEqual({(line.get("exit_code"), line.get("signal", 0)) for line in ends}, {(0, 0)}, ends)
            busy.may_restart = True

    def test_a_wrong_setting_stops_the_start_and_says_why(self):
        from stack import BIN
        for name, value in (("MIRAI_STORE_READERS", "many"), ("MIRAI_NO_SUCH_SETTING", "1"), ("MIRAI_GATEWAY_LISTEN", "localhost")):
            for daemon in ("gateway", "knowledge-store"):
                done = subprocess.run([BIN / f"mirai-{daemon}"], env=stack.environment | {name: value, "MIRAI_INSTANCE": "wrong"},
                                      capture_output=True, text=True, timeout=10)
                self.assertNotEqual(done.returncode, 0)
                self.assertIn(name, done.stderr + done.stdout)
