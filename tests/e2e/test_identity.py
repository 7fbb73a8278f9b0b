"""Who may do what: roles on every route, sessions and their cookie, tokens, accounts."""

import base64
import concurrent.futures
import http.client
import time
import unittest

from case import Case
from stack import Stack, wait_for

stack = None
NONE, VIEWER, EDITOR, ADMIN = range(4)

# What the product promises, written here a second time: the lowest role for each route.
ROLES = {
    "/api/v1/articles": {"get": VIEWER, "post": EDITOR},
    "/api/v1/articles/by-slug/{slug}": {"get": VIEWER},
    "/api/v1/articles/{id}": {"get": VIEWER, "put": EDITOR, "patch": EDITOR, "delete": EDITOR},
    "/api/v1/articles/{id}/restore": {"post": EDITOR},
    "/api/v1/articles/{id}/stats": {"get": VIEWER},
    "/api/v1/articles/{id}/render": {"get": VIEWER},
    "/api/v1/articles/{id}/revisions": {"get": VIEWER},
    "/api/v1/articles/{id}/revisions/{version}": {"get": VIEWER},
    "/api/v1/articles/{id}/revisions/{version}/diff": {"get": VIEWER},
    "/api/v1/articles/{id}/revisions/{version}/restore": {"post": EDITOR},
    "/api/v1/articles/{id}/relations": {"get": VIEWER, "post": EDITOR},
    "/api/v1/articles/{id}/relations/{relation_id}": {"delete": EDITOR},
    "/api/v1/articles/{id}/feedback": {"get": VIEWER, "post": VIEWER},
    "/api/v1/articles/{id}/comments": {"get": VIEWER, "post": VIEWER},
    "/api/v1/articles/{id}/comments/{comment_id}": {"delete": VIEWER},
    "/api/v1/articles/{id}/attachments": {"get": VIEWER, "post": EDITOR},
    "/api/v1/articles/{id}/attachments/{attachment_id}": {"get": VIEWER, "delete": EDITOR},
    "/api/v1/articles/{id}/attachments/{attachment_id}/content": {"get": VIEWER},
    "/api/v1/bin": {"get": EDITOR},
    "/api/v1/bin/{id}": {"get": EDITOR, "delete": ADMIN},
    "/api/v1/imports": {"post": EDITOR},
    "/api/v1/search": {"get": VIEWER},
    "/api/v1/suggest": {"get": VIEWER},
    "/api/v1/index/rebuild": {"post": ADMIN},
    "/api/v1/tags": {"get": VIEWER, "post": EDITOR},
    "/api/v1/tags/{id}": {"patch": ADMIN, "delete": ADMIN},
    "/api/v1/templates": {"get": VIEWER, "put": ADMIN},
    "/api/v1/spaces": {"get": VIEWER, "post": ADMIN},
    "/api/v1/spaces/{id}": {"patch": ADMIN, "delete": ADMIN},
    "/api/v1/groups": {"get": ADMIN, "post": ADMIN},
    "/api/v1/groups/{id}": {"patch": ADMIN, "delete": ADMIN},
    "/api/v1/users": {"get": ADMIN, "post": ADMIN},
    "/api/v1/users/me": {"get": VIEWER},
    "/api/v1/users/me/password": {"put": VIEWER},
    "/api/v1/users/me/second-factor": {"post": VIEWER, "put": VIEWER, "delete": VIEWER},
    "/api/v1/users/{id}": {"get": ADMIN, "patch": ADMIN},
    "/api/v1/users/{id}/hand-over": {"post": ADMIN},
    "/api/v1/users/{user_id}/sessions": {"get": ADMIN, "delete": ADMIN},
    "/api/v1/tokens": {"get": VIEWER, "post": VIEWER},
    "/api/v1/tokens/{id}": {"delete": VIEWER},
    "/api/v1/sessions": {"get": VIEWER, "delete": VIEWER},
    "/api/v1/sessions/{id}": {"delete": VIEWER},
    "/api/v1/session": {"get": VIEWER, "post": NONE, "delete": VIEWER},
    "/api/v1/audit": {"get": ADMIN},
    "/api/v1/audit/export": {"get": ADMIN},
    "/api/v1/audit/heads": {"get": ADMIN},
    "/api/v1/audit/key": {"get": ADMIN},
    "/api/v1/statistics": {"get": VIEWER},
    "/api/v1/status": {"get": ADMIN},
    "/api/v1/backups": {"get": ADMIN, "post": ADMIN},
    "/api/v1/backups/verify": {"post": ADMIN},
    "/api/v1/openapi.json": {"get": NONE},
    "/health": {"get": NONE},
    "/ready": {"get": NONE},
}


