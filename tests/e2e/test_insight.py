"""What the search says of articles over the API: similar ones, and drafts before they are saved."""

import unittest

from case import Case
from stack import Stack

stack = None

VPN = """## 影響

2026-09-14 07:00 から在宅勤務の利用者 180 名が VPN に接続できなかった。

## 原因

VPN ゲートウェイの証明書が期限切れになっていた。更新の通知が退職者に届いていた。

## 対応

新しい証明書をゲートウェイに適用して再起動し、接続できることを確認した。

## 再発防止

期限の 30 日前に担当グループへ通知する監視を追加した。
"""

ARTICLES = {
    "vpn": {"title": "VPN に接続できない", "type": "incident", "tags": ["リモートアクセス", "証明書"], "body": VPN},
    "client": {"title": "VPN クライアントの設定", "type": "request", "tags": ["リモートアクセス"],
               "body": "ゲートウェイの名前を入れ、証明書を選んで接続する。"},
    "printer": {"title": "プリンターの紙詰まり", "type": "incident", "tags": ["プリンター"], "body": "ローラーを清掃し、用紙を入れ直す。"},
    "meeting": {"title": "会議室の予約", "type": "other", "tags": ["総務"], "body": "予約画面で日付を選ぶ。"},
    "secret": {"title": "VPN に接続できない（監査用）", "type": "incident", "tags": ["極秘案件"], "visibility": "private",
               "body": VPN + "\n監査のための写し。\n"},
}

ids = {}


def setUpModule():
    global stack
    stack = unittest.enterModuleContext(Stack())
    for name, fields in ARTICLES.items():
        article = stack.article(**fields)
        ids[name] = article["id"]
    stack.wait_indexed(article)


class Insight(Case):
    @classmethod
    def setUpClass(cls):
        cls.user = stack.make_user("hana", "editor")
        cls.token = stack.make_token("hana", "editor")

    def setUp(self):
        self.admin = stack.client()
        self.client = stack.client(self.token)

    def check(self, client=None, **draft):
        return self.expect((client or self.client).post("/api/v1/drafts/check", draft), 200).json

    def similar(self, name, client=None):
        answer = self.expect((client or self.client).get(f"/api/v1/articles/{ids[name]}/similar"), 200).json
        return {hit["id"]: hit for hit in answer["items"]}

    def test_similar_articles(self):
        hits = self.similar("vpn")
        self.assertIn(ids["client"], hits)
        self.assertNotIn(ids["vpn"], hits)
        self.assertNotIn(ids["meeting"], hits)
        self.assertTrue(hits[ids["client"]]["shared"])
        self.assertLess(hits[ids["client"]]["similarity"], 0.85)

    def test_a_private_article_is_never_named(self):
        self.assertNotIn(ids["secret"], self.similar("vpn"))
        self.expect_problem(self.client.get(f"/api/v1/articles/{ids['secret']}/similar"), 404, "not-found")
        report = self.check(title="VPN に接続できない 極秘案件", body=VPN)
        self.assertEqual([hit["id"] for hit in report["duplicates"]], [ids["vpn"]])
        self.assertNotIn("極秘案件", [tag["name"] for tag in report["tags"] if tag["exists"]])
        self.assertNotIn("極秘案件", [tag["name"] for tag in self.check(title="VPN に接続できない", body=VPN)["tags"]])
        hidden = self.check(title="参照", body=f"[写し](/articles/{ids['secret']}) を見る。")
        self.assertIn("dead-reference", [deviation["rule"] for deviation in hidden["deviations"]])

    def test_who_may_see_it_is_told(self):
        self.assertGreaterEqual(self.similar("vpn", self.admin)[ids["secret"]]["similarity"], 0.85)
        report = self.check(self.admin, title="VPN に接続できない", body=VPN)
        self.assertEqual({hit["id"] for hit in report["duplicates"]}, {ids["vpn"], ids["secret"]})

    def test_a_duplicate_is_told_before_it_is_saved(self):
        report = self.check(title="ＶＰＮに接続できません", body=VPN.replace("2026-09-14 07:00", "2026-11-02 08:10"))
        self.assertTrue(report["duplicate"])
        self.assertEqual(report["duplicates"][0]["id"], ids["vpn"])
        report = self.check(id=ids["vpn"], title="VPN に接続できない", body=VPN)
        self.assertFalse(report["duplicate"])

    def test_report_of_a_draft(self):
        report = self.check(title="DNS サーバーの切り替え作業", tags=["DNS"],
                            body="2026-12-01 22:00 に DNS サーバーを 10.0.1.53 へ切り替える。\n\n1. 設定を変更する。\n2. 名前解決を検証する。\n")
        self.assertEqual(report["types"][0]["type"], "change")
        self.assertAlmostEqual(sum(row["confidence"] for row in report["types"]), 1)
        self.assertTrue(report["types"][0]["reasons"])
        rules = [row["rule"] for row in report["deviations"]]
        self.assertIn("change-without-rollback", rules)
        self.assertNotIn("change-without-schedule", rules)
        self.assertIn("切り替える", report["summary_technical"])
        self.assertFalse(report["duplicate"])
        report = self.check(title="VPN に接続できない", body=VPN)
        self.assertEqual(report["types"][0]["type"], "incident")
        self.assertIn("リモートアクセス", [tag["name"] for tag in report["tags"] if tag["exists"]])
        self.assertEqual([row["rule"] for row in report["deviations"] if row["severity"] == "error"], [])

    def test_language_of_the_answer(self):
        draft = {"title": "エラーについて", "body": "パスワードは「Tr0ub4dor&3」です。"}
        for language, word in (("ja", "タイトル"), ("en", "title")):
            messages = " ".join(row["message"] for row in self.check(language=language, **draft)["deviations"])
            self.assertIn(word, messages)
            self.assertNotIn("Tr0ub4dor", messages)

    def test_odd_drafts_are_answered(self):
        self.assertIn("title-missing", [row["rule"] for row in self.check()["deviations"]])
        for title, body in (("", ""), ("-VPN \"or\" tag:x", "🍣" * 1000), ("x" * 300, "](" * 200000), ("あ", "影響|" * 50000)):
            self.assertEqual(len(self.check(title=title, body=body)["types"]), 6)
        self.expect_problem(self.client.post("/api/v1/drafts/check", {"title": "x" * 301}), 422)
        self.expect_problem(self.client.get("/api/v1/articles/999999/similar"), 404, "not-found")


if __name__ == "__main__":
    unittest.main()
