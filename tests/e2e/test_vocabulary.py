"""What an organisation teaches its search, and what the query log tells: over the API and with miraictl."""

import datetime
import json
import unittest

import rpc
from case import Case
from stack import Stack

SYNONYMS, WORDS, QUERIES, CLICKS = (f"/api/v1/search/{name}" for name in ("synonyms", "words", "queries", "clicks"))
stack = None


def setUpModule():
    global stack
    stack = unittest.enterModuleContext(Stack(LANG="C"))


def feed_seq():
    rows = json.loads(stack.ctl("status", "--json").stdout)["daemons"]
    return next(row["details"]["seq"] for row in rows if row["service"] == "knowledge-store")


class Vocabulary(Case):
    def setUp(self):
        self.client = stack.client()
        self.addCleanup(self.client.close)

    def audited(self, action):
        return [row["object"] for row in self.client.get("/api/v1/audit", action=action, limit=100).json["items"]]

    def test_the_starter_set_is_there(self):
        sets = [item["terms"] for item in self.expect(self.client.get(SYNONYMS), 200).json["items"]]
        self.assertGreaterEqual(len(sets), 10)
        self.assertTrue(any("パソコン" in terms for terms in sets))

    def test_synonyms_are_made_changed_and_removed(self):
        seq = feed_seq()
        made = self.expect(self.client.post(SYNONYMS, {"terms": [" ＦＷ", "ファイア　ウォール", "防火壁🔥"], "note": "課"}), 201).json
        self.assertEqual((made["terms"], made["note"]), (["ＦＷ", "ファイア ウォール", "防火壁🔥"], "課"))
        path = f"{SYNONYMS}/{made['id']}"
        changed = self.expect(self.client.put(path, {"terms": ["FW", "firewall"]}), 200).json
        self.assertEqual(changed["terms"], ["FW", "firewall"])
        self.assertNotIn("note", changed)
        self.assertIn(changed, self.client.get(SYNONYMS).json["items"])
        self.expect(self.client.delete(path), 204)
        self.expect_problem(self.client.delete(path), 404)
        self.assertEqual(feed_seq(), seq + 3)  # each is told to the indexes
        for action in ("synonyms.create", "synonyms.replace", "synonyms.delete"):
            self.assertIn(f"synonyms/{made['id']}", self.audited(action))

    def test_faults_name_their_place(self):
        for terms, path, what in (
                ([], "/terms", "too-short"), (["a"], "/terms", "too-short"), (["a", "x" * 101], "/terms/1", "too-long"),
                (["VPN", "ＶＰＮ"], "/terms/1", "duplicate"), (["a", "b = c"], "/terms/1", "format"), (["a", "\u3000"], "/terms/1", "too-short"),
                (["a", "b\u202e"], "/terms/1", "format"), (["a"] * 51, "/terms", "too-many"), (["a", "\ud800"], None, None), (["a", 5], "/terms/1", "type")):
            with self.subTest(terms=terms[:2]):
                body = json.dumps({"terms": terms}).encode()
                answer = self.client.request("POST", SYNONYMS, raw=body, headers={"Content-Type": "application/json"})
                problem = self.expect_problem(answer, (400, 422) if path is None else 422)
                if path:
                    self.assertEqual(problem["errors"], [{"path": path, "problem": what}])

    def test_words(self):
        made = self.expect(self.client.post(WORDS, {"surface": "未来ナレッジ", "reading": "みらいナレッジ"}), 201).json
        self.assertIn(made, self.client.get(WORDS).json["items"])
        self.expect_problem(self.client.post(WORDS, {"surface": "未来ﾅﾚｯｼﾞ"}), 409)
        self.expect_problem(self.client.post(WORDS, {"surface": "漢字", "reading": "漢字"}), 422)
        self.expect(self.client.delete(f"{WORDS}/{made['id']}"), 204)
        self.assertIn(f"word/{made['id']}", self.audited("dictionary.create"))
        self.assertIn(f"word/{made['id']}", self.audited("dictionary.delete"))

    def test_files_of_an_article_stay_where_they_belong(self):
        """`attachments` of an article is between daemons: clients neither get nor give it, nor does the description tell."""
        article = stack.article()
        path = f"/api/v1/articles/{article['id']}"
        seq = feed_seq()
        made = self.expect(self.client.request("POST", f"{path}/attachments?name=a.txt", raw=b"a", headers={"Content-Type": "text/plain"}), 201).json
        self.assertEqual(feed_seq(), seq + 1)
        for _ in range(2):
            self.assertNotIn("attachments", self.client.get(path).json)
        self.assertEqual(self.client.get(path).json["version"], article["version"])
        given = self.client.post("/api/v1/articles", {"title": "t", "type": "other", "body": "b", "attachments": []})
        self.assertEqual(self.expect_problem(given, 422)["errors"][0]["problem"], "unknown-field")
        self.expect(self.client.delete(f"{path}/attachments/{made['id']}"), 204)
        self.assertEqual(feed_seq(), seq + 2)
        schema = self.client.get("/api/v1/openapi.json").json["components"]["schemas"]["article"]
        self.assertIn("title", schema["properties"])
        self.assertNotIn("attachments", schema["properties"])