def setUpModule():
    global stack
    stack = unittest.enterModuleContext(Stack())


class Roles(Case):
    def test_the_description_lists_exactly_these_routes(self):
        document = self.expect(stack.client(None).get("/api/v1/openapi.json"), 200).json
        self.assertTrue(document["openapi"].startswith("3.1"))
        verbs = {"get", "put", "post", "patch", "delete", "options", "head", "trace"}
        described = {path: set(item) & verbs for path, item in document["paths"].items()}
        self.assertEqual(described, {path: set(methods) for path, methods in ROLES.items()})

    def test_every_route_and_every_role(self):
        tokens = {NONE: None}
        for role, name in ((VIEWER, "viewer"), (EDITOR, "editor"), (ADMIN, "admin")):
            tokens[role] = stack.make_user(f"role-{name}", name)[1]
        wrong = []
        for path, methods in ROLES.items():
            for method, lowest in methods.items():
                for role, token in tokens.items():
                    if (path, method) == ("/api/v1/session", "delete") and role >= lowest:
                        token = self.spare_token(role)  # what it is called with ends
                    client = stack.client(token)
                    concrete = path.replace("{slug}", "no-such-slug").replace("{version}", "1")
                    for name in ("id", "relation_id", "comment_id", "attachment_id"):
                        concrete = concrete.replace("{%s}" % name, "999999")
                    body = {} if method in ("post", "put", "patch") else None
                    answer = client.request(method.upper(), concrete, body, {"If-Match": "*"} if method in ("put", "patch") else None)
                    if role >= lowest:
                        if (path, method) == ("/api/v1/session", "post"):
                            fine = answer.status == 422
                        else:
                            fine = answer.status not in (401, 403) and answer.status < 500
                    else:
                        fine = answer.status == (401 if role == NONE else 403)
                        fine = fine and answer.headers.get_content_type() == "application/problem+json"
                        fine = fine and (role != NONE or "Bearer" in answer.headers.get("WWW-Authenticate", ""))
                    if not fine:
                        wrong.append(f"{method.upper()} {concrete} as role {role}: {answer}")
                    client.close()
        self.assertEqual(wrong, [])

    def spare_token(self, role):
        return stack.make_user(f"spare-{role}", ("", "viewer", "editor", "admin")[role])[1]

    def test_a_disguised_path_is_not_another_route(self):
        viewer = stack.client(stack.make_user("disguise", "viewer")[1])
        for path in ("/api/v1//users", "/api/v1/./users", "/api/v1/tags/../users", "/API/v1/users", "/api/v1/users/", "/api/v1/%75sers",
                     "/api/v1/users;x", "/api/v1/users%00", "/api/v1/users%2f", "//localhost/api/v1/users"):
            self.expect(viewer.get(path), (400, 403, 404))


