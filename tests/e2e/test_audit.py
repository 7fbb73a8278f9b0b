"""The audit log: what is in it, that it proves what it says, and what somebody with the database in hand can hide."""

import contextlib
import hashlib
import json
import pathlib
import shutil
import socket
import sqlite3
import struct
import subprocess
import tempfile
import unittest

from case import Case
from stack import Stack, wait_for

stack = None


def setUpModule():
    global stack
    stack = unittest.enterModuleContext(Stack(MIRAI_AUDIT_HEAD_SECONDS=1))


# ---------------------------------------------------------------- the documented form, written a second time

def pack_text(text):
    data = text.encode()
    if len(data) < 32:
        return bytes([0xA0 | len(data)]) + data
    return (b"\xd9" + bytes([len(data)]) if len(data) < 256 else b"\xda" + struct.pack(">H", len(data))) + data


def pack_integer(number):
    if -32 <= number < 0:
        return struct.pack("b", number)
    for limit, head, form in ((128, b"", ">B"), (2**8, b"\xcc", ">B"), (2**16, b"\xcd", ">H"), (2**32, b"\xce", ">I")):
        if number < limit:
            return head + struct.pack(form, number)
    return b"\xcf" + struct.pack(">Q", number)


def milliseconds(text):
    import datetime
    when = datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    return round((when - datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)) / datetime.timedelta(milliseconds=1))


def hash_entry(previous, entry):
    text = [pack_text(entry.get(name, "")) for name in ("action", "object", "result", "address", "request_id", "name")]
    canonical = (b"\x9c" + pack_integer(1) + pack_text(entry["epoch"]) + pack_integer(entry["id"]) +
                 pack_integer(milliseconds(entry["at"])) + pack_integer(entry["user_id"]) + b"".join(text) +
                 pack_integer(entry.get("count", 1)))
    return hashlib.sha256(previous + canonical).digest()


class Contents(Case):
    def rows(self, **query):
        return self.expect(stack.client().get("/api/v1/audit", limit=200, **query), 200).json["items"]

    def test_refusals_of_the_gateway_arrive(self):
        viewer_id, token = stack.make_user("denied", "viewer")
        for _ in range(3):
            self.expect_problem(stack.client(token).get("/api/v1/users"), 403)
        wrong = "mkt_" + "A" * 43
        self.expect_problem(stack.client(wrong).get("/api/v1/articles"), 401)
        rows = wait_for(lambda: self.rows(result="forbidden", user_id=viewer_id), 10, "the refusals in the log")
        self.assertEqual({(row["action"], row["address"], row["user"]) for row in rows}, {("user.list", "127.0.0.1", "denied")})
        wait_for(lambda: sum(row.get("count", 1) for row in self.rows(result="forbidden", user_id=viewer_id)) == 3, 10, "all three")
        wait_for(lambda: [row for row in self.rows(result="unauthenticated", action="article.list") if row["user_id"] == 0], 10, "the bad token")

    def test_a_request_from_another_site_arrives(self):
        stack.make_user("surfer", "editor")
        session = stack.login("surfer", "the password of surfer")
        answer = session.request("POST", "/api/v1/articles", {}, {"Cookie": session.cookie, "Sec-Fetch-Site": "cross-site"})
        self.expect_problem(answer, 403, "cross-site")
        wait_for(lambda: self.rows(result="cross-site", action="article.create"), 10, "the refusal in the log")

    def test_a_failed_login_tells_the_name_that_was_given(self):
        name = "だれか＠example"
        self.expect_problem(stack.client(None).post("/api/v1/session", {"name": name, "password": "wrong password"}), 401)
        rows = wait_for(lambda: [row for row in self.rows(action="auth.login", result="unauthenticated") if row.get("name") == name],
                        10, "the login in the log")
        self.assertEqual(rows[0]["address"], "127.0.0.1")

    def test_many_refusals_are_few_rows(self):
        _, token = stack.make_user("flood", "viewer")
        client = stack.client(token)
        before = len(list(stack.client().pages("/api/v1/audit", limit=200)))
        for _ in range(500):
            self.expect_problem(client.get("/api/v1/users"), 403)
        counted = wait_for(lambda: (found := [row for row in self.rows(result="forbidden", action="user.list") if row.get("user") == "flood"])
                           and sum(row.get("count", 1) for row in found) == 500 and found, 15, "all refusals counted")
        self.assertLess(len(counted), 60)
        self.assertLess(len(list(stack.client().pages("/api/v1/audit", limit=200))) - before, 100)


