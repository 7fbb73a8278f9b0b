"""Search over the API: Japanese, kana of any width, identifiers, filters, facets, paging, marks, suggestions, freshness."""

import time
import unittest

from case import Case
from stack import Stack, measured, wait_for

stack = None

ARTICLES = [
    {"title": "VPN 接続が頻繁に切断される", "type": "incident", "tags": ["VPN", "ネットワーク"],
     "body": "在宅勤務中に GlobalProtect が切断されます。\n証明書 E-1042 の期限を確認してください。"},
    {"title": "サーバーのディスク使用率が高い", "type": "problem", "tags": ["Linux"],
     "body": "/var/log/journal が肥大化。journalctl --vacuum-size=500M を実行する。"},
    {"title": "プリンターの紙詰まり", "type": "incident", "tags": ["プリンター"],
     "body": "トレイ2 のローラーを清掃する。型番は LBP-7200 です。"},
    {"title": "Windows Update fails with 0x80070005", "type": "problem", "tags": ["Windows"], "language": "en",
     "body": "Access denied while installing KB5034441. Run DISM /RestoreHealth as administrator."},
    {"title": "DNS リゾルバーの移行", "type": "change", "status": "draft", "tags": ["ネットワーク", "DNS"],
     "body": "10.20.30.40 から 10.20.30.41 へ切り替える。<b>強調</b> & 注意。"},
]


def setUpModule():
    global stack
    stack = unittest.enterModuleContext(Stack())
    for fields in ARTICLES:
        last = stack.article(**fields)
    stack.wait_indexed(last)