class Tokens(Case):
    def test_a_token_lowers_the_role(self):
        user, _ = stack.make_user("lowered", "editor")
        made = self.expect(stack.client().post("/api/v1/tokens", {"name": "read only", "user_id": user, "role": "viewer"}), 201).json
        client = stack.client(made["token"])
        self.expect(client.get("/api/v1/articles"), 200)
        self.expect_problem(client.post("/api/v1/articles", {"title": "x", "type": "other", "body": ""}), 403)
        self.expect_problem(client.post("/api/v1/tokens", {"name": "up", "role": "admin"}), (403, 422))

    def test_nobody_raises_himself(self):
        _, token = stack.make_user("climber", "editor")
        client = stack.client(token)
        self.expect_problem(client.post("/api/v1/tokens", {"name": "up", "role": "admin"}), (403, 422))
        self.expect_problem(client.post("/api/v1/tokens", {"name": "for the admin", "user_id": 1}), (403, 422))

    def test_revocation_is_immediate(self):
        _, token = stack.make_user("revoked", "viewer")
        client = stack.client(token)
        self.expect(client.get("/api/v1/articles"), 200)
        [row] = client.get("/api/v1/tokens").json["items"]
        self.assertNotIn(token, str(row))
        self.expect(client.delete(f"/api/v1/tokens/{row['id']}"), 204)
        for _ in range(5):
            self.expect_problem(client.get("/api/v1/articles"), 401, "unauthenticated")

    def test_revocation_by_the_operator_is_immediate_on_every_loop(self):
        _, token = stack.make_user("revoked-outside", "viewer")
        clients = [stack.client(token) for _ in range(8)]
        for client in clients:
            self.expect(client.get("/api/v1/articles"), 200)
        identity = clients[0].get("/api/v1/tokens").json["items"][0]["id"]
        self.expect(stack.client().delete(f"/api/v1/tokens/{identity}"), 204)
        for client in clients:
            self.expect_problem(client.get("/api/v1/articles"), 401)

    def test_others_tokens_are_not_seen_nor_revoked(self):
        _, one = stack.make_user("owner-one", "viewer")
        _, two = stack.make_user("owner-two", "viewer")
        identity = stack.client(one).get("/api/v1/tokens").json["items"][0]["id"]
        self.assertNotIn(identity, [row["id"] for row in stack.client(two).get("/api/v1/tokens").json["items"]])
        self.expect_problem(stack.client(two).delete(f"/api/v1/tokens/{identity}"), (403, 404))
        self.expect(stack.client(one).get("/api/v1/articles"), 200)

    def test_lifetime_has_bounds_and_an_end(self):
        client = stack.client()
        for days in (0, -1, 3651, 1.5, "1"):
            self.expect_problem(client.post("/api/v1/tokens", {"name": "x", "days": days}), 422)
        made = self.expect(client.post("/api/v1/tokens", {"name": "one day", "days": 1}), 201).json
        end = time.strptime(made["expires_at"][:19], "%Y-%m-%dT%H:%M:%S")
        left = time.mktime(end) - time.mktime(time.gmtime())
        self.assertTrue(86000 < left < 86500, made)
        # What this one makes ends with it, whatever it asks for.
        made_by_it = self.expect(stack.client(made["token"]).post("/api/v1/tokens", {"name": "ten years", "days": 3650}), 201).json
        self.assertEqual(made_by_it["expires_at"], made["expires_at"])

    def test_an_expired_token_is_refused(self):
        """The clock cannot be moved here, so the token's end is moved: in the database, with the store stopped."""
        import sqlite3
        _, token = stack.make_user("expired", "viewer")
        client = stack.client(token)
        identity = client.get("/api/v1/tokens").json["items"][0]["id"]
        stack.stop()
        database = next(path for path in stack.data_dir.rglob("*.db") if "search" not in str(path))
        connection = sqlite3.connect(database)
        with connection:
            kind = connection.execute("SELECT typeof(expires_at) FROM tokens WHERE id = ?", (identity,)).fetchone()[0]
            past = 1000 if kind == "integer" else "2001-01-01T00:00:00.000Z"
            connection.execute("UPDATE tokens SET expires_at = ? WHERE id = ?", (past, identity))
        connection.close()
        stack.start()
        self.expect_problem(client.get("/api/v1/articles"), 401)

    def test_odd_credentials(self):
        for value in ("Bearer", "Bearer ", "Bearer x", "Bearer " + "a" * 5000, "Basic YWRtaW46eA==", f"bearer  {stack.admin_token}x",
                      "Bearer mkt_" + "A" * 43, "Token x", f"Bearer {stack.admin_token}, Bearer x"):
            answer = stack.client(None).request("GET", "/api/v1/articles", headers={"Authorization": value})
            self.expect_problem(answer, 401)
            self.assertNotIn(value[-20:].encode(), answer.body)


