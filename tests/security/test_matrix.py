"""Every route × everyone who may knock: the product's own route table against what it promises, written here a second time."""

import collections
import json
import re
import subprocess
import unittest
from urllib.parse import quote

from case import Case
from people import age_everything_of
from stack import BIN, Stack

stack = None
NONE, VIEWER, EDITOR, ADMIN = range(4)
NAMES = ("none", "viewer", "editor", "admin")
MISSING = {"slug": "no-such-slug", "version": "1", "name": "app.js"}  # any other parameter: an id that nothing has

# role: the lowest that is let in. status: what whoever is let in hears, of things that do not exist, with `body` or `query`.
# whose: what the route's path names, and so whose business it is (see OtherPeoplesThings). ends: the session that asks.
Row = collections.namedtuple("Row", "role status body query whose ends", defaults=(None, "", None, False))

TEXT = {"title": "行列", "type": "other", "body": "本文"}
ROWS = {
    "GET /api/v1/articles": Row(VIEWER, 200),
    "POST /api/v1/articles": Row(EDITOR, 201, TEXT),
    "GET /api/v1/articles/by-slug/{slug}": Row(VIEWER, 404, whose="article"),
    "GET /api/v1/articles/{id}": Row(VIEWER, 404, whose="article"),
    "PUT /api/v1/articles/{id}": Row(EDITOR, 404, TEXT, whose="article"),
    "PATCH /api/v1/articles/{id}": Row(EDITOR, 404, {"title": "奪った"}, whose="article"),
    "DELETE /api/v1/articles/{id}": Row(EDITOR, 404, whose="article"),
    "POST /api/v1/articles/{id}/restore": Row(EDITOR, 404, {}, whose="article"),
    "GET /api/v1/articles/{id}/stats": Row(VIEWER, 404, whose="article"),
    "GET /api/v1/articles/{id}/render": Row(VIEWER, 404, whose="article"),
    "GET /api/v1/articles/{id}/revisions": Row(VIEWER, 404, whose="article"),
    "GET /api/v1/articles/{id}/revisions/{version}": Row(VIEWER, 404, whose="article"),
    "GET /api/v1/articles/{id}/revisions/{version}/diff": Row(VIEWER, 404, whose="article"),
    "POST /api/v1/articles/{id}/revisions/{version}/restore": Row(EDITOR, 404, {}, whose="article"),
    "GET /api/v1/articles/{id}/relations": Row(VIEWER, 404, whose="article"),
    "POST /api/v1/articles/{id}/relations": Row(EDITOR, 404, {"type": "related", "to_id": 1}, whose="article"),
    "DELETE /api/v1/articles/{id}/relations/{relation_id}": Row(EDITOR, 404, whose="article"),
    "GET /api/v1/articles/{id}/feedback": Row(VIEWER, 404, whose="article"),
    "POST /api/v1/articles/{id}/feedback": Row(VIEWER, 404, {"rating": 1}, whose="article"),
    "GET /api/v1/articles/{id}/comments": Row(VIEWER, 404, whose="article"),
    "POST /api/v1/articles/{id}/comments": Row(VIEWER, 404, {"body": "x"}, whose="article"),
    "DELETE /api/v1/articles/{id}/comments/{comment_id}": Row(VIEWER, 404, whose="article"),
    "GET /api/v1/articles/{id}/attachments": Row(VIEWER, 404, whose="article"),
    "POST /api/v1/articles/{id}/attachments": Row(EDITOR, 404, b"bytes", "?name=x.txt", whose="article"),
    "GET /api/v1/articles/{id}/attachments/{attachment_id}": Row(VIEWER, 404, whose="article"),
    "DELETE /api/v1/articles/{id}/attachments/{attachment_id}": Row(EDITOR, 404, whose="article"),
    "GET /api/v1/articles/{id}/attachments/{attachment_id}/content": Row(VIEWER, 404, whose="article"),
    "GET /api/v1/bin": Row(EDITOR, 200),
    "GET /api/v1/bin/{id}": Row(EDITOR, 404, whose="bin"),
    "DELETE /api/v1/bin/{id}": Row(ADMIN, 404, whose="bin"),
    "POST /api/v1/imports": Row(EDITOR, 200, TEXT | {"slug": "matrix-import"}),
    "GET /api/v1/search": Row(VIEWER, 200, query="?q=x"),
    "POST /api/v1/search": Row(VIEWER, 200, {"q": "x"}),
    "GET /api/v1/suggest": Row(VIEWER, 200, query="?q=x"),
    "GET /api/v1/articles/{id}/similar": Row(VIEWER, 404, whose="article"),
    "POST /api/v1/drafts/check": Row(EDITOR, 200, TEXT),
    "POST /api/v1/search/clicks": Row(VIEWER, 404, {"q": "x", "article_id": 999999, "position": 1}),
    "GET /api/v1/search/queries": Row(ADMIN, 200),
    "GET /api/v1/search/synonyms": Row(ADMIN, 200),
    "POST /api/v1/search/synonyms": Row(ADMIN, 422, {"terms": []}),
    "PUT /api/v1/search/synonyms/{id}": Row(ADMIN, 404, {"terms": ["x", "y"]}),
    "DELETE /api/v1/search/synonyms/{id}": Row(ADMIN, 404),
    "GET /api/v1/search/words": Row(ADMIN, 200),
    "POST /api/v1/search/words": Row(ADMIN, 422, {"surface": ""}),
    "DELETE /api/v1/search/words/{id}": Row(ADMIN, 404),
    "POST /api/v1/index/rebuild": Row(ADMIN, 202, {}),
    "GET /api/v1/tags": Row(VIEWER, 200),
    "POST /api/v1/tags": Row(EDITOR, 422, {"name": ""}),
    "PATCH /api/v1/tags/{id}": Row(ADMIN, 404, {"name": "x"}),
    "DELETE /api/v1/tags/{id}": Row(ADMIN, 404),
    "GET /api/v1/templates": Row(VIEWER, 200),
    "PUT /api/v1/templates": Row(ADMIN, 422, {"type": "other"}),
    "GET /api/v1/spaces": Row(VIEWER, 200),
    "POST /api/v1/spaces": Row(ADMIN, 422, {"name": ""}),
    "PATCH /api/v1/spaces/{id}": Row(ADMIN, 404, {"description": "x"}),
    "DELETE /api/v1/spaces/{id}": Row(ADMIN, 404),
    "GET /api/v1/groups": Row(ADMIN, 200),
    "POST /api/v1/groups": Row(ADMIN, 422, {"name": ""}),
    "PATCH /api/v1/groups/{id}": Row(ADMIN, 404, {"members": []}),
    "DELETE /api/v1/groups/{id}": Row(ADMIN, 404),
    "GET /api/v1/users": Row(ADMIN, 200),
    "POST /api/v1/users": Row(ADMIN, 422, {"name": "x"}),
    "GET /api/v1/users/me": Row(VIEWER, 200),
    "PUT /api/v1/users/me/password": Row(VIEWER, 422, {"old_password": "wrong"}),
    "GET /api/v1/users/{id}": Row(ADMIN, 404),
    "PATCH /api/v1/users/{id}": Row(ADMIN, 404, {"display_name": "x"}),
    "GET /api/v1/tokens": Row(VIEWER, 200),
    "POST /api/v1/tokens": Row(VIEWER, 422, {"name": ""}),
    "DELETE /api/v1/tokens/{id}": Row(VIEWER, 404, whose="token"),
    "GET /api/v1/session": Row(VIEWER, 200),
    "POST /api/v1/session": Row(NONE, 401, {"name": "nobody", "password": "wrong password"}),
    "DELETE /api/v1/session": Row(VIEWER, 204, ends=True),
    "GET /api/v1/audit": Row(ADMIN, 200),
    "GET /api/v1/statistics": Row(VIEWER, 200),
    "GET /api/v1/status": Row(ADMIN, 200),
    "GET /api/v1/backups": Row(ADMIN, 200),
    "POST /api/v1/backups": Row(ADMIN, 201, {}),
    "POST /api/v1/backups/verify": Row(ADMIN, 404, {"name": "no-such-snapshot"}),
    "GET /api/v1/openapi.json": Row(NONE, 200),
    "GET /health": Row(NONE, 200),
    "GET /ready": Row(NONE, 200),
    "GET /": Row(NONE, 200),
    "GET /assets/{name}": Row(NONE, 200),
    "POST /api/v1/users/me/second-factor": Row(VIEWER, 422, {}),
    "PUT /api/v1/users/me/second-factor": Row(VIEWER, 422, {}),
    "DELETE /api/v1/users/me/second-factor": Row(VIEWER, 422, {}),
    "POST /api/v1/users/{id}/hand-over": Row(ADMIN, 404, {"to": 1}),
    "GET /api/v1/sessions": Row(VIEWER, 200),
    "DELETE /api/v1/sessions": Row(VIEWER, 200),
    "DELETE /api/v1/sessions/{id}": Row(VIEWER, 404, whose="session"),
    "GET /api/v1/users/{user_id}/sessions": Row(ADMIN, 404, whose="session"),
    "DELETE /api/v1/users/{user_id}/sessions": Row(ADMIN, 404, whose="session"),
    "GET /api/v1/audit/export": Row(ADMIN, 200),
    "GET /api/v1/audit/heads": Row(ADMIN, 200),
    "GET /api/v1/audit/key": Row(ADMIN, 200),
}