class Search(Case):
    def setUp(self):
        self.client = stack.client()

    def search(self, q, **query):
        return self.expect(self.client.get("/api/v1/search", q=q, **query), 200).json

    def titles(self, q, **query):
        return [hit["title"] for hit in self.search(q, **query)["hits"]]

    def test_finds_japanese(self):
        for q, title in (("切断", 0), ("在宅勤務", 0), ("ディスク 使用率", 1), ("紙詰まり", 2), ("プリンタ", 2), ("移行", 4)):
            self.assertEqual(self.titles(q)[0], ARTICLES[title]["title"], q)

    def test_width_and_case_do_not_matter(self):
        for q, title in (("ﾌﾟﾘﾝﾀｰ", 2), ("ｻｰﾊﾞｰ", 1), ("ＶＰＮ", 0), ("vpn", 0), ("ｖｐｎ　接続", 0), ("globalprotect", 0), ("サーバ", 1)):
            self.assertEqual(self.titles(q)[0], ARTICLES[title]["title"], q)

    def test_finds_identifiers(self):
        for q, title in (("0x80070005", 3), ("KB5034441", 3), ("kb5034441", 3), ("E-1042", 0), ("LBP-7200", 2), ("10.20.30.41", 4), ("journalctl", 1)):
            self.assertEqual(self.titles(q)[0], ARTICLES[title]["title"], q)

    def test_nothing_is_an_empty_answer(self):
        answer = self.search("存在しない単語zzzqqq9")
        self.assertEqual((answer["total"], answer["hits"]), (0, []))

    def test_filters(self):
        self.assertEqual(self.titles("ネットワーク", type="change"), [ARTICLES[4]["title"]])
        self.assertEqual(self.titles("", status="draft"), [ARTICLES[4]["title"]])
        self.assertEqual(self.titles("", tag="Windows"), [ARTICLES[3]["title"]])
        self.assertEqual(self.titles("", tag=["ネットワーク", "DNS"]), [ARTICLES[4]["title"]])
        self.assertEqual(self.titles("", after="2999-01-01T00:00:00Z"), [])
        self.assertEqual(self.titles("", before="2001-01-01T00:00:00Z"), [])
        self.assertGreaterEqual(self.search("")["total"], len(ARTICLES))

    def test_facets_divide_what_was_found(self):
        answer = self.search("", tag="ネットワーク")
        counts = lambda name: {row["key"]: row["count"] for row in answer["facets"][name]}
        self.assertEqual(answer["total"], 2)
        self.assertEqual(counts("type"), {"incident": 1, "change": 1})
        self.assertEqual(counts("status"), {"published": 1, "draft": 1})
        self.assertEqual(counts("tag"), {"ネットワーク": 2, "VPN": 1, "DNS": 1})

    def test_snippets_mark_and_escape(self):
        snippet = self.search("切り替える")["hits"][0]["snippet"]
        self.assertIn("<mark>", snippet)
        self.assertNotIn("<b>", snippet)
        self.assertIn("&amp;", snippet)
        self.assertEqual(snippet.count("<mark>"), snippet.count("</mark>"))

    def test_scores_fall(self):
        scores = [hit["score"] for hit in self.search("ネットワーク 証明書 接続")["hits"]]
        self.assertEqual(scores, sorted(scores, reverse=True))
        self.assertGreaterEqual(self.search("VPN")["took_ms"], 0)

    def test_paging_to_the_end_without_doubles(self):
        made = {stack.article(title=f"連番記事 {n}", body="全文検索の頁送り")["id"] for n in range(37)}
        wait_for(lambda: self.search("頁送り")["total"] == 37, 10, "37 articles in the index")
        for query in ({"q": "頁送り"}, {"q": ""}):
            ids = [hit["id"] for hit in self.client.pages("/api/v1/search", items="hits", limit=5, **query)]
            self.assertEqual(len(ids), len(set(ids)), query)
            self.assertTrue(made <= set(ids), query)

    def test_suggestions(self):
        items = lambda q: self.expect(self.client.get("/api/v1/suggest", q=q), 200).json["items"]
        self.assertIn(ARTICLES[0]["title"], [item["text"] for item in items("VPN")])
        self.assertIn(ARTICLES[2]["title"], [item["text"] for item in items("ﾌﾟﾘﾝ")])
        self.assertIn(("ネットワーク", "tag"), [(item["text"], item["kind"]) for item in items("ネット")])
        self.assertEqual(items("存在しないxyz"), [])
        self.assertLessEqual(len(self.client.get("/api/v1/suggest", q="", limit=3).json["items"]), 3)

    def test_changes_are_found_within_200_ms(self):
        slowest = 0
        for n in range(10):
            word = "fresh" + "abcdefghij"[n] * 3
            article = stack.article(title=f"鮮度 {word}")
            start = time.monotonic()
            wait_for(lambda: self.search(word)["total"] == 1, 5, "the new article")
            slowest = max(slowest, time.monotonic() - start)
        measured("slowest commit to searchable", f"{slowest * 1000:.0f} ms")
        self.assertLess(slowest, 1.0)  # asked: p99 200 ms; a loaded machine is given room here, the benchmark is strict
        path = f"/api/v1/articles/{article['id']}"
        self.expect(self.client.patch(path, {"title": "鮮度 改名rrr"}, "*"), 200)
        wait_for(lambda: self.search("改名rrr")["total"] == 1 and self.search(word)["total"] == 0, 5, "the new title")
        self.expect(self.client.delete(path), 204)
        wait_for(lambda: self.search("改名rrr")["total"] == 0, 5, "the article gone")
        self.expect(self.client.post(f"{path}/restore"), 200)
        wait_for(lambda: self.search("改名rrr")["total"] == 1, 5, "the article back")

    def test_a_renamed_tag_is_found_by_its_new_name(self):
        tag = self.expect(self.client.post("/api/v1/tags", {"name": "旧名"}), 201).json
        stack.article(title="札替え", tags=["旧名"])
        wait_for(lambda: self.search("", tag="旧名")["total"] == 1, 5, "the old name")
        self.expect(self.client.patch(f"/api/v1/tags/{tag['id']}", {"name": "新名"}), 200)
        wait_for(lambda: self.search("", tag="新名")["total"] == 1 and self.search("", tag="旧名")["total"] == 0, 5, "the new name")

    def test_rebuild_answers_meanwhile(self):
        self.expect(self.client.post("/api/v1/index/rebuild"), (200, 202))
        for _ in range(50):
            self.assertEqual(self.titles("紙詰まり")[0], ARTICLES[2]["title"])

    def test_odd_queries_are_harmless(self):
        for q in ('"', "*", "AND", "NEAR(", "a OR", "'; DROP TABLE x;--", "(((", "-", "\\", "%", "x" * 1000, "🍣", "\u200b", "々々"):
            self.search(q)
        self.assertEqual(self.search("x" * 1001)["understood"]["notices"], ["query-cut"])
