"""The life of an article and what belongs to it: revisions, relations, feedback, comments, tags, templates."""

import unittest

from case import Case
from stack import Stack

stack = None


def setUpModule():
    global stack
    stack = unittest.enterModuleContext(Stack())


class LifeCycle(Case):
    def setUp(self):
        self.client = stack.client()

    def test_create_then_read(self):
        fields = {"title": "VPN が切断される", "type": "incident", "status": "published", "body": "# 概要\n\n証明書の期限切れ。\n",
                  "summary_technical": "IKEv2 の証明書", "summary_non_technical": "社外から接続できません",
                  "tags": ["VPN", "証明書"], "language": "ja", "review_by": "2030-01-31", "slug": "vpn-cut"}
        made = self.expect(self.client.post("/api/v1/articles", fields), 201)
        self.assertEqual(made.headers["Location"], f"/api/v1/articles/{made.json['id']}")
        self.assertEqual(made.etag, f'"{made.json["etag"]}"')
        read = self.expect(self.client.get(made.headers["Location"]), 200)
        self.assertEqual(read.json, made.json)
        self.assertEqual({key: read.json[key] for key in fields} | {"tags": sorted(read.json["tags"])},
                         fields | {"tags": sorted(fields["tags"])})
        self.assertEqual(read.json["version"], 1)
        self.assertEqual(read.json["created_by"], "admin")
        by_slug = self.expect(self.client.get("/api/v1/articles/by-slug/vpn-cut"), 200)
        self.assertEqual(by_slug.json, read.json)

    def test_patch_changes_only_what_it_names(self):
        article = stack.article(title="変更前", tags=["x"], summary_technical="要約")
        path = f"/api/v1/articles/{article['id']}"
        patched = self.expect(self.client.patch(path, {"title": "変更後", "summary_technical": None}, f'"{article["etag"]}"'), 200)
        self.assertEqual((patched.json["title"], patched.json["version"], patched.json["tags"]), ("変更後", 2, ["x"]))
        self.assertIn(patched.json.get("summary_technical", ""), ("", None))
        self.assertNotEqual(patched.json["etag"], article["etag"])
        self.assertEqual(self.client.get(path).json, patched.json)

    def test_put_replaces_all(self):
        article = stack.article(title="元", tags=["a", "b"], summary_technical="要約")
        path = f"/api/v1/articles/{article['id']}"
        put = self.expect(self.client.put(path, {"title": "新", "type": "problem", "body": "新しい本文"}, f'"{article["etag"]}"'), 200)
        self.assertEqual((put.json["title"], put.json["type"], put.json["body"]), ("新", "problem", "新しい本文"))
        self.assertEqual(put.json.get("tags", []), [])
        self.assertFalse(put.json.get("summary_technical"))

    def test_overwriting_needs_the_current_etag(self):
        article = stack.article()
        path, old = f"/api/v1/articles/{article['id']}", f'"{article["etag"]}"'
        self.expect_problem(self.client.patch(path, {"title": "無条件"}), 428, "precondition-required")
        self.expect_problem(self.client.put(path, {"title": "無条件", "type": "other", "body": ""}), 428)
        self.expect(self.client.patch(path, {"title": "先"}, old), 200)
        self.expect_problem(self.client.patch(path, {"title": "後"}, old), 412, "precondition-failed")
        self.expect_problem(self.client.put(path, {"title": "後", "type": "other", "body": ""}, old), 412)
        self.expect_problem(self.client.delete(path, old), 412)
        self.assertEqual(self.client.get(path).json["title"], "先")
        self.expect(self.client.patch(path, {"title": "何でも"}, "*"), 200)
        self.expect_problem(self.client.patch(path, {"title": "弱い"}, f'W/{self.client.get(path).etag}'), 412)

    def test_bin_restore_purge(self):
        article = stack.article(title="捨てる記事")
        path = f"/api/v1/articles/{article['id']}"
        in_bin = lambda: [item["id"] for item in self.client.pages("/api/v1/bin", limit=200)]
        self.expect_problem(self.client.delete(f"/api/v1/bin/{article['id']}"), (404, 409))  # not in the bin
        self.expect(self.client.delete(path), 204)
        self.expect_problem(self.client.get(path), 404, "not-found")
        self.assertEqual(self.expect(self.client.get(f"/api/v1/bin/{article['id']}"), 200).json["body"], article["body"])
        self.expect_problem(self.client.patch(path, {"title": "死者"}, "*"), 404)
        self.expect_problem(self.client.delete(path), 404)
        self.assertIn(article["id"], in_bin())
        self.assertNotIn(article["id"], [item["id"] for item in self.client.pages("/api/v1/articles", limit=200)])
        restored = self.expect(self.client.post(f"{path}/restore"), 200)
        self.assertEqual((restored.json["title"], restored.json["body"]), (article["title"], article["body"]))
        self.expect(self.client.get(path), 200)
        self.expect_problem(self.client.get(f"/api/v1/bin/{article['id']}"), 404)
        self.assertNotIn(article["id"], in_bin())
        self.expect(self.client.delete(path), 204)
        self.expect(self.client.delete(f"/api/v1/bin/{article['id']}"), 204)
        self.expect_problem(self.client.post(f"{path}/restore"), 404)
        self.assertNotIn(article["id"], in_bin())

    def test_slug_is_unique_and_made_from_the_title(self):
        first = stack.article(title="Same Title Here")
        second = stack.article(title="Same Title Here")
        self.assertNotEqual(first["slug"], second["slug"])
        self.expect_problem(self.client.post("/api/v1/articles", {"title": "x", "type": "other", "body": "", "slug": first["slug"]}), 409)

    def test_list_filters_sorts_and_pages_without_gap_or_double(self):
        made = [stack.article(title=f"頁 {n:02}", type="release", tags=["paging"])["id"] for n in range(23)]
        pages = [item["id"] for item in self.client.pages("/api/v1/articles", tag="paging", limit=5, sort="id")]
        self.assertEqual(pages, made)
        backwards = [item["id"] for item in self.client.pages("/api/v1/articles", tag="paging", limit=7, sort="-id")]
        self.assertEqual(backwards, made[::-1])
        newest = [item["id"] for item in self.client.pages("/api/v1/articles", tag="paging", limit=4)]
        self.assertEqual(sorted(newest), made)
        items = self.client.get("/api/v1/articles", tag="paging", type="release", status="published", limit=200).json["items"]
        self.assertEqual(len(items), 23)
        self.assertNotIn("body", items[0])
        self.assertEqual(self.client.get("/api/v1/articles", tag="paging", type="incident").json["items"], [])
        self.assertEqual(self.client.get("/api/v1/articles", tag="paging", status="draft").json["items"], [])
        first = self.client.get("/api/v1/articles", tag="paging", limit=5)
        self.assertIn('rel="next"', first.headers.get("Link", ""))
        self.assertIn("cursor=", first.headers["Link"])

    def test_idempotency_key_gives_the_same_answer(self):
        body = {"title": "一度だけ", "type": "request", "body": "x", "tags": ["once"]}
        first = self.expect(self.client.post("/api/v1/articles", body, **{"Idempotency-Key": "key-1"}), 201)
        again = self.expect(self.client.post("/api/v1/articles", body, **{"Idempotency-Key": "key-1"}), 201)
        self.assertEqual(again.json, first.json)
        self.assertEqual(len(self.client.get("/api/v1/articles", tag="once").json["items"]), 1)
        self.expect_problem(self.client.post("/api/v1/articles", body | {"title": "別"}, **{"Idempotency-Key": "key-1"}), (409, 422))
        other = self.expect(self.client.post("/api/v1/articles", body, **{"Idempotency-Key": "key-2"}), 201)
        self.assertNotEqual(other.json["id"], first.json["id"])
        self.expect_problem(self.client.post("/api/v1/articles", body, **{"Idempotency-Key": "k" * 201}), 400)

    def test_views_are_counted_for_people(self):
        article = stack.article(title="見られる記事")
        path = f"/api/v1/articles/{article['id']}"
        person = stack.login("admin", stack.admin_password)
        before = self.client.get(f"{path}/stats").json
        self.expect(person.request("GET", path, headers={"Cookie": person.cookie}), 200)
        from stack import wait_for
        wait_for(lambda: self.client.get(f"{path}/stats").json["views"] == before["views"] + 1, 5, "one more view")

    def test_render_is_safe_html(self):
        article = stack.article(body="# 見出し\n\n<script>alert(1)</script>\n\n[x](javascript:alert(1))\n\n| a | b |\n|---|---|\n| 1 | 2 |\n")
        html = self.expect(self.client.get(f"/api/v1/articles/{article['id']}/render"), 200)
        text = html.body.decode()
        self.assertIn("見出し", text)
        self.assertIn("<h1", text)
        self.assertIn("<table", text)
        self.assertNotIn("<script", text)
        self.assertNotIn("javascript:", text)

    def test_statistics_count(self):
        before = self.client.get("/api/v1/statistics").json
        stack.article(type="change")
        after = self.client.get("/api/v1/statistics").json
        self.assertEqual(after["articles"], before["articles"] + 1)
        count = lambda figures: {row["key"]: row["count"] for row in figures["by_type"]}.get("change", 0)
        self.assertEqual(count(after), count(before) + 1)


