"""Who may see what: nothing of a hidden article leaks through any list, read, count, facet, suggestion or file."""

import unittest
from urllib.parse import quote

from case import Case
from stack import Stack, wait_for

stack = None
WORD = "極秘計画zebra"


def setUpModule():
    global stack
    stack = unittest.enterModuleContext(Stack())


class Visibility(Case):
    @classmethod
    def setUpClass(cls):
        admin = cls.admin = stack.client()
        cls.member_id, member = stack.make_user("member", "editor")
        cls.stranger_id, stranger = stack.make_user("stranger", "editor")
        cls.member, cls.stranger = stack.client(member), stack.client(stranger)
        cls.group = admin.post("/api/v1/groups", {"name": "経理", "members": [cls.member_id]}).json["id"]
        cls.space = admin.post("/api/v1/spaces", {"name": "経理部", "reader_groups": [cls.group], "editor_groups": [cls.group]}).json["id"]
        wait_for(lambda: cls.space in [row["id"] for row in cls.member.get("/api/v1/spaces").json["items"]], 5, "the member's space")
        common = {"title": WORD, "body": f"{WORD} の本文", "tags": [WORD, "公開タグ"], "type": "release"}
        cls.in_space = stack.article(cls.member, **common, space_id=cls.space)
        cls.in_group = stack.article(cls.member, **common, visibility="group", group_id=cls.group)
        cls.private = stack.article(cls.member, **common, visibility="private", status="draft")
        cls.open = stack.article(cls.member, title="公開の記事", body="誰でも読める", tags=["公開タグ"], type="release")
        cls.hidden = [cls.in_space, cls.in_group, cls.private]
        cls.files = {}
        for article in cls.hidden:
            path = f"/api/v1/articles/{article['id']}"
            assert cls.member.patch(path, {"body": f"{WORD} 第二版"}, "*").status == 200
            made = cls.member.request("POST", f"{path}/attachments?name={'secret.txt'}", raw=b"secret", headers={"Content-Type": "text/plain"})
            assert made.status == 201, made
            cls.files[article["id"]] = made.json["id"]
            assert cls.member.post(f"{path}/comments", {"body": WORD}).status == 201
            assert cls.member.post(f"{path}/feedback", {"rating": 1, "comment": WORD}).status == 201
            made = cls.member.post(f"/api/v1/articles/{cls.open['id']}/relations", {"type": "related", "to_id": article["id"]})
            assert made.status == 201, made
        for article in [*cls.hidden, cls.open]:  # as they are now, and not as they were made
            stack.wait_indexed(admin.get(f"/api/v1/articles/{article['id']}").json, admin, 30)
        wait_for(lambda: cls.member.get("/api/v1/search", q=WORD).json["total"] == 3, 30, "what the member may find")

    def reads(self, article):
        path = f"/api/v1/articles/{article['id']}"
        file = f"{path}/attachments/{self.files[article['id']]}"
        return [path, f"/api/v1/articles/by-slug/{quote(article['slug'])}", f"{path}/stats", f"{path}/render", f"{path}/revisions",
                f"{path}/revisions/1", f"{path}/revisions/2/diff", f"{path}/relations", f"{path}/feedback", f"{path}/comments",
                f"{path}/attachments", file, f"{file}/content"]

    def test_a_stranger_reads_nothing(self):
        for article in self.hidden:
            for path in self.reads(article):
                answer = self.stranger.get(path)
                self.expect_problem(answer, 404)
                self.assertNotIn(WORD.encode(), answer.body, path)

    def test_a_stranger_changes_nothing(self):
        for article in self.hidden:
            path = f"/api/v1/articles/{article['id']}"
            before = self.admin.get(path).json
            for answer in (self.stranger.patch(path, {"title": "x"}, "*"),
                           self.stranger.put(path, {"title": "x", "type": "other", "body": ""}, "*"),
                           self.stranger.delete(path),
                           self.stranger.post(f"{path}/restore"),
                           self.stranger.post(f"{path}/revisions/1/restore"),
                           self.stranger.post(f"{path}/comments", {"body": "x"}),
                           self.stranger.post(f"{path}/feedback", {"rating": 1}),
                           self.stranger.post(f"{path}/relations", {"type": "related", "to_id": self.open["id"]}),
                           self.stranger.request("POST", f"{path}/attachments?name=x", raw=b"x"),
                           self.stranger.delete(f"{path}/attachments/{self.files[article['id']]}"),
                           self.stranger.post("/api/v1/imports", {"title": "奪う", "body": "x", "slug": article["slug"]})):
                self.expect_problem(answer, (403, 404, 409))
                self.assertNotIn(WORD.encode(), answer.body)
            self.expect_problem(self.stranger.post(f"/api/v1/articles/{self.open['id']}/relations",
                                                   {"type": "reference", "to_id": article["id"]}), (403, 404, 422))
            self.assertEqual(self.admin.get(path).json, before)

    def test_lists_counts_and_search_leak_nothing(self):
        hidden = {article["id"] for article in self.hidden}
        stranger = self.stranger
        self.assertFalse(hidden & {item["id"] for item in stranger.pages("/api/v1/articles", limit=200)})
        self.assertFalse(hidden & {item["id"] for item in stranger.pages("/api/v1/articles", limit=200, space_id=self.space)})
        found = stranger.get("/api/v1/search", q=WORD).json
        self.assertFalse(hidden & {hit["id"] for hit in found["hits"]})
        self.assertEqual([row for name in found["facets"] for row in found["facets"][name] if row["key"] == WORD], [])
        everything = stranger.get("/api/v1/search", q="", limit=100).json
        self.assertEqual((everything["total"], [hit["id"] for hit in everything["hits"]]), (1, [self.open["id"]]))
        self.assertEqual(sum(row["count"] for row in everything["facets"]["type"]), 1)
        self.assertEqual(sum(row["count"] for row in everything["facets"]["status"]), 1)
        self.assertEqual({row["key"]: row["count"] for row in everything["facets"]["tag"]}, {"公開タグ": 1})
        self.assertEqual(stranger.get("/api/v1/search", q="", tag=WORD).json["total"], 0)
        self.assertEqual(stranger.get("/api/v1/suggest", q="極秘").json["items"], [])
        tags = {row["name"]: row.get("article_count", 0) for row in stranger.get("/api/v1/tags").json["items"]}
        self.assertEqual(tags.get(WORD, 0), 0)
        self.assertEqual(tags["公開タグ"], 1)
        figures = stranger.get("/api/v1/statistics")
        self.assertEqual(figures.json["articles"], 1)
        self.assertNotIn(WORD, figures.body.decode())
        relations = stranger.get(f"/api/v1/articles/{self.open['id']}/relations").json["items"]
        self.assertEqual(relations, [])
        self.assertNotIn(self.space, [row["id"] for row in stranger.get("/api/v1/spaces").json["items"]])

    def test_the_member_sees_them(self):
        for article in self.hidden:
            for path in self.reads(article):
                self.expect(self.member.get(path), 200)
        self.assertEqual(self.member.get("/api/v1/search", q=WORD).json["total"], 3)
        listed = len(list(self.member.pages("/api/v1/articles", limit=200)))
        self.assertGreaterEqual(listed, 4)
        self.assertEqual(self.member.get("/api/v1/statistics").json["articles"], listed)
        self.assertIn(WORD, [row["text"] for row in self.member.get("/api/v1/suggest", q="極秘").json["items"]])
        self.assertEqual(len(self.member.get(f"/api/v1/articles/{self.open['id']}/relations").json["items"]), 3)

    def test_admin_sees_all(self):
        for article in self.hidden:
            for path in self.reads(article):
                self.expect(self.admin.get(path), 200)
        self.assertEqual(self.admin.get("/api/v1/search", q=WORD).json["total"], 3)

    def test_the_bin_hides_too(self):
        gone = stack.article(self.member, title=f"{WORD} 捨てた", visibility="private", status="draft")
        self.expect(self.member.delete(f"/api/v1/articles/{gone['id']}"), 204)
        self.assertNotIn(gone["id"], [item["id"] for item in self.stranger.pages("/api/v1/bin", limit=200)])
        self.assertIn(gone["id"], [item["id"] for item in self.member.pages("/api/v1/bin", limit=200)])
        self.expect_problem(self.stranger.post(f"/api/v1/articles/{gone['id']}/restore"), 404)

    def test_membership_takes_effect_at_once_and_ends_at_once(self):
        newcomer_id, token = stack.make_user("newcomer", "viewer")
        newcomer = stack.client(token)
        path = f"/api/v1/articles/{self.in_group['id']}"
        self.expect_problem(newcomer.get(path), 404)
        self.expect(self.admin.patch(f"/api/v1/groups/{self.group}", {"members": [self.member_id, newcomer_id]}), 200)
        self.expect(newcomer.get(path), 200)
        self.assertEqual(newcomer.get("/api/v1/search", q=WORD).json["total"], 2)  # group and space, not the private draft
        self.expect(self.admin.patch(f"/api/v1/groups/{self.group}", {"members": [self.member_id]}), 200)
        self.expect_problem(newcomer.get(path), 404)
        self.assertEqual(newcomer.get("/api/v1/search", q=WORD).json["total"], 0)

    def test_narrowing_an_article_hides_it(self):
        article = stack.article(self.member, title="縮小する記事quagga")
        wait_for(lambda: self.stranger.get("/api/v1/search", q="quagga").json["total"] == 1, 5, "the article found")
        self.expect(self.member.patch(f"/api/v1/articles/{article['id']}", {"visibility": "private"}, "*"), 200)
        self.expect_problem(self.stranger.get(f"/api/v1/articles/{article['id']}"), 404)
        wait_for(lambda: self.stranger.get("/api/v1/search", q="quagga").json["total"] == 0, 5, "the article hidden")
        self.assertEqual(self.stranger.get("/api/v1/suggest", q="縮小").json["items"], [])

    def test_readers_of_a_space_do_not_write_there(self):
        reader_id, token = stack.make_user("reader", "editor")
        group = self.expect(self.admin.post("/api/v1/groups", {"name": "読者", "members": [reader_id]}), 201).json["id"]
        space = self.expect(self.admin.post("/api/v1/spaces", {"name": "掲示", "reader_groups": [group], "editor_groups": [self.group]}), 201).json["id"]
        article = stack.article(self.member, title="掲示", space_id=space)
        reader = stack.client(token)
        self.expect(reader.get(f"/api/v1/articles/{article['id']}"), 200)
        self.expect_problem(reader.patch(f"/api/v1/articles/{article['id']}", {"title": "落書き"}, "*"), 403)
        self.expect_problem(reader.post("/api/v1/articles", {"title": "x", "type": "other", "body": "", "space_id": space}), 403)
        self.expect_problem(self.stranger.post("/api/v1/articles", {"title": "x", "type": "other", "body": "", "space_id": self.space}), (403, 404, 422))
