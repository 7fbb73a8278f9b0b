"""Pages of other origins: none may read anything, unless the configuration lists them, and then with a bearer token only."""

import os
import subprocess
import unittest

from case import Case
from stack import BIN, Stack

LISTED = ("https://portal.example", "https://tools.example:8443")
stack = None


def setUpModule():
    global stack
    stack = unittest.enterModuleContext(Stack(MIRAI_CORS_ORIGINS=",".join(LISTED)))


def cors_headers(answer):
    return sorted(name.lower() for name in answer.headers.keys() if name.lower().startswith("access-control-"))


class Cors(Case):
    def ask(self, origin, method="GET", path="/api/v1/articles", token="", **headers):
        client = stack.client(token)
        return client.request(method, path, headers={"Origin": origin} | {name.replace("_", "-"): value for name, value in headers.items()})

    def test_a_listed_origin_may_read_answers_and_problems(self):
        for origin in LISTED:
            for answer, status in ((self.ask(origin), 200), (self.ask(origin, token=None), 401), (self.ask(origin, path="/api/v1/nothing"), 404),
                                   (self.ask(origin, path="/api/v1/openapi.json"), 200)):
                self.expect(answer, status)
                self.assertEqual(answer.headers["Access-Control-Allow-Origin"], origin)
                self.assertIn("origin", answer.headers["Vary"].lower())
                self.assertIn("X-Request-Id", answer.headers["Access-Control-Expose-Headers"])
                self.assertNotIn("Access-Control-Allow-Credentials", answer.headers)

    def test_any_other_origin_learns_nothing(self):
        for origin in ("https://evil.example", "null", "*", "http://portal.example", "https://portal.example:443", "https://portal.example.evil.example",
                       "https://PORTAL.example", "https://portal.example,https://tools.example:8443", "https://portal.exampl", "", stack.url):
            for method in ("GET", "OPTIONS"):
                answer = self.ask(origin, method, Access_Control_Request_Method="GET")
                self.assertEqual(cors_headers(answer), [], origin)
                self.assertIn("origin", answer.headers["Vary"].lower())

    def test_no_origin_no_headers(self):
        answer = self.expect(stack.client().get("/api/v1/articles"), 200)
        self.assertEqual(cors_headers(answer), [])
        self.assertIn("origin", answer.headers["Vary"].lower())  # or a cache would give this answer to a listed origin

    def test_preflight_tells_the_methods_of_the_path(self):
        for path, methods in (("/api/v1/articles", {"GET", "HEAD", "POST", "OPTIONS"}), ("/api/v1/articles/1", {"GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"}),
                              ("/api/v1/sessions/1", {"DELETE", "OPTIONS"})):
            answer = self.ask(LISTED[0], "OPTIONS", path, None, Access_Control_Request_Method="PUT", Access_Control_Request_Headers="authorization,if-match")
            self.expect(answer, 204)
            self.assertEqual({name.strip() for name in answer.headers["Access-Control-Allow-Methods"].split(",")}, methods)
            allowed = {name.strip().lower() for name in answer.headers["Access-Control-Allow-Headers"].split(",")}
            self.assertTrue({"authorization", "content-type", "if-match", "idempotency-key"} <= allowed)
            self.assertNotIn("cookie", allowed)
            self.assertNotIn("x-csrf-token", allowed)
            self.assertLessEqual(int(answer.headers["Access-Control-Max-Age"]), 3600)
            self.assertEqual(answer.headers["Access-Control-Allow-Origin"], LISTED[0])
        self.expect_problem(self.ask(LISTED[0], "OPTIONS", "/api/v1/nothing", None, Access_Control_Request_Method="GET"), 404)

    def test_the_session_is_of_no_use_to_a_listed_origin(self):
        browser = stack.login("admin", stack.admin_password)
        for extra in ({}, {"X-CSRF-Token": browser.own["X-CSRF-Token"]}, {"Sec-Fetch-Site": "cross-site"}):
            answer = browser.request("POST", "/api/v1/articles", {"title": "x", "type": "other", "body": ""},
                                     {"Cookie": browser.cookie, "Origin": LISTED[0]} | extra)
            self.expect_problem(answer, 403, "cross-site")
        login = stack.client(None).post("/api/v1/session", {"name": "admin", "password": stack.admin_password}, Origin=LISTED[0])
        self.expect_problem(login, 403, "cross-site")

    def test_compression_keeps_vary(self):
        for n in range(30):
            stack.article(title=f"記事 {n}")
        answer = self.ask(LISTED[0], Accept_Encoding="gzip")
        self.assertEqual(answer.headers["Content-Encoding"], "gzip")
        vary = ",".join(answer.headers.get_all("Vary")).lower()
        self.assertIn("origin", vary)
        self.assertIn("accept-encoding", vary)


class Configuration(Case):
    def test_only_exact_https_origins_are_taken(self):
        def check(value):
            environment = {"PATH": os.environ["PATH"], "MIRAI_CORS_ORIGINS": value}
            return subprocess.run([BIN / "mirai-gateway", "--check-config"], env=environment, capture_output=True, text=True)
        for good in ("https://a.example", "https://a.example,https://b.example:8443", "https://[2001:db8::1]:8443", "https://192.0.2.1"):
            self.assertEqual(check(good).returncode, 0, good)
        for bad in ("*", "null", "http://a.example", "https://*.example", "https://a.example/", "https://a.example:443", "https://A.example", "a.example",
                    "https://", "https://a.example, https://b.example", "https://a.example,", ",", "https://a@b.example", "https://a.example:0",
                    "https://a.example:65536", "https://a.example:08443", "https://a.example:", "https://[::1", "https://漢字.example", "https://a.example#x"):
            done = check(bad)
            self.assertNotEqual(done.returncode, 0, bad)
            self.assertIn("MIRAI_CORS_ORIGINS", done.stderr + done.stdout)


class Unlisted(Case):
    def test_without_a_list_there_is_not_a_trace(self):
        with Stack() as plain:
            for method in ("GET", "OPTIONS"):
                answer = plain.client().request(method, "/api/v1/articles", headers={"Origin": LISTED[0], "Access-Control-Request-Method": "GET"})
                self.assertEqual(cors_headers(answer), [])
                self.assertNotIn("Vary", answer.headers)