class Revisions(Case):
    def setUp(self):
        self.client = stack.client()
        self.article = stack.article(title="第一版", body="一行目\n二行目\n三行目\n")
        self.path = f"/api/v1/articles/{self.article['id']}"
        self.expect(self.client.patch(self.path, {"title": "第二版", "body": "一行目\n変えた行\n三行目\n", "reason": "訂正"}, "*"), 200)

    def test_list_and_read(self):
        items = self.client.get(f"{self.path}/revisions").json["items"]
        self.assertEqual([item["version"] for item in items], [2, 1])
        self.assertEqual(items[0]["reason"], "訂正")
        self.assertEqual(items[0]["created_by"], "admin")
        first = self.expect(self.client.get(f"{self.path}/revisions/1"), 200).json
        self.assertEqual((first["title"], first["body"]), ("第一版", "一行目\n二行目\n三行目\n"))
        self.expect_problem(self.client.get(f"{self.path}/revisions/9"), 404)

    def test_diff(self):
        diff = self.expect(self.client.get(f"{self.path}/revisions/2/diff"), 200).json
        self.assertEqual((diff["from"], diff["to"]), (1, 2))
        lines = diff["diff"].splitlines()
        self.assertIn("-二行目", lines)
        self.assertIn("+変えた行", lines)
        self.assertNotIn("-一行目", lines)
        from_nothing = self.expect(self.client.get(f"{self.path}/revisions/1/diff"), 200).json
        self.assertEqual(from_nothing["from"], 0)
        self.expect(self.client.patch(self.path, {"title": "第三版"}, "*"), 200)
        wide = self.expect(self.client.get(f"{self.path}/revisions/3/diff", **{"from": 1}), 200).json
        self.assertEqual((wide["from"], wide["to"]), (1, 3))

    def test_restore_makes_a_new_revision(self):
        restored = self.expect(self.client.post(f"{self.path}/revisions/1/restore"), 200).json
        self.assertEqual((restored["title"], restored["body"], restored["version"]), ("第一版", "一行目\n二行目\n三行目\n", 3))
        self.assertEqual([item["version"] for item in self.client.get(f"{self.path}/revisions").json["items"]], [3, 2, 1])

    def test_pages(self):
        for n in range(5):
            self.expect(self.client.patch(self.path, {"body": f"{n}"}, "*"), 200)
        versions = [item["version"] for item in self.client.pages(f"{self.path}/revisions", limit=3)]
        self.assertEqual(versions, list(range(7, 0, -1)))


