"""Text of attachments is found, with file and page, by those who may see the article, until the file goes."""

import unittest
import urllib.parse

import documents
from case import Case
from stack import Stack, wait_for

stack = None


def setUpModule():
    global stack
    stack = unittest.enterModuleContext(Stack())


class AttachmentSearch(Case):
    def setUp(self):
        self.client = stack.client()

    def upload(self, article, content, name, media_type="application/octet-stream"):
        path = f"/api/v1/articles/{article['id']}/attachments?name={urllib.parse.quote(name)}"
        return self.expect(self.client.request("POST", path, raw=content, headers={"Content-Type": media_type}), 201).json

    def hits(self, q, client=None):
        return self.expect((client or self.client).get("/api/v1/search", q=q), 200).json["hits"]

    def await_hit(self, q, article):
        found = wait_for(lambda: [hit for hit in self.hits(q) if hit["id"] == article["id"] and "attachment" in hit], 60, f"a hit for {q}")
        return found[0]

    def test_the_page_of_a_pdf(self):
        article = stack.article(title="拠点の設備一覧", body="詳細は添付を参照")
        made = self.upload(article, documents.pdf("表紙の頁", "無停電電源装置の蓄電池交換周期", "付録"), "設備台帳.pdf", "application/pdf")
        hit = self.await_hit("蓄電池交換周期", article)
        self.assertEqual(hit["attachment"], {"id": made["id"], "name": "設備台帳.pdf", "page": 2})
        self.assertIn("<mark>", hit["snippet"])
        self.assertIn("無停電", hit["snippet"].replace("<mark>", "").replace("</mark>", ""))
        self.assertEqual(len([one for one in self.hits("蓄電池交換周期") if one["id"] == article["id"]]), 1)

        self.expect(self.client.delete(f"/api/v1/articles/{article['id']}/attachments/{made['id']}"), 204)
        wait_for(lambda: not [one for one in self.hits("蓄電池交換周期") if one["id"] == article["id"]], 30, "the hit goes with the file")

    def test_a_log_in_shift_jis_and_an_office_file(self):
        article = stack.article(title="障害の記録", body="添付のとおり")
        log = self.upload(article, "09:00 監視鯖が沈黙した\r\n".encode("cp932"), "監視.log", "text/plain")
        book = self.upload(article, documents.xlsx({"概要": [["表紙"]], "明細": [["予備品の棚卸結果", 3]]}), "棚卸.xlsx")
        hit = self.await_hit("監視鯖", article)
        self.assertEqual(hit["attachment"], {"id": log["id"], "name": "監視.log"})
        hit = self.await_hit("予備品の棚卸結果", article)
        self.assertEqual(hit["attachment"], {"id": book["id"], "name": "棚卸.xlsx", "page": 2})

    def test_only_who_sees_the_article_finds_its_files(self):
        article = stack.article(title="社外秘", body="添付", visibility="private")
        self.upload(article, documents.docx(["極秘合併計画書の本文"]), "計画.docx")
        self.await_hit("極秘合併計画書", article)
        viewer = stack.client(stack.make_user("reader", "viewer")[1])
        answer = self.expect(viewer.get("/api/v1/search", q="極秘合併計画書"), 200).json
        self.assertEqual((answer["total"], [hit for hit in answer["hits"] if hit["id"] == article["id"]]), (0, []))
        self.expect(self.client.patch(f"/api/v1/articles/{article['id']}", {"visibility": "space"}, "*"), 200)
        wait_for(lambda: [hit for hit in self.hits("極秘合併計画書", viewer) if "attachment" in hit], 30, "found by all once it is for all")


if __name__ == "__main__":
    unittest.main()