class Export(Case):
    def test_the_export_is_what_the_documents_say(self):
        for i in range(5):
            stack.article(title=f"監査 {i} 🗾")
        answer = self.expect(stack.client().get("/api/v1/audit/export"), 200)
        self.assertEqual(answer.headers["Content-Type"], "application/jsonl")
        self.assertIn("attachment", answer.headers["Content-Disposition"])
        entries = [json.loads(line) for line in answer.body.decode().splitlines()]
        previous = bytes(32)
        for number, entry in enumerate(entries, 1):
            self.assertEqual(entry["id"], number)
            previous = hash_entry(previous, entry)
            self.assertEqual(entry["hash"], previous.hex(), entry)
        head = self.expect(stack.client().get("/api/v1/audit/heads", limit=1), 200).json["items"][0]
        key = self.expect(stack.client().get("/api/v1/audit/key"), 200).json["signer"]
        self.assertEqual(head["signer"], key)
        self.assertEqual(stack.ctl("audit", "key").stdout.strip(), key)

    def test_parts_and_bounds(self):
        client = stack.client()
        lines = self.expect(client.get("/api/v1/audit/export", after_id=1, limit=2), 200).body.splitlines()
        self.assertEqual([json.loads(line)["id"] for line in lines], [2, 3])
        self.assertEqual(self.expect(client.get("/api/v1/audit/export", after_id=2**53), 200).body, b"")
        self.expect_problem(client.get("/api/v1/audit/export", limit=501), 422)
        self.expect_problem(client.get("/api/v1/audit/export", after_id=-1), 422)
        head = self.expect(client.request("HEAD", "/api/v1/audit/export"), 200)
        self.assertEqual(head.body, b"")

    def test_many_pages(self):
        client = stack.client()
        for i in range(700):
            self.expect(client.post("/api/v1/tags", {"name": f"audit-{i}"}), 201)
        entries = [json.loads(line) for line in client.get("/api/v1/audit/export").body.splitlines()]
        self.assertGreater(len(entries), 700)
        self.assertEqual([entry["id"] for entry in entries], list(range(1, len(entries) + 1)))

    def test_heads_go_to_the_log(self):
        stack.article(title="signed")
        newest = stack.client().get("/api/v1/audit", limit=1).json["items"][0]["id"]
        heads = wait_for(lambda: [line for line in stack.log_lines() if line.get("message") == "audit head" and line["id"] >= newest],
                         10, "a signed head in the log")
        self.assertEqual(heads[0]["signer"], stack.ctl("audit", "key").stdout.strip())
        done = stack.ctl("audit", "verify", "--heads", stack.dir / "daemons.log", "--json")
        self.assertTrue(json.loads(done.stdout)["valid"])