class Relations(Case):
    def test_typed_relations(self):
        client = stack.client()
        incident, problem = stack.article(type="incident", title="事象"), stack.article(type="problem", title="原因")
        path = f"/api/v1/articles/{incident['id']}/relations"
        made = self.expect(client.post(path, {"type": "incident_problem", "to_id": problem["id"]}), 201).json
        self.assertEqual((made["from_id"], made["to_id"]), (incident["id"], problem["id"]))
        self.expect_problem(client.post(path, {"type": "incident_problem", "to_id": problem["id"]}), 409)
        for article in (incident, problem):  # seen from both ends
            items = client.get(f"/api/v1/articles/{article['id']}/relations").json["items"]
            self.assertEqual([(item["id"], item["from_title"], item["to_title"]) for item in items], [(made["id"], "事象", "原因")])
        self.expect_problem(client.post(path, {"type": "related", "to_id": 999999}), (404, 422))
        self.expect_problem(client.post(path, {"type": "related", "to_id": incident["id"]}), (409, 422))
        self.expect_problem(client.post(path, {"type": "friend", "to_id": problem["id"]}), 422)
        self.expect_problem(client.post(f"/api/v1/articles/{problem['id']}/relations",
                                        {"type": "incident_problem", "to_id": incident["id"]}), (409, 422))
        self.expect(client.delete(f"{path}/{made['id']}"), 204)
        self.expect_problem(client.delete(f"{path}/{made['id']}"), 404)
        self.assertEqual(client.get(path).json["items"], [])