class Accounts(Case):
    def test_disabling_ends_everything_at_once(self):
        user, token = stack.make_user("leaver", "editor")
        session = stack.login("leaver", "the password of leaver")
        client = stack.client(token)
        self.expect(client.get("/api/v1/articles"), 200)
        self.expect(stack.client().patch(f"/api/v1/users/{user}", {"disabled": True}), 200)
        self.expect_problem(client.get("/api/v1/articles"), 401)
        self.expect_problem(session.request("GET", "/api/v1/articles", headers={"Cookie": session.cookie}), 401)
        self.expect_problem(stack.client(None).post("/api/v1/session", {"name": "leaver", "password": "the password of leaver"}), 401)

    def test_a_changed_role_counts_at_once(self):
        user, token = stack.make_user("promoted", "editor")
        client = stack.client(token)
        self.expect(client.post("/api/v1/articles", {"title": "x", "type": "other", "body": ""}), 201)
        self.expect(stack.client().patch(f"/api/v1/users/{user}", {"role": "viewer"}), 200)
        self.expect_problem(client.post("/api/v1/articles", {"title": "x", "type": "other", "body": ""}), 403)

    def test_changing_one_s_password(self):
        _, token = stack.make_user("changer", "viewer")
        client = stack.client(token)
        change = {"old_password": "the password of changer", "new_password": "another good password"}
        self.expect_problem(client.put("/api/v1/users/me/password", change | {"old_password": "wrong"}), (401, 403, 422))
        self.expect_problem(client.put("/api/v1/users/me/password", change | {"new_password": "short"}), 422)
        self.expect(client.put("/api/v1/users/me/password", change), 204)
        self.expect_problem(stack.client(None).post("/api/v1/session", {"name": "changer", "password": change["old_password"]}), 401)
        stack.login("changer", change["new_password"])

    def test_names_are_unique_without_regard_to_case(self):
        stack.make_user("Suzuki", "viewer")
        self.expect_problem(stack.client().post("/api/v1/users", {"name": "suzuki", "role": "viewer", "password": "long enough"}), 409)

    def test_the_longest_name_in_any_script_can_work(self):
        name = "漢" * 99 + "𠮷"
        user_id, token = stack.make_user(name, "editor")
        client = stack.client(token)
        self.assertEqual(self.expect(client.get("/api/v1/users/me"), 200).json["name"], name)
        self.expect(client.post("/api/v1/articles", {"title": "長い名前", "type": "other", "body": ""}), 201)

    def test_no_answer_carries_a_password_or_hash(self):
        for path in ("/api/v1/users", "/api/v1/users/1", "/api/v1/users/me", "/api/v1/tokens"):
            body = stack.client().get(path).body
            self.assertNotIn(b"argon2", body)
            self.assertNotIn(stack.admin_token.encode(), body)

    def test_the_audit_log_tells(self):
        client = stack.client()
        article = stack.article(client)
        self.expect(client.delete(f"/api/v1/articles/{article['id']}"), 204)
        stack.client(None).post("/api/v1/session", {"name": "admin", "password": "wrong password"})
        rows = client.get("/api/v1/audit", limit=200).json["items"]
        self.assertTrue(any(row["action"] == "article.delete" and row["object"] == f"article/{article['id']}" and row["user"] == "admin"
                            and row["result"] == "ok" for row in rows), rows[:5])
        self.assertTrue(any(row["action"] == "auth.login" and row["result"] != "ok" for row in rows))
        self.assertNotIn("wrong password", str(rows))

    def test_secrets_are_not_in_the_log(self):
        stack.login("admin", stack.admin_password)
        text = (stack.dir / "daemons.log").read_text(errors="replace")
        self.assertNotIn(stack.admin_password, text)
        self.assertNotIn(stack.admin_token, text)