def setUpModule():
    global stack
    stack = unittest.enterModuleContext(Stack())


def route_table():
    """The rows that the gateway is built from, hidden ones too."""
    return json.loads(subprocess.run([BIN / "mirai-reference", "--routes"], check=True, capture_output=True).stdout)


def concrete(path, **values):
    return re.sub(r"\{(\w+)\}", lambda match: quote(str(values.get(match[1], MISSING.get(match[1], 999999)))), path)


def ask(client, method, path, row, headers=None):
    headers = dict(headers or {})
    if method in ("PUT", "PATCH"):
        headers["If-Match"] = "*"
    if isinstance(row.body, bytes):
        return client.request(method, path + row.query, raw=row.body, headers=headers)
    return client.request(method, path + row.query, row.body, headers)


class Matrix(Case):
    """What does not let anyone in, is tried on all routes; so is each role."""

    @classmethod
    def setUpClass(cls):
        cls.tokens = {role: stack.make_user(f"matrix-{NAMES[role]}", NAMES[role])[1] for role in (VIEWER, EDITOR, ADMIN)}
        password = lambda name: f"the password of {name}"
        cls.bad = {"garbage": {"Authorization": "Bearer mkt_" + "A" * 43}, "no token": {"Authorization": "Bearer "}}
        disabled, token = stack.make_user("matrix-disabled", "admin")
        session = stack.login("matrix-disabled", password("matrix-disabled")).own
        assert stack.client().patch(f"/api/v1/users/{disabled}", {"disabled": True}).status == 200
        cls.bad |= {"disabled user's token": {"Authorization": f"Bearer {token}"}, "disabled user's session": session}
        revoked, token = stack.make_user("matrix-revoked", "admin")
        [row] = [row for row in stack.client().pages("/api/v1/tokens") if row["user_id"] == revoked]
        assert stack.client(token).delete(f"/api/v1/tokens/{row['id']}").status == 204
        revoked = stack.login("matrix-revoked", password("matrix-revoked"))
        ended = revoked.request("DELETE", "/api/v1/session", headers=revoked.own)
        assert ended.status == 204, ended
        cls.bad |= {"revoked token": {"Authorization": f"Bearer {token}"}, "revoked session": revoked.own}
        expired, token = stack.make_user("matrix-expired", "admin")
        session = stack.login("matrix-expired", password("matrix-expired")).own
        cls.bad |= {"expired token": {"Authorization": f"Bearer {token}"}, "expired session": session}
        stack.stop()
        age_everything_of(stack, expired)
        stack.start()

    def rows(self):
        for text, row in ROWS.items():
            method, path = text.split()
            yield method, path, row

    def test_every_route_is_expected_and_nothing_else(self):
        served = {f"{route['method']} {route['path']}": route for route in route_table()}
        self.assertEqual(sorted(served), sorted(ROWS))
        self.assertEqual({text: route["role"] for text, route in served.items()}, {text: NAMES[row.role] for text, row in ROWS.items()})

    def test_the_description_lists_what_is_served_and_not_hidden(self):
        document = self.expect(stack.client(None).get("/api/v1/openapi.json"), 200).json
        self.assertTrue(document["openapi"].startswith("3.1"))
        described = {f"{method.upper()} {path}" for path, item in document["paths"].items() for method in item}
        self.assertEqual(described, {f"{route['method']} {route['path']}" for route in route_table() if not route["hidden"]})

    def check_refused(self, wrong, who, method, path, answer):
        fine = answer.status == 401 and answer.headers.get_content_type() == "application/problem+json"
        fine = fine and answer.json["type"] == "urn:mirai:problem:unauthenticated" and "Bearer" in answer.headers.get("WWW-Authenticate", "")
        if not fine or "Set-Cookie" in answer.headers and "mks_" in answer.headers["Set-Cookie"]:
            wrong.append(f"{who}: {method} {path}: {answer}")

    def test_whoever_has_no_valid_credential_gets_in_nowhere(self):
        wrong, tries = [], 0
        for who, headers in ({"no one": {}} | self.bad).items():
            client = stack.client(None)
            for method, path, row in self.rows():
                answer = ask(client, method, concrete(path), row, headers)
                tries += 1
                if row.role > NONE:
                    self.check_refused(wrong, who, method, path, answer)
                elif answer.status != row.status:
                    wrong.append(f"{who}: {method} {path}: {answer}")
        self.assertEqual(wrong, [])
        self.assertEqual(tries, len(ROWS) * (len(self.bad) + 1))

    def test_every_role_gets_in_where_it_may_and_nowhere_else(self):
        wrong = []
        for role, token in self.tokens.items():
            client = stack.client(token)
            for method, path, row in self.rows():
                if row.ends:  # the session that it is called in
                    stack.make_user(f"spare-{NAMES[role]}", NAMES[role])
                    spare = stack.login(f"spare-{NAMES[role]}", f"the password of spare-{NAMES[role]}")
                    answer = ask(spare, method, concrete(path), row, spare.own)
                else:
                    answer = ask(client, method, concrete(path), row)
                expected = row.status if role >= row.role else 403
                if answer.status != expected or (expected == 403 and answer.json["type"] != "urn:mirai:problem:forbidden"):
                    wrong.append(f"{method} {path} as {NAMES[role]}: {answer} instead of {expected}")
        self.assertEqual(wrong, [])

    def test_head_is_let_in_where_get_is(self):
        wrong = []
        for role, token in ({NONE: None} | self.tokens).items():
            client = stack.client(token)
            for method, path, row in self.rows():
                if method == "GET":
                    answer = client.request("HEAD", concrete(path) + row.query)
                    expected = row.status if role >= row.role else 401 if role == NONE else 403
                    if answer.status != expected or answer.body:
                        wrong.append(f"HEAD {path} as {NAMES[role]}: {answer} instead of {expected}")
        self.assertEqual(wrong, [])

    def test_methods_that_a_path_does_not_have(self):
        paths = collections.defaultdict(set)
        for method, path, _ in self.rows():
            paths[path].add(method)
        client = stack.client()
        for path, methods in paths.items():
            allowed = methods | {"OPTIONS"} | ({"HEAD"} if "GET" in methods else set())
            for method in ({"GET", "POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND", "get", "TRACK"}) - methods:
                answer = client.request(method, concrete(path), headers={"Content-Length": "0"})
                self.expect_problem(answer, 405, "method-not-allowed")
                self.assertEqual(set(answer.headers["Allow"].split(", ")), allowed, path)

    def test_a_method_or_path_in_a_header_is_not_one(self):
        viewer = stack.client(self.tokens[VIEWER])
        for name in ("X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"):
            self.expect(viewer.request("GET", "/api/v1/tags", headers={name: "DELETE"}), 200)
            self.expect_problem(viewer.request("POST", "/api/v1/tags", {"name": "x"}, {name: "GET"}), 403)
        for name in ("X-Original-URL", "X-Rewrite-URL", "X-Forwarded-Path", "X-Forwarded-Prefix"):
            self.expect(viewer.request("GET", "/health", headers={name: "/api/v1/users"}), 200)
            self.expect_problem(viewer.request("GET", "/api/v1/users", headers={name: "/api/v1/tags"}), 403)
        for name in ("X-User", "X-Remote-User", "X-Forwarded-User", "X-Mirai-Principal", "X-Role", "X-Client-Cert", "Remote-User"):
            self.expect_problem(stack.client(None).request("GET", "/api/v1/users", headers={name: "admin"}), 401)

    def test_a_disguised_path_is_not_another_route(self):
        viewer = stack.client(self.tokens[VIEWER])
        for path in ("/api/v1//users", "/api/v1/./users", "/api/v1/tags/../users", "/API/v1/users", "/api/v1/users/", "/api/v1/%75sers",
                     "/api/v1/users;x", "/api/v1/users%00", "/api/v1/users%2f", "//localhost/api/v1/users", "/api/v1/users%20", "/api/v1/users%09",
                     "/api/v1/users.json", "/api/v1/users/.", "/api/v1/tags/..%2fusers", "/api/v1/tags%2f..%2fusers", "/api/v1\\users",
                     "/assets/../api/v1/users", "/assets/%2e%2e/api/v1/users", "/api/v1/users%3F", "/api/v1/%E3%80%80users", "/api/v1/users%23",
                     f"https://localhost:{stack.port}/api/v1/users", "http://evil.example/api/v1/users"):
            self.expect(viewer.get(path), (400, 403, 404))


