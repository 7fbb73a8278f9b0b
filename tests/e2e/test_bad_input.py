"""Bytes that no client should send: each gets its status, nothing is half-written, every daemon stays up."""

import contextlib
import json
import socket
import time
import unittest

from case import Case
from stack import Stack

stack = None


def setUpModule():
    global stack
    stack = unittest.enterModuleContext(Stack(MIRAI_REQUEST_TIMEOUT_MS=2000))


def tls_socket(timeout=10):
    return stack.tls.wrap_socket(socket.create_connection(("127.0.0.1", stack.port), timeout), server_hostname="localhost")


def talk(data, timeout=10, shut=False):
    """Send raw bytes, return all that comes back until the server closes or falls silent."""
    received = b""
    with contextlib.suppress(OSError), tls_socket(timeout) as connection:
        connection.sendall(data)
        if shut:
            connection.unwrap()
        while chunk := connection.recv(65536):
            received += chunk
    return received


class BadInput(Case):
    def setUp(self):
        self.client = stack.client()
        self.before = self.count()

    def tearDown(self):
        self.assertEqual(self.count(), self.before, "something was written")
        self.assertEqual(self.client.get("/ready").status, 200)

    def count(self):
        return self.client.get("/api/v1/statistics").json["articles"]

    def post(self, raw, content_type="application/json", path="/api/v1/articles", method="POST"):
        return self.client.request(method, path, raw=raw, headers={"Content-Type": content_type})

    def test_malformed_json(self):
        for raw in (b"", b"{", b"}", b"[]", b"null", b"1", b'"x"', b"{'title':1}", b'{"title":"x",}', b"{}{}", b'{"title":01}',
                    b"\xef\xbb\xbf{}", b'{"a":NaN}', b'{"a":Infinity}', b'{"title":"x"} trailing', b'{"a":"\t"}', b'{"a":"\\x"}',
                    b'{"a":"\\u12"}', b"// comment\n{}", b'{"title":"a","title":"b","type":"other","body":""}'):
            problem = self.expect_problem(self.post(raw), (400, 422))
            self.assertNotIn("stack", str(problem).lower())

    def test_invalid_unicode(self):
        good = '{"title":"%s","type":"other","body":""}'
        for text in (b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf5\x80\x80\x80", b"\xe3\x81", b"\x00", b"\\u0000", b"\\ud800", b"\\udc00\\ud800",
                     b"\\ud83dx"):
            self.expect_problem(self.post((good % "@").encode().replace(b"@", text)), (400, 422))

    def test_types_ranges_and_unknown_fields(self):
        good = {"title": "x", "type": "other", "body": ""}
        for change in ({"title": 1}, {"title": None}, {"title": ""}, {"title": "x" * 301}, {"title": ["x"]}, {"type": "story"}, {"type": 1},
                       {"status": "done"}, {"tags": "x"}, {"tags": [1]}, {"tags": [""]}, {"tags": ["x" * 51]}, {"tags": [f"{n}" for n in range(51)]},
                       {"review_by": "2024-02-30"}, {"review_by": "soon"}, {"review_by": 5}, {"owner_id": "1"}, {"owner_id": 0}, {"owner_id": -1},
                       {"owner_id": 1.5}, {"owner_id": 999999}, {"space_id": 999999}, {"visibility": "group"}, {"language": "fr"},
                       {"unknown": 1}, {"id": 5}, {"version": 3}, {"summary_technical": "x" * 2001}, {"slug": ""}, {"slug": "x" * 201},
                       {"body": "x" * (1 << 20) + "x"}):
            problem = self.expect_problem(self.client.post("/api/v1/articles", good | change), (400, 404, 422))
            if answer_lists_errors := problem.get("errors"):
                member = "group_id" if "visibility" in change else next(iter(change))
                self.assertTrue(any(member in str(row) for row in answer_lists_errors), (change, problem))
        for missing in good:
            problem = self.expect_problem(self.client.post("/api/v1/articles", {k: v for k, v in good.items() if k != missing}), 422, "validation-failed")
            self.assertIn(missing, str(problem))

    def test_huge_numbers(self):
        for number in (b"9223372036854775808", b"-9223372036854775809", b"1e400", b"1" * 1000, b"1e18", b"0.1", b"-0"):
            self.expect_problem(self.post(b'{"title":"x","type":"other","body":"","owner_id":' + number + b"}"), (400, 422))
        for text in ("9223372036854775808", "1e5", "-1", "0", "0x10", "１", "+1", "1.0", "99999999999999999999", ""):
            self.expect_problem(self.client.get("/api/v1/articles", limit=text), (400, 422))
        for text in ("9223372036854775808", "-1", "0", "abc", "1.5", "1e3", "１"):
            self.expect_problem(self.client.request("GET", "/api/v1/articles/" + text.encode().decode("latin-1").replace("ï¼", "%EF%BC")
                                                    if text.isascii() else "/api/v1/articles/%EF%BC%91"), (400, 404, 422))

    def test_deep_nesting(self):
        for depth in (100, 10_000, 1_000_000):
            for opening, closing in ((b"[", b"]"), (b'{"a":', b"}")):
                self.expect_problem(self.post((opening * depth + b"1" + closing * depth)[:3_000_000]), (400, 413, 422))

    def test_a_ten_megabyte_title(self):
        answer = self.post(b'{"type":"other","body":"","title":"' + b"x" * (10 << 20) + b'"}')
        self.expect_problem(answer, 413, "too-large")

    def test_content_types(self):
        raw = json.dumps({"title": "x", "type": "other", "body": ""}).encode()
        for content_type in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/xml", "", "json"):
            self.expect_problem(self.post(raw, content_type), 415, "unsupported-media-type")
        self.expect_problem(self.client.request("GET", "/api/v1/articles", headers={"Accept": "application/xml"}), 406)

    def test_paths_and_queries(self):
        for path in ("/nowhere", "/api/v2/articles", "/api/v1", "/api/v1/articles/", "/api/v1/articles/1/2/3/4/5/6/7/8/9/10/11/12", "/%00", "/%zz",
                     "/%ff", "/..%2f..%2fetc/passwd", "/assets/..%2f..%2fetc%2fpasswd", "/assets/nothing.js", "/api/v1/articles/by-slug/%C0%AF",
                     "/" + "a" * 10000, "/api/v1/articles?" + "&".join(f"a{n}=1" for n in range(1000)), "/api/v1/articles?unknown=1",
                     "/api/v1/articles?limit=1&limit=2", "/api/v1/articles?limit=%ff", "/api/v1/articles?type=nothing", "/api/v1/articles?sort=title"):
            self.expect_problem(self.client.get(path), (400, 404, 414, 422))

    def test_bodies_do_not_come_from_the_query(self):
        """What is in a URL ends up in logs and histories, above all secrets."""
        answer = self.client.request("PUT", "/api/v1/users/me/password?old_password=a-secret-in-a-url&new_password=another")
        self.expect_problem(answer, 422)
        self.assertEqual({(error["path"], error["problem"]) for error in answer.json["errors"]},
                         {("/old_password", "unknown-field"), ("/new_password", "unknown-field")})
        self.expect_problem(self.client.post("/api/v1/articles?title=x", {"type": "incident", "body": "x"}), 422)
        self.expect_problem(self.client.request("POST", "/api/v1/session?name=admin&password=x", raw=b"{}",
                                                headers={"Content-Type": "application/json"}), 422)

    def test_cursors(self):
        good = None
        for n in range(3):
            pass
        page = self.client.get("/api/v1/articles", limit=1).json
        good = page.get("next_cursor", "AAAA")
        for cursor in ("x", "AAAA", "あ", "%", "' OR 1=1", "9" * 400, "9" * 401, good[:-1], good + "x", good[::-1], "-1"):
            for path in ("/api/v1/articles", "/api/v1/search", "/api/v1/users", "/api/v1/audit"):
                query = {"cursor": cursor} | ({"q": "x"} if "search" in path else {})
                answer = self.client.get(path, **query)
                if answer.status != 200:  # a cursor may by chance be one
                    self.expect_problem(answer, (400, 422))

    def test_sql_and_markup_are_only_text(self):
        text = "'; DROP TABLE articles; -- <img src=x onerror=alert(1)> \" \\ %s {{7*7}} ${7*7}"
        article = stack.article(title=text, body=text, tags=["'; DROP TABLE tags"])
        read = self.client.get(f"/api/v1/articles/{article['id']}").json
        self.assertEqual((read["title"], read["body"], read["tags"]), (text, text, ["'; DROP TABLE tags"]))
        self.expect(self.client.get("/api/v1/articles", tag="'; DROP TABLE tags"), 200)
        self.expect(self.client.delete(f"/api/v1/articles/{article['id']}"), 204)

    def test_all_unicode_planes_survive(self):
        text = "𠮷野家 🍣 é ﷽ \u202e rtl \U0010FFFF \u0001".replace("\u0001", "")
        article = stack.article(title="𠮷野家 🍣", body=text)
        self.assertEqual(self.client.get(f"/api/v1/articles/{article['id']}").json["body"], text)
        self.expect(self.client.delete(f"/api/v1/articles/{article['id']}"), 204)