class Sessions(Case):
    def test_the_cookie_is_well_guarded(self):
        answer = self.expect(stack.client(None).post("/api/v1/session", {"name": "admin", "password": stack.admin_password}), 201)
        cookie = answer.headers["Set-Cookie"]
        name, *attributes = [part.strip() for part in cookie.split(";")]
        self.assertTrue(name.startswith("__Host-"), cookie)
        self.assertTrue({"Secure", "HttpOnly", "Path=/"} <= set(attributes), cookie)
        self.assertIn("SameSite=Lax", attributes)
        self.assertNotIn("Domain", cookie)
        self.assertEqual(answer.json["user"]["name"], "admin")
        self.assertNotIn(name.split("=")[1], answer.body.decode())  # script cannot read it from the answer either

    def test_reads_with_the_cookie_and_logout_ends_it(self):
        client = stack.login("admin", stack.admin_password)
        headers = {"Cookie": client.cookie}
        shown = self.expect(client.request("GET", "/api/v1/session", headers=headers), 200)
        self.assertEqual((shown.json["name"], shown.json["csrf_token"]), ("admin", client.own["X-CSRF-Token"]))
        left = self.expect(client.request("DELETE", "/api/v1/session", headers=client.own), 204)
        self.assertIn("Max-Age=0", left.headers["Set-Cookie"])
        self.assertEqual(left.headers["Clear-Site-Data"], '"cache", "storage"')
        self.expect_problem(client.request("GET", "/api/v1/session", headers=headers), 401)

    def test_writes_with_a_cookie_must_come_from_our_own_page(self):
        client = stack.login("admin", stack.admin_password)
        body = {"title": "x", "type": "other", "body": ""}
        ours = {"Cookie": client.cookie, "X-CSRF-Token": client.own["X-CSRF-Token"]}
        write = lambda **headers: client.request("POST", "/api/v1/articles", body, ours | {k.replace("_", "-"): v for k, v in headers.items()})
        self.expect(write(Origin=stack.url), 201)
        self.expect(write(Sec_Fetch_Site="same-origin"), 201)
        for headers in ({}, {"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec_Fetch_Site": "cross-site"},
                        {"Sec_Fetch_Site": "same-site"}, {"Origin": f"{stack.url}.evil.example"},
                        {"Origin": f"http://localhost:{stack.port}"}, {"Sec_Fetch_Site": "cross-site", "Origin": stack.url}):
            self.expect_problem(write(**headers), 403, "cross-site")

    def test_writes_with_a_cookie_must_carry_the_session_s_token(self):
        client, other = (stack.login("admin", stack.admin_password) for _ in range(2))
        token = client.own["X-CSRF-Token"]
        self.assertRegex(token, "^[A-Za-z0-9_-]{22}$")
        self.assertNotEqual(token, other.own["X-CSRF-Token"])
        routes = (("POST", "/api/v1/articles"), ("PATCH", "/api/v1/articles/1"), ("PUT", "/api/v1/users/me/password"), ("DELETE", "/api/v1/session"),
                  ("DELETE", "/api/v1/sessions"), ("POST", "/api/v1/articles/1/attachments"), ("POST", "/api/v1/users/me/second-factor"))
        wrong = (None, "", "x", token[:-1], token + "A", token.swapcase(), other.own["X-CSRF-Token"], client.cookie.split("=", 1)[1], "\xff" * 22)
        for method, path in routes:
            for given in wrong:
                answer = client.request(method, path, {}, client.own | {"X-CSRF-Token": given})
                self.expect_problem(answer, 403, "csrf-token")
        self.expect(client.request("GET", "/api/v1/articles", headers={"Cookie": client.cookie}), 200)
        self.expect(client.request("POST", "/api/v1/articles", {"title": "x", "type": "other", "body": ""}, client.own), 201)
        # A program's token comes with no cookie, so nobody can borrow it.
        self.expect(stack.client().post("/api/v1/articles", {"title": "x", "type": "other", "body": ""}), 201)

    def test_the_token_is_neither_kept_nor_compressed(self):
        client = stack.login("admin", stack.admin_password)
        user = client.request("GET", "/api/v1/session", headers={"Cookie": client.cookie, "Accept-Encoding": "gzip"})
        self.expect(stack.client().patch(f"/api/v1/users/{user.json['id']}", {"display_name": "長" * 200}), 200)
        for name in range(400):  # an answer that is long enough to be compressed
            made = stack.client().post("/api/v1/groups", {"name": f"group {name}", "members": [user.json["id"]]})
            self.expect(made, 201)
        shown = client.request("GET", "/api/v1/session", headers={"Cookie": client.cookie, "Accept-Encoding": "gzip"})
        self.assertGreater(len(shown.body), 2048)
        self.assertEqual((shown.headers["Content-Encoding"], shown.headers["Cache-Control"], shown.headers["ETag"]), (None, "no-store", None))
        as_program = stack.client().request("GET", "/api/v1/session", headers={"Accept-Encoding": "gzip"})
        self.assertEqual(as_program.headers["Content-Encoding"], "gzip")

    def test_a_program_gets_no_csrf_token(self):
        self.assertNotIn("csrf_token", self.expect(stack.client().get("/api/v1/session"), 200).json)

    def test_wrong_passwords_and_unknown_names_look_alike(self):
        one = stack.client(None).post("/api/v1/session", {"name": "admin", "password": "wrong"})
        two = stack.client(None).post("/api/v1/session", {"name": "nobody", "password": "wrong"})
        for answer in (one, two):
            self.expect_problem(answer, 401)
            self.assertNotIn("Set-Cookie", answer.headers)
        self.assertEqual(one.json["title"], two.json["title"])

    def test_a_session_is_not_fixed_by_the_client(self):
        client = stack.login("admin", stack.admin_password)
        again = client.request("POST", "/api/v1/session", {"name": "admin", "password": stack.admin_password},
                               {"Cookie": client.cookie, "Origin": stack.url})
        self.expect(again, 201)
        self.assertNotEqual(again.headers["Set-Cookie"].split(";")[0], client.cookie)

    def test_twenty_logins_at_once_take_bounded_memory(self):
        store = stack.pid("knowledge-store")
        peak = lambda: int(next(line.split()[1] for line in open(f"/proc/{store}/status") if line.startswith("VmHWM")))

        def login(_):
            return stack.client(None, timeout=60).post("/api/v1/session", {"name": "admin", "password": stack.admin_password}).status
        with concurrent.futures.ThreadPoolExecutor(20) as pool:
            statuses = list(pool.map(login, range(20)))
        self.assertTrue(set(statuses) <= {201, 429, 503}, statuses)
        self.assertIn(201, statuses)
        self.assertLess(peak(), 256 << 10)