class Browsers(Case):
    """A session cookie travels by itself, so on every route that changes something it is not enough."""

    @classmethod
    def setUpClass(cls):
        stack.make_user("browser", "admin")
        cls.session = stack.login("browser", "the password of browser")
        cls.csrf_token = cls.session.own["X-CSRF-Token"]

    def test_the_cookie_from_another_site_changes_nothing(self):
        wrong = []
        for text, row in ROWS.items():
            method, path = text.split()
            if method == "GET":
                continue
            for headers in ({"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"},
                            {"Sec-Fetch-Site": "same-site", "Origin": stack.url}):
                answer = ask(self.session, method, concrete(path), row, headers | {"Cookie": self.session.cookie})
                if answer.status != 403 or not answer.json["type"].endswith(("cross-site", "csrf-token")):
                    wrong.append(f"{text} {headers}: {answer}")
        self.assertEqual(wrong, [])
        self.expect(self.session.request("GET", "/api/v1/session", headers={"Cookie": self.session.cookie}), 200)

    def test_the_cookie_without_the_csrf_token_changes_nothing(self):
        if self.csrf_token is None:
            self.skipTest("sessions are given no CSRF token")
        wrong = []
        for text, row in ROWS.items():
            method, path = text.split()
            if method == "GET" or row.role == NONE:
                continue
            for token in (None, "", "x", self.csrf_token[:-1], self.csrf_token + "x", self.csrf_token.swapcase()):
                headers = {"Cookie": self.session.cookie, "Origin": stack.url, "Sec-Fetch-Site": "same-origin", "X-CSRF-Token": token}
                answer = ask(self.session, method, concrete(path), row, headers)
                if answer.status != 403 or not answer.json["type"].endswith("csrf-token"):
                    wrong.append(f"{text} with {token}: {answer}")
        self.assertEqual(wrong, [])

    def test_another_session_s_csrf_token_is_no_use(self):
        if self.csrf_token is None:
            self.skipTest("sessions are given no CSRF token")
        stack.make_user("attacker", "viewer")
        own = stack.login("attacker", "the password of attacker").own["X-CSRF-Token"]
        headers = {"Cookie": self.session.cookie, "Origin": stack.url, "X-CSRF-Token": own}
        self.expect_problem(self.session.request("POST", "/api/v1/articles", TEXT, headers), 403, "csrf-token")

    def test_no_origin_is_allowed_by_cors(self):
        for text, row in ROWS.items():
            path = concrete(text.split()[1]) + row.query
            for origin in ("https://evil.example", "null", stack.url, "http://localhost"):
                preflight = stack.client(None).request("OPTIONS", path, headers={
                    "Origin": origin, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"})
                self.assertEqual([name for name in preflight.headers if name.lower().startswith("access-control-")], [], path)
                answer = self.session.request("HEAD", path, headers={"Cookie": self.session.cookie, "Origin": origin})
                self.assertEqual([name for name in answer.headers if name.lower().startswith("access-control-")], [], path)


class OtherPeoplesThings(Case):
    """Every route that names a thing, called with a thing that exists and is someone else's."""

    @classmethod
    def setUpClass(cls):
        owner_id, cls.owner_token = stack.make_user("owner", "editor")
        owner = cls.owner = stack.client(cls.owner_token)
        admin = stack.client()
        cls.strangers = {role: stack.client(stack.make_user(f"stranger-{NAMES[role]}", NAMES[role])[1]) for role in (VIEWER, EDITOR)}
        group = admin.post("/api/v1/groups", {"name": "秘密", "members": [owner_id]}).json["id"]
        space = admin.post("/api/v1/spaces", {"name": "秘密", "reader_groups": [group], "editor_groups": [group]}).json["id"]
        cls.open = stack.article(owner, title="公開")
        cls.open_parts = cls.add_parts(cls.open)
        kinds = {"private": {"visibility": "private"}, "group": {"visibility": "group", "group_id": group}, "space": {"space_id": space}}
        cls.articles = {kind: stack.article(owner, title=f"秘密 {kind}", **fields) for kind, fields in kinds.items()}
        cls.parts = {kind: cls.add_parts(article) for kind, article in cls.articles.items()}
        cls.binned = {kind: stack.article(owner, title=f"捨てた {kind}", **fields) for kind, fields in kinds.items()}
        for article in cls.binned.values():
            assert owner.delete(f"/api/v1/articles/{article['id']}").status == 204

    @classmethod
    def add_parts(cls, article):
        path = f"/api/v1/articles/{article['id']}"
        made = {
            "comment_id": cls.owner.post(f"{path}/comments", {"body": "秘密"}),
            "attachment_id": cls.owner.request("POST", f"{path}/attachments?name=s.txt", raw=b"secret", headers={"Content-Type": "text/plain"}),
            "relation_id": cls.owner.post(f"{path}/relations", {"type": "related", "to_id": cls.open["id"]}) if article is not cls.open else None,
        }
        return {name: answer.json["id"] for name, answer in made.items() if answer is not None} | {"id": article["id"], "slug": article["slug"]}

    def everything(self):
        """All that the owner has, as he reads it."""
        texts = []
        for parts in self.parts.values():
            path = f"/api/v1/articles/{parts['id']}"
            for below in ("", "/comments", "/attachments", "/relations", "/feedback", "/revisions"):
                texts.append(self.expect(self.owner.get(path + below), 200).body)
            texts.append(self.owner.get(f"{path}/attachments/{parts['attachment_id']}/content").body)
        for article in self.binned.values():
            texts.append(self.expect(self.owner.get(f"/api/v1/bin/{article['id']}"), 200).body)
        return texts

    def walk(self, whose, things):
        before = self.everything()
        wrong = []
        for role, client in self.strangers.items():
            for text, row in ROWS.items():
                if row.whose != whose:
                    continue
                method, path = text.split()
                for kind, parts in things.items():
                    answer = ask(client, method, concrete(path, **parts), row)
                    expected = 404 if role >= row.role else 403
                    if answer.status != expected or "秘密".encode() in answer.body or b"secret" in answer.body:
                        wrong.append(f"{text} of a {kind} one as {NAMES[role]}: {answer} instead of {expected}")
        self.assertEqual(wrong, [])
        self.assertEqual(self.everything(), before)

    def test_hidden_articles_and_what_hangs_on_them(self):
        self.walk("article", self.parts)

    def test_hidden_articles_in_the_bin(self):
        self.walk("bin", {kind: {"id": article["id"]} for kind, article in self.binned.items()})
        self.walk("article", {kind: {"id": article["id"], "slug": article["slug"]} for kind, article in self.binned.items()})

    def test_what_hangs_on_a_hidden_article_is_not_reached_through_an_open_one(self):
        wrong = []
        for kind, parts in self.parts.items():
            for text, row in ROWS.items():
                method, path = text.split()
                names = set(re.findall(r"\{(\w+)\}", path)) & {"comment_id", "attachment_id"}
                if row.whose == "article" and names:
                    answer = ask(self.strangers[EDITOR], method, concrete(path, **parts | {"id": self.open["id"]}), row)
                    if answer.status not in (403, 404) or b"secret" in answer.body:
                        wrong.append(f"{text} of a {kind} one: {answer}")
            relation = f"/api/v1/articles/{self.open['id']}/relations/{parts['relation_id']}"
            if self.strangers[EDITOR].delete(relation).status not in (403, 404):
                wrong.append(f"DELETE {relation}")
        self.assertEqual(wrong, [])

    def test_another_s_comment_on_an_open_article_stays(self):
        path = f"/api/v1/articles/{self.open['id']}/comments"
        for client in self.strangers.values():
            self.expect_problem(client.delete(f"{path}/{self.open_parts['comment_id']}"), 403)
        self.assertIn(self.open_parts["comment_id"], [row["id"] for row in self.owner.get(path).json["items"]])

    def test_another_s_open_article_is_not_changed(self):
        before = self.owner.get(f"/api/v1/articles/{self.open['id']}").json
        path = f"/api/v1/articles/{self.open['id']}"
        self.expect_problem(self.strangers[VIEWER].patch(path, {"title": "奪った"}, "*"), 403)
        self.expect_problem(self.strangers[EDITOR].patch(path, {"owner_id": 1}, "*"), (403, 422))
        self.assertEqual(self.owner.get(path).json, before)

    def test_another_s_token_is_not_seen_nor_revoked(self):
        [token] = [row for row in self.owner.get("/api/v1/tokens").json["items"] if row["kind"] == "api"]
        for client in self.strangers.values():
            self.assertNotIn(token["id"], [row["id"] for row in client.get("/api/v1/tokens").json["items"]])
            self.expect_problem(client.delete(f"/api/v1/tokens/{token['id']}"), 404)
            self.expect_problem(client.post("/api/v1/tokens", {"name": "x", "user_id": token["user_id"]}), (403, 422))
        self.expect(self.owner.get("/api/v1/users/me"), 200)

    def test_another_s_session_is_not_seen_nor_ended(self):
        session = stack.login("owner", "the password of owner")
        rows = [row for row in stack.client().pages("/api/v1/tokens", limit=200) if row["kind"] == "session" and row["user"] == "owner"]
        for client in self.strangers.values():
            for row in rows:
                self.expect_problem(client.delete(f"/api/v1/tokens/{row['id']}"), 404)
            self.assertFalse({row["id"] for row in rows} & {row["id"] for row in client.get("/api/v1/tokens").json["items"]})
        self.expect(session.request("GET", "/api/v1/session", headers={"Cookie": session.cookie}), 200)

    def test_another_s_session_by_the_routes_of_sessions(self):
        if not any(row.whose == "session" for row in ROWS.values()):
            self.skipTest("sessions have no routes")
        session = stack.login("owner", "the password of owner")
        mine = self.expect(session.request("GET", "/api/v1/sessions", headers={"Cookie": session.cookie}), 200).json["items"]
        self.walk("session", {"owner's": {"id": mine[0]["id"], "user_id": mine[0]["user_id"]}})
        self.expect(session.request("GET", "/api/v1/session", headers={"Cookie": session.cookie}), 200)