class Syslog(Case):
    def test_heads_reach_a_socket(self):
        with tempfile.TemporaryDirectory(prefix="mirai-syslog-") as folder, \
                socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
            path = f"{folder}/log"
            receiver.bind(path)
            receiver.settimeout(20)
            with Stack(MIRAI_AUDIT_SYSLOG=path, MIRAI_AUDIT_HEAD_SECONDS=1) as other:
                self.check(receiver, other)

    def test_heads_reach_another_host(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
            receiver.bind(("127.0.0.1", 0))
            receiver.settimeout(20)
            with Stack(MIRAI_AUDIT_SYSLOG=f"udp://127.0.0.1:{receiver.getsockname()[1]}", MIRAI_AUDIT_HEAD_SECONDS=1) as other:
                self.check(receiver, other)

    def check(self, receiver, other):
        line = receiver.recv(65536).decode()
        self.assertRegex(line, r"^<109>1 \d{4}-\d\d-\d\dT[0-9:.]+Z \S+ mirai-knowledge-store \d+ audit-head - \{")
        anchors = other.dir / "syslog"
        anchors.write_text(line + "\n")
        done = other.ctl("audit", "verify", anchors, "--json")
        self.assertTrue(json.loads(done.stdout)["valid"])

    def test_a_receiver_that_is_away_harms_nothing(self):
        with Stack(MIRAI_AUDIT_SYSLOG="/nonexistent/socket", MIRAI_AUDIT_HEAD_SECONDS=1) as other:
            other.article(title="goes on")
            wait_for(lambda: [line for line in other.log_lines() if "syslog did not take" in str(line.get("message"))], 10, "a warning")
            other.article(title="goes on")


class Tampering(Case):
    """A stopped store whose database somebody changes with sqlite3; they may drop triggers, too."""

    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="mirai-tamper-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        with Stack() as made:
            for i in range(12):
                made.article(title=f"row {i}")
            made.stop()
            shutil.copy(made.data_dir / "knowledge.db", cls.folder / "sound.db")
            shutil.copy(made.data_dir / "audit.head", cls.folder / "anchor.jsonl")
            cls.key = json.loads((cls.folder / "anchor.jsonl").read_text())["signer"]
        (cls.folder / "key").write_text(cls.key + "\n")

    def tampered(self, *statements):
        path = self.folder / f"{self.id().split('.')[-1]}.db"
        shutil.copy(self.folder / "sound.db", path)
        with contextlib.closing(sqlite3.connect(path)) as db:
            db.execute("DROP TRIGGER audit_no_update")
            db.execute("DROP TRIGGER audit_no_delete")
            for statement in statements:
                statement(db) if callable(statement) else db.execute(statement)
            db.commit()
        return path

    def verify(self, path, *arguments):
        done = stack.ctl("audit", "verify", "--file", path, "--key", self.folder / "key", *arguments, "--json", check=False)
        result = json.loads(done.stdout)
        self.assertEqual(done.returncode, 0 if result["valid"] else 1)
        return result

    def problems(self, path, *arguments):
        result = self.verify(path, *arguments)
        self.assertFalse(result["valid"])
        return [(finding["problem"], finding["id"]) for finding in result["findings"]]

    @staticmethod
    def rewrite_chain(db):
        """All hashes anew: what somebody does who knows how."""
        names = ("id", "epoch", "at", "user_id", "action", "object", "result", "address", "request_id", "name", "count")
        previous = bytes(32)
        for row in db.execute(f"SELECT {', '.join(names)} FROM audit ORDER BY id").fetchall():
            entry = dict(zip(names, row))
            text = b"".join(pack_text(entry[name]) for name in names[4:10])
            canonical = (b"\x9c" + pack_integer(1) + pack_text(entry["epoch"]) + pack_integer(entry["id"]) +
                         pack_integer(entry["at"]) + pack_integer(entry["user_id"]) + text + pack_integer(entry["count"]))
            previous = hashlib.sha256(previous + canonical).digest()
            db.execute("UPDATE audit SET hash = ? WHERE id = ?", (previous, entry["id"]))

    def test_a_sound_log(self):
        result = self.verify(self.folder / "sound.db", "--heads", self.folder / "anchor.jsonl")
        self.assertTrue(result["valid"], result)
        self.assertEqual((result["entries"], result["signer"]), (result["id"], self.key))
        self.assertGreater(result["heads"], 0)

    def test_sql_without_tricks_is_refused(self):
        path = self.folder / "plain.db"
        shutil.copy(self.folder / "sound.db", path)
        with contextlib.closing(sqlite3.connect(path)) as db:
            for statement in ("UPDATE audit SET user_id = 1", "DELETE FROM audit WHERE id = 3"):
                with self.assertRaisesRegex(sqlite3.Error, "append-only"):
                    db.execute(statement)

    def test_a_changed_row(self):
        for column, value in (("at", 1), ("user_id", 99), ("action", "'article.get'"), ("object", "''"), ("result", "'forbidden'"),
                              ("address", "'192.0.2.1'"), ("request_id", "''"), ("name", "'x'"), ("count", 2), ("epoch", "'000000000000'")):
            path = self.tampered(f"UPDATE audit SET {column} = {value} WHERE id = 6")
            self.assertEqual(self.problems(path)[0], ("hash", 6), column)

    def test_a_changed_hash(self):
        path = self.tampered("UPDATE audit SET hash = zeroblob(32) WHERE id = 6")
        self.assertEqual(self.problems(path)[:2], [("hash", 6), ("hash", 7)])

    def test_a_deleted_row(self):
        self.assertEqual(self.problems(self.tampered("DELETE FROM audit WHERE id = 6"))[0], ("missing-entries", 6))

    def test_a_deleted_row_whose_gap_was_closed(self):
        path = self.tampered("DELETE FROM audit WHERE id = 6", "UPDATE audit SET id = id - 1 WHERE id > 6")
        self.assertEqual(self.problems(path)[0], ("hash", 6))

    def test_the_first_rows_deleted(self):
        self.assertEqual(self.problems(self.tampered("DELETE FROM audit WHERE id <= 2"))[0], ("missing-entries", 1))

    def test_swapped_rows(self):
        path = self.tampered("UPDATE audit SET id = 1000 WHERE id = 6", "UPDATE audit SET id = 6 WHERE id = 7",
                             "UPDATE audit SET id = 7 WHERE id = 1000")
        self.assertEqual(self.problems(path)[0], ("hash", 6))

    def test_a_row_put_in(self):
        path = self.tampered("INSERT INTO audit SELECT max(id) + 1, epoch, at, 1, 'user.create', '', 'ok', '', '', '', 1, hash FROM audit")
        self.assertEqual([kind for kind, _ in self.problems(path)], ["hash"])

    def test_a_rewritten_chain_shows_by_the_heads(self):
        path = self.tampered("UPDATE audit SET user_id = 99 WHERE id = 6", self.rewrite_chain, "DELETE FROM audit_heads")
        self.assertTrue(self.verify(path)["valid"], "the chain alone cannot know")
        self.assertEqual(self.problems(path, "--heads", self.folder / "anchor.jsonl")[0][0], "signed-hash-differs")

    def test_a_cut_tail_shows_by_the_anchors_only(self):
        path = self.tampered("DELETE FROM audit WHERE id > 8", "DELETE FROM audit_heads")
        self.assertTrue(self.verify(path)["valid"], "the chain alone cannot know")
        self.assertEqual(self.problems(path, self.folder / "anchor.jsonl"), [("missing-at-the-end", 9)])

    def test_a_cut_tail_that_has_grown_again(self):
        path = self.tampered("DELETE FROM audit WHERE id > 8", "DELETE FROM audit_heads",
                             "INSERT INTO audit WITH RECURSIVE n (i) AS (SELECT 9 UNION ALL SELECT i + 1 FROM n WHERE i < 30) "
                             "SELECT i, (SELECT epoch FROM audit LIMIT 1), 5, 1, 'x', '', 'ok', '', '', '', 1, zeroblob(32) FROM n",
                             self.rewrite_chain)
        self.assertTrue(self.verify(path)["valid"], "the chain alone cannot know")
        self.assertEqual(self.problems(path, self.folder / "anchor.jsonl")[0][0], "signed-hash-differs")

    def test_a_forged_head(self):
        for member, value in (("id", 3), ("hash", "0" * 64), ("at", "2020-01-01T00:00:00.000Z"), ("epoch", "000000000000"),
                              ("signature", "0" * 128)):
            head = json.loads((self.folder / "anchor.jsonl").read_text()) | {member: value}
            forged = self.folder / "forged.jsonl"
            forged.write_text(json.dumps(head) + "\n")
            self.assertEqual(self.problems(self.folder / "sound.db", "--heads", forged)[0][0], "forged-head", member)

    def test_heads_of_another_key(self):
        with Stack() as other:
            other.stop()
            anchor = other.data_dir / "audit.head"
            self.assertEqual(self.problems(self.folder / "sound.db", "--heads", anchor)[0][0], "other-key")
            (self.folder / "both").write_text(f"{self.key}\n{json.loads(anchor.read_text())['signer']}\n")
            done = stack.ctl("audit", "verify", "--file", self.folder / "sound.db", "--key", self.folder / "both",
                             "--heads", anchor, "--json", check=False)
            self.assertEqual(json.loads(done.stdout)["findings"][0]["problem"], "missing-at-the-end")

    def test_an_export_is_verified_as_well(self):
        export = self.folder / "export.jsonl"
        stack.ctl("audit", "export", export)
        heads = self.folder / "heads.jsonl"
        stack.ctl("audit", "heads", heads)
        self.assertTrue(json.loads(stack.ctl("audit", "verify", "--file", export, "--heads", heads, "--json").stdout)["valid"])
        lines = export.read_text().splitlines()
        lines[3] = lines[3].replace('"ok"', '"forbidden"')
        lines[7] = lines[7][:-5]
        export.write_text("\n".join(lines) + "\n")
        done = stack.ctl("audit", "verify", "--file", export, "--json", check=False)
        self.assertEqual(done.returncode, 1)
        kinds = [(finding["problem"], finding["id"]) for finding in json.loads(done.stdout)["findings"]]
        self.assertEqual(kinds[:2], [("hash", 4), ("unreadable", 8)])
        self.assertNotEqual(stack.ctl("audit", "export", export, check=False).returncode, 0, "never over a file that is there")

    def test_words_in_both_languages(self):
        path = self.tampered("UPDATE audit SET user_id = 99 WHERE id = 6")
        for locale, words in (("ja", "ハッシュが一致しません"), ("en", "the hash does not fit")):
            done = subprocess.run([shutil.which("miraictl", path=stack.environment["PATH"]), "audit", "verify", "--file", path],
                                  env=stack.environment | {"MIRAI_LOCALE": locale}, capture_output=True, text=True, timeout=60)
            self.assertEqual(done.returncode, 1)
            self.assertIn(words, done.stdout)
            self.assertIn("#6", done.stdout)

    def test_what_is_no_log(self):
        other = self.folder / "other"
        other.write_bytes(b"SQLite format 3\0" + b"\xff" * 5000)
        self.assertEqual(stack.ctl("audit", "verify", "--file", other, check=False).returncode, 1)
        self.assertEqual(stack.ctl("audit", "verify", "--file", self.folder / "nowhere", check=False).returncode, 1)
        self.assertEqual(stack.ctl("audit", "verify", "--heads", self.folder / "sound.db", check=False).returncode, 1)
        self.assertEqual(stack.ctl("audit", "verify", "--key", self.folder / "sound.db", check=False).returncode, 1)


class Restore(Case):
    def head_of(self, installation, number):
        wait_for(lambda: [head for head in installation.client().get("/api/v1/audit/heads").json["items"] if head["id"] >= number],
                 10, "a signed head")

    def test_a_restore_begins_a_new_history_that_names_the_old(self):
        with Stack(may_restart=True, MIRAI_AUDIT_HEAD_SECONDS=1) as restored:
            restored.article(title="in the snapshot")
            self.head_of(restored, restored.client().get("/api/v1/audit", limit=1).json["items"][0]["id"])
            made = self.expect(restored.client().post("/api/v1/backups"), 201).json
            anchors = restored.dir / "backups" / "audit-heads.jsonl"
            self.assertTrue(json.loads(anchors.read_text().splitlines()[-1])["signature"])
            lost = [restored.article(title=f"lost {i}") for i in range(5)]
            before = restored.client().get("/api/v1/audit", limit=1).json["items"][0]
            self.head_of(restored, before["id"])
            restored.ctl("restore", made["name"], "--yes")
            wait_for(lambda: restored.client().get(f"/api/v1/articles/{lost[0]['id']}").status == 404, 20, "the restore")
            row = [row for row in restored.client().pages("/api/v1/audit", limit=200) if row["action"] == "store.restore"][0]
            kind, epoch, number, digest = row["object"].split("/")
            self.assertEqual((kind, epoch, len(digest)), ("audit", before["epoch"], 64))
            self.assertGreaterEqual(int(number), before["id"])
            self.assertNotEqual(row["epoch"], epoch)
            done = restored.ctl("audit", "verify", anchors, "--heads", restored.dir / "daemons.log", "--json")
            result = json.loads(done.stdout)
            self.assertTrue(result["valid"], result)
            self.assertEqual(result["restored"][0]["from"], row["id"])
            self.assertEqual(result["restored"][0]["restore"], row["id"])
            self.assertGreaterEqual(result["restored"][0]["to"], before["id"])
            said = restored.ctl("audit", "verify", "--heads", anchors, restored.dir / "daemons.log").stdout
            self.assertRegex(said, f"復元（#{row['id']}）" if "系列" in said else f"went with the restore of .*#{row['id']}")


if __name__ == "__main__":
    unittest.main()