class FeedbackAndComments(Case):
    def setUp(self):
        self.client = stack.client()
        self.article = stack.article()
        self.path = f"/api/v1/articles/{self.article['id']}"

    def test_feedback(self):
        self.expect(self.client.post(f"{self.path}/feedback", {"rating": 5, "kind": "helpful", "comment": "助かりました"}), 201)
        self.expect(self.client.post(f"{self.path}/feedback", {"rating": 2}), 201)
        self.expect(self.client.post(f"{self.path}/feedback", {"kind": "incorrect"}), 201)
        items = self.client.get(f"{self.path}/feedback").json["items"]
        self.assertEqual(len(items), 3)
        self.assertEqual(items[-1]["comment"], "助かりました")
        stats = self.client.get(f"{self.path}/stats").json
        self.assertEqual((stats["feedback_count"], stats["rating_count"], stats["rating_average"]), (3, 2, 3.5))
        for wrong in ({}, {"rating": 0}, {"rating": 6}, {"kind": "meh"}, {"rating": 3.5}, {"comment": "だけ"}):
            self.expect_problem(self.client.post(f"{self.path}/feedback", wrong), 422)
        self.assertEqual(len(self.client.get(f"{self.path}/feedback").json["items"]), 3)

    def test_comments(self):
        first = self.expect(self.client.post(f"{self.path}/comments", {"body": "一つ目 <b>太字</b>"}), 201).json
        self.assertEqual(first["body"], "一つ目 <b>太字</b>")
        self.expect(self.client.post(f"{self.path}/comments", {"body": "二つ目"}), 201)
        self.assertEqual([item["body"] for item in self.client.get(f"{self.path}/comments").json["items"]],
                         ["一つ目 <b>太字</b>", "二つ目"])
        self.expect_problem(self.client.post(f"{self.path}/comments", {"body": ""}), 422)
        self.expect(self.client.delete(f"{self.path}/comments/{first['id']}"), 204)
        self.expect_problem(self.client.delete(f"{self.path}/comments/{first['id']}"), 404)
        self.assertEqual(self.client.get(f"{self.path}/stats").json["comment_count"], 1)

    def test_only_the_author_or_an_admin_removes_a_comment(self):
        one, two = (stack.client(stack.make_user(name, "viewer")[1]) for name in ("comment-one", "comment-two"))
        comment = self.expect(one.post(f"{self.path}/comments", {"body": "私の"}), 201).json
        self.expect_problem(two.delete(f"{self.path}/comments/{comment['id']}"), 403)
        self.expect(one.delete(f"{self.path}/comments/{comment['id']}"), 204)
        comment = self.expect(one.post(f"{self.path}/comments", {"body": "また"}), 201).json
        self.expect(self.client.delete(f"{self.path}/comments/{comment['id']}"), 204)


class Tags(Case):
    def test_colours_counts_rename_and_removal(self):
        client = stack.client()
        tag = self.expect(client.post("/api/v1/tags", {"name": "ネットワーク", "color": "#00aaff", "category": "分野"}), 201).json
        self.expect_problem(client.post("/api/v1/tags", {"name": "ネットワーク"}), 409)
        self.expect_problem(client.post("/api/v1/tags", {"name": "色", "color": "blue"}), 422)
        self.expect_problem(client.post("/api/v1/tags", {"name": " 空白 "}), 422)
        article = stack.article(tags=["ネットワーク"])
        find = lambda: {row["name"]: row for row in client.get("/api/v1/tags").json["items"]}
        self.assertEqual((find()["ネットワーク"]["color"], find()["ネットワーク"]["article_count"]), ("#00aaff", 1))
        self.expect(client.patch(f"/api/v1/tags/{tag['id']}", {"name": "通信", "color": None}), 200)
        self.assertNotIn("ネットワーク", find())
        self.assertFalse(find()["通信"].get("color"))
        self.assertEqual(client.get(f"/api/v1/articles/{article['id']}").json["tags"], ["通信"])
        self.expect(client.delete(f"/api/v1/tags/{tag['id']}"), 204)
        self.assertNotIn("通信", find())
        self.assertEqual(client.get(f"/api/v1/articles/{article['id']}").json.get("tags", []), [])
        self.expect_problem(client.delete(f"/api/v1/tags/{tag['id']}"), 404)


class Templates(Case):
    def test_every_itsm_type_has_one_in_both_languages(self):
        client = stack.client()
        items = client.get("/api/v1/templates").json["items"]
        self.assertEqual({(item["type"], item["language"]) for item in items},
                         {(kind, language) for kind in ("incident", "problem", "change", "release", "request", "other")
                          for language in ("ja", "en")})
        self.assertTrue(all("#" in item["body"] for item in items))
        changed = {"type": "incident", "language": "ja", "title": "障害: ", "body": "## 影響範囲\n"}
        self.expect(client.put("/api/v1/templates", changed), 200)
        self.assertIn(changed, client.get("/api/v1/templates").json["items"])