class BrokenHttp(Case):
    def tearDown(self):
        self.assertEqual(stack.client(None).get("/ready").status, 200)

    def head(self, *lines):
        return "\r\n".join(lines + ("", "")).encode("latin-1")

    def authorised(self, *lines):
        return self.head(lines[0], "Host: localhost", f"Authorization: Bearer {stack.admin_token}", *lines[1:])

    def status(self, data, **options):
        answer = talk(data, **options)
        return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/") else None

    def test_truncated_bodies_are_not_executed(self):
        count = lambda: stack.client().get("/api/v1/statistics").json["articles"]
        before = count()
        body = b'{"title":"half","type":"other","body":""}'
        started = time.monotonic()
        for sent in (b"", body[:10], body):
            head = self.authorised("POST /api/v1/articles HTTP/1.1", "Content-Type: application/json", f"Content-Length: {len(body) + 10}")
            self.assertIn(self.status(head + sent), (None, 400, 408))
        self.assertLess(time.monotonic() - started, 20)
        chunked = self.authorised("POST /api/v1/articles HTTP/1.1", "Content-Type: application/json", "Transfer-Encoding: chunked")
        for sent in (b"5\r\n{\"tit", b"zz\r\n", b"29\r\n" + body + b"\r\n", b"FFFFFFFFFFFFFFFFF\r\n"):
            self.assertIn(self.status(chunked + sent), (None, 400, 408, 413))
        self.assertEqual(count(), before)

    def test_request_smuggling_shapes_are_refused(self):
        for lines in (("Content-Length: 5", "Transfer-Encoding: chunked"), ("Content-Length: 5", "Content-Length: 6"), ("Content-Length: -1",),
                      ("Content-Length: 5x",), ("Content-Length: 99999999999999999999",), ("Transfer-Encoding: chunked, identity",),
                      ("Transfer-Encoding: xchunked",)):
            data = self.authorised("POST /api/v1/articles HTTP/1.1", "Content-Type: application/json", *lines) + b"0\r\n\r\nGET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
            answer = talk(data, timeout=4)
            self.assertFalse(answer.startswith(b"HTTP/1.1 2"), (lines, answer[:200]))

    def test_garbage_on_the_wire(self):
        for data in (b"\x00" * 1000, b"GET\r\n\r\n", b"\r\n" * 1000, b"GET / HTTP/9.9\r\n\r\n", b"A" * 100_000, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\xff" * 1000,
                     b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"y" * 200_000 + b"\r\n\r\n",
                     b"GET / HTTP/1.1\r\n" + b"".join(b"X-%d: y\r\n" % n for n in range(500)) + b"\r\n",
                     b"GET / HTTP/1.1\r\nHost: localhost\r\nBad Header: x\r\n\r\n", b"GET / HTTP/1.1\r\nHost: localhost\r\n folded: x\r\n\r\n"):
            self.assertNotIn(self.status(data, timeout=5), (200, 500))

    def test_http1_requires_a_host(self):
        self.assertIn(self.status(self.head("GET /health HTTP/1.1"), timeout=4), (400, 200, None))

    def test_plain_http_and_random_bytes_on_the_tls_port(self):
        for data in (b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", b"\x16\x03\x01" + b"\xff" * 500, b"\x80" * 300):
            with socket.create_connection(("127.0.0.1", stack.port), 5) as connection, contextlib.suppress(OSError):
                connection.sendall(data)
                connection.settimeout(5)
                self.assertNotIn(b"200", connection.recv(4096)[:20])

    def test_pipelined_requests_are_answered_in_order(self):
        ids = [stack.article(title=f"管 {n}")["id"] for n in range(5)]
        request = lambda path, *more: self.authorised(f"GET {path} HTTP/1.1", *more)
        data = b"".join(request(f"/api/v1/articles/{identity}") for identity in ids) + request("/health", "Connection: close")
        answer = talk(data)
        found = [answer.find(f'"id":{identity},'.encode()) for identity in ids]
        self.assertEqual(answer.count(b"HTTP/1.1 200"), 6, answer[:500])
        self.assertEqual(found, sorted(found))