class QueryLog(Case):
    def setUp(self):
        self.client = stack.client()
        self.addCleanup(self.client.close)

    def note(self, *searches):
        """As search-index does; one a second up to now."""
        now = datetime.datetime.now(datetime.timezone.utc)
        items = [{"q": q, "user_id": user, "total": total,
                  "at": (now - datetime.timedelta(seconds=len(searches) - i)).strftime("%Y-%m-%dT%H:%M:%SZ")}
                 for i, (q, user, total) in enumerate(searches)]
        socket = stack.dir / "run" / "knowledge-store@1.sock"
        self.assertIsNone(rpc.call(str(socket), "asked.append", params={"items": items}))

    def queries(self, **which):
        return {item["q"]: item for item in self.expect(self.client.get(QUERIES, **which), 200).json["items"]}

    def test_what_was_asked_and_opened(self):
        self.note(("ＬＯＧ 検索", 1, 0), ("log 検索", 2, 3), ("ない言葉😀", 1, 0))
        _, token = stack.make_user("clicker", "viewer")
        viewer = stack.client(token)
        self.addCleanup(viewer.close)
        article, hidden = stack.article(), stack.article(visibility="private")
        click = {"q": "Log　検索", "article_id": article["id"], "position": 2}
        self.expect(viewer.post(CLICKS, click), 204)
        self.expect(viewer.post(CLICKS, click), 204)
        self.expect_problem(viewer.post(CLICKS, click | {"article_id": hidden["id"]}), 404)
        self.expect_problem(viewer.post(CLICKS, click | {"position": 0}), 422)
        self.expect_problem(viewer.get(QUERIES), 403)
        found = self.queries()
        log = found["log 検索"]
        self.assertEqual((log["count"], log["zero_count"], log["users"], log["clicks"], log["click_position"]), (2, 1, 2, 1, 2.0))
        self.assertNotIn("log 検索", self.queries(zero="true"))
        self.assertIn("ない言葉😀", self.queries(zero="true", days=2))
        self.assertNotIn("ない言葉😀", self.queries(min_users=2))
        self.assertEqual(len(self.queries(limit=1)), 1)
        self.expect_problem(self.client.get(QUERIES, days=0), 422)
        listed = json.loads(stack.ctl("queries", "list", "--zero", "--json").stdout)["items"]
        self.assertIn("ない言葉😀", [item["q"] for item in listed])
        self.assertIn("log 検索", stack.ctl("queries", "list", "--min-users", "2").stdout)


class Miraictl(Case):
    def lines(self, group):
        return stack.ctl(group, "export", "-").stdout.splitlines()

    def test_synonyms(self):
        made = json.loads(stack.ctl("synonyms", "add", "ctl", "コントロール 君", "--note", "n", "--json").stdout)
        self.assertEqual(made["terms"], ["ctl", "コントロール 君"])
        self.assertIn("ctl = コントロール 君", self.lines("synonyms"))
        self.assertIn("コントロール 君", stack.ctl("synonyms", "list").stdout)
        stack.ctl("synonyms", "remove", made["id"])
        self.assertNotIn("ctl = コントロール 君", self.lines("synonyms"))
        self.assertEqual(stack.ctl("synonyms", "remove", made["id"], check=False).returncode, 1)
        self.assertEqual(stack.ctl("synonyms", "remove", "x", check=False).returncode, 2)
        self.assertEqual(stack.ctl("synonyms", "add", "same", "ＳＡＭＥ", check=False).returncode, 1)

    def test_synonyms_travel_by_file(self):
        before = self.lines("synonyms")
        path = stack.dir / "synonyms.txt"
        stack.ctl("synonyms", "export", path)
        self.assertEqual(path.read_text().splitlines(), before)
        path.write_text("# a comment\n\n" + path.read_text() + "  #NAME? = エラー値  \r\nalone\nx = X\n" + "b\udcff = c\n".encode(
            errors="surrogateescape").decode(errors="surrogateescape"), errors="surrogateescape")
        done = stack.ctl("synonyms", "import", path, "--json", check=False)
        self.assertEqual(done.returncode, 4, done)
        self.assertEqual(json.loads(done.stdout), {"made": 1, "same": len(before), "refused": 3})
        self.assertEqual(self.lines("synonyms"), before + ["#NAME? = エラー値"])
        self.assertIn(f"line {len(before) + 4}", stack.ctl("synonyms", "import", path, check=False).stderr)

    def test_words_travel_by_file(self):
        path = stack.dir / "words.txt"
        path.write_text("社内ポータル = しゃないポータル\nPrometheus\na = b = c\n")
        done = stack.ctl("words", "import", path, "--json", check=False)
        self.assertEqual((done.returncode, json.loads(done.stdout)), (4, {"made": 2, "same": 0, "refused": 1}))
        self.assertEqual(stack.ctl("words", "import", path, check=False).returncode, 4)
        lines = self.lines("words")
        self.assertIn("社内ポータル = しゃないポータル", lines)
        self.assertIn("Prometheus", lines)
        word = json.loads(stack.ctl("words", "add", "Zabbix", "--reading", "ザビックス", "--json").stdout)
        self.assertIn("ザビックス", stack.ctl("words", "list").stdout)
        stack.ctl("words", "remove", word["id"])
        self.assertNotIn("Zabbix = ザビックス", self.lines("words"))
