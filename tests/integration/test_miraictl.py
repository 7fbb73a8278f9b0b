"""miraictl against a whole running installation."""

import contextlib
import json
import os
import pathlib
import shutil
import signal
import stat
import subprocess
import threading
import time
import unittest

from stack import BIN, ROOT, Stack, wait_for

REAL_ARTICLES = ROOT.parent / "shared" / "data" / "support-articles-ja.tar.xz"


class Running(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.stack = Stack(may_restart=True, LANG="C")
        cls.enterClassContext(cls.stack)

    def ctl(self, *arguments, code=0, **settings):
        environment = self.stack.environment | settings
        done = subprocess.run([BIN / "miraictl", *map(str, arguments)], env=environment, capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, timeout=120)
        self.assertEqual(done.returncode, code, f"{arguments}\n{done.stdout}\n{done.stderr}")
        return done.stdout

    def ctl_json(self, *arguments, code=0, **settings):
        return json.loads(self.ctl(*arguments, "--json", code=code, **settings))

    def folder(self, name, files):
        base = self.stack.dir / name
        for path, content in files.items():
            (base / path).parent.mkdir(parents=True, exist_ok=True)
            (base / path).write_text(content)
        return base

    def client(self, token=""):
        client = self.stack.client(token)
        self.addCleanup(client.close)
        return client

    def article(self, slug):
        """An article in full by its slug."""
        client = self.client()
        row = next(row for row in client.pages("/api/v1/articles", limit=200) if row["slug"] == slug)
        return client.get(f"/api/v1/articles/{row['id']}").json

    def log_in(self, name, password):
        self.stack.login(name, password).close()

    # ---------------------------------------------------------------- status, people

    def test_status(self):
        rows = self.ctl_json("status")["daemons"]
        self.assertEqual({row["service"] for row in rows},
                         {"knowledge-store", "search-index", "gateway", "backup", "metrics"})
        for row in rows:
            self.assertEqual(row["state"], "ok")
            self.assertGreater(row["details"]["pid"], 1)
            self.assertGreater(row["details"]["rss_bytes"], 1 << 20)
            self.assertNotEqual(row["details"].get("newest_snapshot_ms"), 0)
        self.assertIn("knowledge-store", self.ctl("status"))
        self.assertIn("デーモン", self.ctl("status", LANG="ja_JP.UTF-8"))

    def test_status_shows_each_replica(self):
        replica = subprocess.Popen([BIN / "mirai-search-index"], env=self.stack.environment | {"MIRAI_INSTANCE": "2"},
                                   stdout=subprocess.DEVNULL)
        try:
            def instances():
                rows = self.ctl_json("status")["daemons"]
                return {row["instance"] for row in rows if row["service"] == "search-index" and row["state"] == "ok"}
            wait_for(lambda: instances() == {"1", "2"}, 10, "two replicas")
            self.assertEqual(sorted(self.ctl_json("reindex")["instances"]), ["1", "2"])
        finally:
            replica.terminate()
            self.assertEqual(replica.wait(10), 0)

    def test_users(self):
        made = self.ctl_json("user", "create", "hanako", "--role", "editor", "--email", "hanako@example.jp", "--generate")
        self.assertGreaterEqual(len(made["password"]), 20)
        self.log_in("hanako", made["password"])
        self.ctl("user", "create", "Hanako", "--generate", code=1)
        self.ctl("user", "set-role", "HANAKO", "viewer")
        self.ctl("user", "set-role", "hanako", "king", code=2)
        self.ctl("user", "disable", "hanako")
        rows = {row["name"]: row for row in self.ctl_json("user", "list")["items"]}
        self.assertEqual((rows["hanako"]["role"], rows["hanako"]["disabled"]), ("viewer", True))
        self.ctl("user", "enable", "hanako")
        changed = self.ctl_json("user", "password", "hanako", "--generate")
        self.log_in("hanako", changed["password"])
        self.ctl("user", "disable", "nobody", code=1)
        weak = self.stack.dir / "weak"
        weak.write_text("short\n")
        self.ctl("user", "create", "weak", "--password-file", weak, code=1)
        self.ctl("user", "create", "weak", "--password-file", self.stack.dir / "absent", code=1)

    def test_a_new_user_must_set_a_password(self):
        made = self.ctl_json("user", "create", "shinjin", "--generate", "--must-change-password")
        self.assertTrue(made["user"]["must_change_password"])
        client = self.client(None)
        refused = client.post("/api/v1/session", {"name": "shinjin", "password": made["password"]})
        self.assertEqual(refused.status, 403)
        changed = client.post("/api/v1/session", {"name": "shinjin", "password": made["password"],
                                                  "new_password": "なかなか当たらない合言葉"})
        self.assertEqual(changed.status, 201)
        self.log_in("shinjin", "なかなか当たらない合言葉")
        again = self.ctl_json("user", "password", "shinjin", "--generate", "--must-change-password")
        self.assertTrue(again["user"]["must_change_password"])

    def test_sessions_of_a_user(self):
        made = self.ctl_json("user", "create", "keitai", "--generate")
        self.assertEqual(self.ctl_json("user", "sessions", "keitai")["items"], [])
        session = self.stack.login("keitai", made["password"])
        self.addCleanup(session.close)
        self.log_in("keitai", made["password"])
        rows = self.ctl_json("user", "sessions", "Keitai")["items"]
        self.assertEqual([row["address"] for row in rows], ["127.0.0.1", "127.0.0.1"])
        self.assertIn("127.0.0.1", self.ctl("user", "sessions", "keitai"))
        me = lambda: session.request("GET", "/api/v1/users/me", headers={"Cookie": session.cookie})
        self.assertEqual(me().status, 200)
        self.assertEqual(self.ctl_json("user", "end-sessions", "keitai")["count"], 2)
        wait_for(lambda: me().status == 401, 5, "the gateway to forget the session")
        self.ctl("user", "end-sessions", "keitai")
        self.ctl("user", "sessions", "nobody", code=1)

    def test_articles_of_who_leaves(self):
        leaver, token = self.stack.make_user("taishoku", "editor")
        heir, _ = self.stack.make_user("kounin", "editor")
        client = self.client(token)
        article = client.post("/api/v1/articles", {"title": "引き継ぐ記事", "type": "other", "body": "本文"}).json
        self.assertEqual(self.client().get(f"/api/v1/articles/{article['id']}").json["owner_id"], leaver)
        self.ctl("user", "disable", "taishoku")
        self.ctl("user", "hand-over", "taishoku", code=2)
        self.ctl("user", "hand-over", "taishoku", "--to", "taishoku", code=1)
        self.ctl("user", "hand-over", "taishoku", "--to", "nobody", code=1)
        self.assertEqual(self.ctl_json("user", "hand-over", "taishoku", "--to", "kounin")["articles"], 1)
        self.assertEqual(self.client().get(f"/api/v1/articles/{article['id']}").json["owner_id"], heir)
        self.assertIn("0", self.ctl("user", "hand-over", "taishoku", "--to", "kounin"))

    def test_a_lost_second_factor(self):
        self.stack.make_user("nakushita", "editor")
        self.assertIn("SECOND FACTOR", self.ctl("user", "list"))
        rows = {row["name"]: row for row in self.ctl_json("user", "list")["items"]}
        self.assertEqual((rows["nakushita"]["source"], rows["nakushita"]["second_factor"]), ("local", False))
        self.ctl("user", "reset-second-factor", "nakushita")
        self.ctl("user", "reset-second-factor", "nobody", code=1)

    def test_tokens(self):
        path = self.stack.dir / "secret-token"
        made = self.ctl_json("token", "create", "robot", "--user", "admin", "--role", "viewer", "--days", "3",
                             "--output-file", path)
        self.assertNotIn("token", made)
        self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o600)
        secret = path.read_text().strip()
        client = self.client(secret)
        self.assertEqual(client.get("/api/v1/tags").status, 200)
        self.assertIn("robot", [row["name"] for row in self.ctl_json("token", "list")["items"]])
        self.ctl("token", "revoke", made["id"])
        wait_for(lambda: client.get("/api/v1/tags").status == 401, 3, "revocation")
        self.ctl("token", "create", "robot", "--user", "admin", "--days", "99999", code=2)
        self.ctl("token", "create", "robot", code=2)
        self.assertFalse(list(self.stack.dir.glob("secret-token.*")))

    def test_acts_as_the_tokens_user(self):
        self.stack.make_user("reader", "viewer")
        path = self.stack.dir / "reader-token"
        self.ctl("token", "create", "reader", "--user", "reader", "--output-file", path)
        settings = {"MIRAI_TOKEN_FILE": str(path)}
        self.ctl("tag", "list", **settings)
        self.ctl("user", "list", code=1, **settings)
        self.ctl("import", ROOT / "ops" / "samples" / "other", code=4, **settings)
        self.ctl("export", self.stack.dir / "forbidden", code=1, **settings)
        self.ctl("tag", "list", code=1, MIRAI_TOKEN="wrong")

    # ---------------------------------------------------------------- articles

    def test_import_is_idempotent_and_updates(self):
        base = self.folder("kb", {
            "incident/a.md": "---\ntitle: 同じ題名\ntags: [x, y]\n---\n一\n",
            "change/a.md": "---\ntitle: 同じ題名\n---\n二\n",
            "b/same.md": "---\nslug: same\n---\n# One\n",
            "c/same.md": "---\nslug: same\n---\n# Two\n",
            "d.md": "text",
        })
        first = self.ctl_json("import", base, "--owner", "admin")
        self.assertEqual((first["created"], first["refused"]), (5, []))
        again = self.ctl_json("import", base, "--owner", "admin")
        self.assertEqual((again["created"], again["updated"], again["unchanged"]), (0, 0, 5))
        self.assertEqual(self.article("incident--a")["type"], "incident")
        self.assertEqual(self.article("change--a")["body"], "二\n")
        self.assertEqual(self.article("incident--a")["owner"], "admin")
        self.assertEqual((self.article("same")["title"], self.article("c--same")["title"]), ("One", "Two"))
        (base / "d.md").write_text("changed")
        third = self.ctl_json("import", base, "--owner", "admin")
        self.assertEqual((third["updated"], third["unchanged"]), (1, 4))
        self.ctl("import", base, "--owner", "nobody", code=1)
        self.ctl("import", base, "--space", "nowhere", code=1)

    def test_import_refuses_what_the_store_refuses(self):
        base = self.folder("odd", {"a.md": "---\nslug: \"no/slashes\"\n---\nx", "b.md": "good",
                                   "c.md": "---\nspace: nowhere\n---\nx", "d.md": "---\nvisibility: group\n---\nx"})
        report = self.ctl_json("import", base, code=4)
        self.assertEqual(report["created"], 1)
        reasons = {pathlib.Path(row["path"]).name: row["reason"] for row in report["refused"]}
        self.assertEqual(set(reasons), {"a.md", "c.md", "d.md"})
        self.assertIn("slug", reasons["a.md"])
        self.assertIn("nowhere", reasons["c.md"])

    def test_export_and_import_again(self):
        made = self.stack.article(self.client(), title="題名: \"引用\" # と記号", body="\n\n本文\n---\nline\n", tags=["タグ, 一", "- b"],
                                  summary_technical="a\nb\tc", type="problem", status="draft", review_by="2027-01-31")
        content = os.urandom(700_000)
        attached = self.client().request("POST", f"/api/v1/articles/{made['id']}/attachments?name=%E5%9B%B3%201.bin",
                                         raw=content, headers={"Content-Type": "application/octet-stream"})
        self.assertEqual(attached.status, 201, attached)
        out = self.stack.dir / "out"
        report = self.ctl_json("export", out)
        self.assertGreaterEqual(report["articles"], 1)
        files = list(out.rglob("*.md"))
        self.assertEqual(len(files), report["articles"])
        self.assertEqual([path.read_bytes() for path in out.rglob("図 1.bin")], [content])
        again = self.ctl_json("import", out)
        self.assertEqual((again["created"], again["updated"], again["refused"]), (0, 0, []))
        self.assertEqual(again["unchanged"], report["articles"])

    @unittest.skipUnless(REAL_ARTICLES.exists(), "needs the collection of real articles")
    def test_real_articles(self):
        report = self.ctl_json("import", REAL_ARTICLES)
        self.assertEqual((report["created"] + report["unchanged"], report["refused"]), (2007, []))
        self.assertLess(report["seconds"], 5)
        again = self.ctl_json("import", REAL_ARTICLES)
        self.assertEqual((again["unchanged"], again["refused"]), (2007, []))
        wait_for(lambda: self.ctl_json("search", "Teams")["total"] > 50, 5, "search")

    def test_import_outlives_a_killed_store(self):
        base = self.folder("many", {f"m{i}.md": f"# 記事 {i}\n" + "本文 " * 300 for i in range(1500)})
        killed = threading.Timer(0.15, lambda: self.stack.kill("knowledge-store"))
        killed.start()
        report = self.ctl_json("import", base)
        killed.join()
        self.assertEqual(report["created"] + report["updated"] + report["unchanged"], 1500)
        self.assertEqual(self.ctl_json("import", base)["unchanged"], 1500)

    def test_search_and_tags_and_audit(self):
        self.stack.article(self.client(), title="量子もつれの手順", body="量子もつれ", tags=["量子"])
        wait_for(lambda: self.ctl_json("search", "量子もつれ")["total"] >= 1, 5, "search")
        self.assertIn("量子もつれの手順", self.ctl("search", "量子もつれ", "--tag", "量子"))
        self.assertIn("量子", [row["name"] for row in self.ctl_json("tag", "list")["items"]])
        entries = self.ctl_json("audit", "list", "--limit", "3", "--action", "article.create")["items"]
        self.assertEqual({row["action"] for row in entries}, {"article.create"})

    def test_log_level(self):
        self.assertEqual(self.ctl_json("log-level", "metrics", "debug"), {"service": "metrics", "instances": ["1"]})
        self.ctl("log-level", "metrics", "loud", code=1)

    # ---------------------------------------------------------------- backup and restore

    def test_backup_and_restore(self):
        client = self.client()
        kept = self.stack.article(client, title="before the backup")
        name = self.ctl_json("backup", "now")["name"]
        self.assertIn(name, [row["name"] for row in self.ctl_json("backup", "list")["items"]])
        self.assertNotIn("fault", self.ctl_json("backup", "verify", name))
        lost = self.stack.article(client, title="after the backup")
        self.ctl("restore", name, code=2)
        report = self.ctl_json("restore", name, "--yes")
        self.assertTrue(report["restarted"])
        wait_for(lambda: client.get(f"/api/v1/articles/{kept['id']}").status == 200, 5, "restored article")
        self.assertEqual(client.get(f"/api/v1/articles/{lost['id']}").status, 404)
        self.assertFalse((self.stack.data_dir / "restore").exists())
        self.ctl("restore", "20200101T000000Z-daily", "--yes", code=1)

    def test_damaged_snapshot_is_not_restored(self):
        name = self.ctl_json("backup", "now")["name"]
        database = self.stack.dir / "backups" / "snapshots" / name / "knowledge.db"
        content = bytearray(database.read_bytes())
        content[len(content) // 2] ^= 1
        database.chmod(0o640)
        database.write_bytes(content)
        try:
            self.ctl("backup", "verify", name, code=1)
            self.ctl("restore", name, "--yes", code=1)
            self.assertFalse((self.stack.data_dir / "restore").exists())
        finally:
            shutil.rmtree(database.parent)


class Stopped(unittest.TestCase):
    def test_restore_into_an_empty_installation(self):
        with Stack() as stack, contextlib.closing(stack.client()) as client:
            article = stack.article(client, title="to be found again", body="x" * 5000)
            name = json.loads(stack.ctl("backup", "now", "--json").stdout)["name"]
            stack.stop()
            shutil.rmtree(stack.data_dir)
            stack.data_dir.mkdir()
            report = json.loads(stack.ctl("restore", name, "--yes", "--json").stdout)
            self.assertFalse(report["restarted"])
            stack.start()
            self.assertEqual(client.get(f"/api/v1/articles/{article['id']}").json["body"], "x" * 5000)

    def test_a_restore_that_lies_ready_can_be_taken_back(self):
        with Stack(LANG="C") as stack, contextlib.closing(stack.client()) as client:
            name = json.loads(stack.ctl("backup", "now", "--json").stdout)["name"]
            later = stack.article(client, title="made after the snapshot")
            self.assertEqual(stack.ctl("restore", "--cancel", check=False).returncode, 1)
            stack.stop()
            self.assertIn("restore --cancel", stack.ctl("restore", name, "--yes").stdout)
            self.assertTrue((stack.data_dir / "restore" / "READY").exists())
            self.assertEqual(json.loads(stack.ctl("restore", "--cancel", "--json").stdout), {"cancelled": True})
            self.assertFalse((stack.data_dir / "restore").exists())
            stack.start()
            self.assertEqual(client.get(f"/api/v1/articles/{later['id']}").status, 200)

    def test_status_tells_what_is_missing(self):
        with Stack(may_restart=True) as stack:
            stack.process.terminate()
            stack.process.wait(30)
            done = stack.ctl("status", "--json", check=False)
            self.assertEqual(done.returncode, 3)
            self.assertEqual({row["state"] for row in json.loads(done.stdout)["daemons"]}, {"unavailable"})

    def test_a_frozen_store_is_told_in_time(self):
        with Stack(may_restart=True) as stack:
            pid = stack.kill("knowledge-store", signal.SIGSTOP)
            try:
                since = time.monotonic()
                done = stack.ctl("status", "--json", check=False)
                self.assertEqual(done.returncode, 3)
                self.assertLess(time.monotonic() - since, 6)
            finally:
                os.kill(pid, signal.SIGCONT)
