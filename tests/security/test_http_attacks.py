"""Attacks on HTTP itself and on what answers carry: smuggling, splitting, headers of every kind of answer, files that browsers open,
oracles, what one user keeps of another."""

import contextlib
import re
import socket
import threading
import time
import unittest
from urllib.parse import quote

from case import Case
from h2 import Connection
from stack import Stack

stack = None


def setUpModule():
    global stack
    stack = unittest.enterModuleContext(Stack(MIRAI_HSTS_SECONDS=31536000))


def talk(data, seconds=4):
    """Send bytes over TLS as they are; all that comes back until the server ends or is silent."""
    raw = socket.create_connection(("127.0.0.1", stack.port), seconds)
    with stack.tls.wrap_socket(raw, server_hostname="localhost") as connection:
        connection.settimeout(seconds)
        connection.sendall(data)
        answer = b""
        with contextlib.suppress(OSError):
            while chunk := connection.recv(65536):
                answer += chunk
        return answer


def head(first, *lines, token=True):
    authorization = (f"Authorization: Bearer {stack.admin_token}",) if token else ()
    return "\r\n".join((first, "Host: localhost") + authorization + lines + ("", "")).encode("latin-1")


class Smuggling(Case):
    """Two readings of where a request ends: whatever stands in front must not see another than we do."""

    HIDDEN = b"DELETE /api/v1/articles/%d HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n\r\n"

    def test_no_ambiguous_length_is_taken(self):
        article = stack.article(title="餌")
        hidden = self.HIDDEN % (article["id"], stack.admin_token.encode())
        chunked = b"0\r\n\r\n" + hidden
        cases = [
            (["Content-Length: 0", "Transfer-Encoding: chunked"], chunked), (["Transfer-Encoding: chunked", "Content-Length: 4"], chunked),
            (["Transfer-Encoding: chunked", "Transfer-Encoding: identity"], chunked), (["Transfer-Encoding: identity", "Content-Length: 0"], hidden),
            (["Transfer-Encoding : chunked", "Content-Length: 0"], hidden), (["Transfer-Encoding:\tchunked, chunked"], chunked),
            (["Transfer-Encoding: gzip, chunked"], chunked), (["Transfer-Encoding: \"chunked\"", "Content-Length: 0"], hidden),
            (["Transfer-Encoding:\x0bchunked", "Content-Length: 0"], hidden), (["X: y", " Transfer-Encoding: chunked", "Content-Length: 0"], hidden),
            (["Content-Length: 0", "Content-Length: 200"], hidden), (["Content-Length: 0, 200"], hidden), (["Content-Length: +0"], hidden),
            (["Content-Length: 0x0"], hidden), (["Content-Length: 00000000000000000000000000000000000000000"], b""), (["Content-Length:"], hidden),
            (["Content-Length : 0"], hidden), (["Transfer-Encoding: chunked"], b"0x0\r\n\r\n" + hidden), (["Transfer-Encoding: chunked"], b"-0\r\n\r\n" + hidden),
            (["Transfer-Encoding: chunked"], b" 0\r\n\r\n" + hidden), (["Transfer-Encoding: chunked"], b"0;a=\"\r\n\r\n" + hidden + b"\"\r\n\r\n"),
            (["Transfer-Encoding: chunked"], b"10000000000000000\r\n\r\n" + hidden), (["Transfer-Encoding: chunked"], b"0\n\n" + hidden),
        ]
        for before in (b"", b"\r\n"):
            for lines, body in cases:
                answer = talk(before + head("POST /api/v1/tags HTTP/1.1", "Content-Type: application/json", *lines) + body, 3)
                statuses = re.findall(rb"HTTP/1\.1 (\d+)", answer)
                self.assertLessEqual(len(statuses), 1, f"{lines} {body[:20]}: more than one request was seen: {answer[:300]}")
                self.assertIn(statuses, ([], [b"400"], [b"422"]), f"{lines} {body[:20]}")
        self.expect(stack.client().get(f"/api/v1/articles/{article['id']}"), 200)

    def test_a_second_host_is_refused(self):
        for lines in (("Host: evil.example",), ("host: localhost",), ("HOST:",)):
            answer = talk(head("GET /health HTTP/1.1", *lines))
            self.assertEqual(re.findall(rb"HTTP/1\.1 (\d+)", answer), [b"400"], lines)

    def test_an_honest_chunked_body_is_taken(self):
        body = b'{"title":"chunked","type":"other","body":""}'
        answer = talk(head("POST /api/v1/articles HTTP/1.1", "Content-Type: application/json", "Transfer-Encoding: chunked") + b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body))
        self.assertEqual(re.findall(rb"HTTP/1\.1 (\d+)", answer), [b"201"])

    def test_a_pipelined_request_is_what_it_says(self):
        """The control: what the cases above hide is executed when it stands in the open."""
        article = stack.article(title="餌")
        hidden = self.HIDDEN % (article["id"], stack.admin_token.encode())
        answer = talk(head("POST /api/v1/tags HTTP/1.1", "Content-Type: application/json", "Content-Length: 2") + b"{}" + hidden, 3)
        self.assertEqual(re.findall(rb"HTTP/1\.1 (\d+)", answer), [b"422", b"204"])

    def test_a_get_with_a_body_leaves_nothing_behind(self):
        article = stack.article(title="餌")
        hidden = self.HIDDEN % (article["id"], stack.admin_token.encode())
        answer = talk(head("GET /health HTTP/1.1", f"Content-Length: {len(hidden)}") + hidden + head("GET /health HTTP/1.1", "Connection: close"), 3)
        self.assertNotIn(b"204", re.findall(rb"HTTP/1\.1 (\d+)", answer))
        self.expect(stack.client().get(f"/api/v1/articles/{article['id']}"), 200)

    def test_http2_headers_that_would_be_lines_in_http1(self):
        for headers in ((("x", "a\r\nTransfer-Encoding: chunked"),), (("transfer-encoding", "chunked"),), (("connection", "close"),), (("content-length", "9"),),
                        (("x\r\ny", "z"),), (("Host", "evil.example"),), (("host", "evil.example"),), (("authorization", "Bearer x"),), (("x", "a\0b"),)):
            with contextlib.suppress(ConnectionError, AssertionError), contextlib.closing(Connection(stack)) as connection:
                connection.send(connection.request("GET", "/api/v1/users/me", headers=headers))
                connection.wait(connection.last)
        for path in ("/api/v1/tags\r\nX: y", "/api/v1/tags HTTP/1.1", "api/v1/tags", "", "*", "/api/v1/ta gs", "/api/v1/tags\0", "http://evil.example/api/v1/tags"):
            with contextlib.suppress(ConnectionError), contextlib.closing(Connection(stack)) as connection:
                connection.send(connection.request("GET", path))
                if path != "http://evil.example/api/v1/tags":
                    self.assertNotEqual(connection.wait(connection.last), 0x88, path)
        self.expect(stack.client().get("/ready"), 200)


class Headers(Case):
    """The security headers stand on answers of every kind."""

    def kinds(self):
        client, nobody = stack.client(), stack.client(None)
        article = stack.article(title="見出し")
        path = f"/api/v1/articles/{article['id']}"
        file = client.request("POST", f"{path}/attachments?name=x.html", raw=b"<script>alert(1)</script>", headers={"Content-Type": "text/html"})
        content = f"{path}/attachments/{file.json['id']}/content"
        etag = client.get(path).headers["ETag"]
        login = nobody.post("/api/v1/session", {"name": "admin", "password": stack.admin_password})
        return {
            "page": nobody.get("/"), "script": nobody.get("/assets/app.js"), "json": client.get(path), "list": client.get("/api/v1/articles"),
            "html": client.get(f"{path}/render"), "file": client.get(content), "part": client.request("GET", content, headers={"Range": "bytes=1-3"}),
            "no part": client.request("GET", content, headers={"Range": "bytes=99-"}), "304": client.request("GET", path, headers={"If-None-Match": etag}),
            "201": file, "204": client.delete(f"{path}/attachments/{file.json['id']}"), "head": client.request("HEAD", path), "login": login,
            "401": nobody.get(path), "404": client.get("/nowhere"), "405": client.delete("/health"), "400": client.get("/%zz"), "options": client.request("OPTIONS", path),
            "406": client.request("GET", path, headers={"Accept": "text/csv"}), "412": client.patch(path, {"title": "x"}, '"other"'),
            "413": client.request("POST", "/api/v1/articles", raw=b"x" * (5 << 20), headers={"Content-Type": "application/json"}),
            "415": client.request("POST", "/api/v1/articles", raw=b"x", headers={"Content-Type": "text/xml"}), "422": client.post("/api/v1/articles", {}),
            "428": client.patch(path, {"title": "x"}), "431": client.request("GET", path, headers={"X-Long": "x" * 70000}),
            "health": nobody.get("/health"), "description": nobody.get("/api/v1/openapi.json"), "404 of a file": nobody.get("/assets/none"),
        }

    def test_on_every_kind_of_answer(self):
        wrong = []
        for kind, answer in self.kinds().items():
            get = answer.headers.get
            policy = get("Content-Security-Policy") or ""
            page = kind in ("page", "script")
            rules = {
                "nosniff": get("X-Content-Type-Options") == "nosniff", "referrer": get("Referrer-Policy") == "no-referrer", "one policy": len(answer.headers.get_all(
                    "Content-Security-Policy", [])) == 1, "frames": "frame-ancestors 'none'" in policy, "no inline": "unsafe" not in policy,
                "nothing by default": ("default-src 'self'" if page else "default-src 'none'") in policy, "sandbox": page or "sandbox" in policy,
                "cache": (get("Cache-Control") or "").startswith(("no-store", "private") if not page else ("no-store", "private", "public", "no-cache")),
                "no version": get("Server") is None and get("X-Powered-By") is None, "id": re.fullmatch("[0-9a-f]{32}", get("X-Request-Id") or "") is not None,
                "type": answer.status in (204, 304) or get("Content-Type") is not None, "no cookie": kind == "login" or get("Set-Cookie") is None,
            }
            wrong += [f"{kind} ({answer.status}): {name}" for name, holds in rules.items() if not holds]
        self.assertEqual(wrong, [])

    def test_hsts_stands_everywhere_but_on_this_host(self):
        client = stack.client(None)
        for host, wanted in (("kb.example.com", True), ("kb.example.com:8443", True), ("localhostile.example", True), ("127.example.com", True),
                             ("10.0.0.1", False), ("127.0.0.1", False), ("[::1]:8443", False), ("localhost", False), ("kb.localhost", False)):
            for path in ("/", "/api/v1/articles", "/nowhere"):
                sent = client.request("GET", path, headers={"Host": host}).headers.get("Strict-Transport-Security", "")
                self.assertEqual(sent.startswith("max-age=31536000"), wanted, (host, path, sent))


class Files(Case):
    """Uploads that a browser might run: they are handed out as files, and as nothing else."""

    TYPES = ("text/html", "image/svg+xml", "application/xhtml+xml", "text/xml", "application/javascript", "application/pdf", "text/html;charset=utf-7",
             "multipart/x-mixed-replace", "application/x-shockwave-flash", "text/cache-manifest", "message/rfc822")

    def test_nothing_is_shown_inline(self):
        client = stack.client()
        path = f"/api/v1/articles/{stack.article()['id']}/attachments"
        for n, media_type in enumerate(self.TYPES):
            made = client.request("POST", f"{path}?name=a{n}.svg", raw=b"<svg onload=alert(1)>", headers={"Content-Type": media_type})
            answer = self.expect(client.get(f"{path}/{self.expect(made, 201).json['id']}/content"), 200)
            self.assertTrue(answer.headers["Content-Disposition"].startswith("attachment;"), media_type)
            self.assertEqual(answer.headers["X-Content-Type-Options"], "nosniff")
            self.assertIn("sandbox", answer.headers["Content-Security-Policy"])

    def test_names_and_types_do_not_leave_their_header(self):
        client = stack.client()
        path = f"/api/v1/articles/{stack.article()['id']}/attachments"
        names = ["a\r\nX-Injected: 1", "a\nb", "a\0b", "../../etc/passwd", "..\\..\\win.ini", "a\"; filename=evil.html; x=\"", "\u202egpj.exe", "CON", ".", "..", "/", "a\u2028b",
                 "漢字 🍣.pdf", "a;b=c", "%0d%0aX-Injected: 1", "=?utf-8?q?x?=", "a" * 255, "'`$(id)`.txt"]
        for name in names:
            made = client.request("POST", f"{path}?name={quote(name, safe='')}", raw=b"x", headers={"Content-Type": "text/plain"})
            self.expect(made, (201, 400, 422))
            if made.status == 201:
                answer = client.get(f"{path}/{made.json['id']}/content")
                self.assertNotIn("X-Injected", answer.headers)
                disposition = answer.headers["Content-Disposition"]
                plain = re.fullmatch(r'attachment; filename="([^"\\/\x00-\x1f\x7f-\uffff]*)"; filename\*=UTF-8\'\'[A-Za-z0-9%!#$&+.^_`|~-]+', disposition)
                self.assertIsNotNone(plain, disposition)
        for media_type in ("text/html\r\nX-Injected: 1", "text/html; a=b\r\nX-Injected: 1", "x", "/", "text/", "text/ht ml", "text/html\0", "a/" + "b" * 200):
            made = client.request("POST", f"{path}?name=x&media_type={quote(media_type, safe='')}", raw=b"x")
            self.expect_problem(made, (400, 422))


class Oracles(Case):
    """What an answer tells of things that may not be seen."""

    @classmethod
    def setUpClass(cls):
        _, cls.owner_token = stack.make_user("keeper", "editor")
        _, token = stack.make_user("asker", "editor")
        cls.owner, cls.asker = stack.client(cls.owner_token), stack.client(token)
        cls.hidden = stack.article(cls.owner, title="隠し事", visibility="private")

    def same(self, one, two):
        strip = lambda answer: (answer.status, re.sub(rb'"instance":"[0-9a-f]+"', b"", answer.body),
                                sorted((n, v) for n, v in answer.headers.items() if n.lower() not in ("x-request-id", "date")))
        self.assertEqual(strip(one), strip(two))

    def test_hidden_and_missing_are_alike(self):
        for below in ("", "/render", "/stats", "/comments", "/attachments", "/revisions", "/revisions/1", "/relations", "/feedback", "/attachments/1/content"):
            self.same(self.asker.get(f"/api/v1/articles/{self.hidden['id']}{below}"), self.asker.get(f"/api/v1/articles/987654321{below}"))
        for method, body in (("PUT", {"title": "x", "type": "other", "body": ""}), ("PATCH", {"title": "x"}), ("DELETE", None)):
            for tag in ("*", f'"{self.hidden["etag"]}"', '"x"'):
                ask = lambda identity: self.asker.request(method, f"/api/v1/articles/{identity}", body, {"If-Match": tag})
                self.same(ask(self.hidden["id"]), ask(987654321))

    def test_conditions_are_not_answered_before_rights(self):
        for tag in ("*", f'"{self.hidden["etag"]}"'):
            for path in (f"/api/v1/articles/{self.hidden['id']}", f"/api/v1/articles/{self.hidden['id']}/render"):
                self.expect_problem(self.asker.request("GET", path, headers={"If-None-Match": tag}), 404)
                self.expect_problem(stack.client(None).request("GET", path, headers={"If-None-Match": tag}), 401)

    def test_what_is_kept_for_one_is_not_given_to_another(self):
        path = f"/api/v1/articles/{self.hidden['id']}"
        for _ in range(20):
            self.expect(self.owner.get(path), 200)
            self.expect_problem(self.asker.get(path), 404)
            self.expect_problem(stack.client(None).get(path), 401)

    def test_an_idempotency_key_is_one_s_own(self):
        body = {"title": "合言葉", "type": "other", "body": "x", "visibility": "private"}
        key = {"Idempotency-Key": "the-same-key"}
        mine = self.expect(self.owner.request("POST", "/api/v1/articles", body, key), 201)
        theirs = self.expect(self.asker.request("POST", "/api/v1/articles", body, key), 201)
        self.assertNotEqual(mine.json["id"], theirs.json["id"])
        again = self.expect(self.owner.request("POST", "/api/v1/articles", body, key), 201)
        self.assertEqual(mine.json["id"], again.json["id"])
        self.expect_problem(self.owner.request("POST", "/api/v1/articles", body | {"title": "別"}, key), 409)

    def test_a_key_does_not_outlive_the_right_to_write(self):
        user, token = stack.make_user("demoted", "editor")
        client = stack.client(token)
        body, key = {"title": "降格", "type": "other", "body": "x"}, {"Idempotency-Key": "before-demotion"}
        self.expect(client.request("POST", "/api/v1/articles", body, key), 201)
        self.expect(stack.client().patch(f"/api/v1/users/{user}", {"role": "viewer"}), 200)
        self.expect_problem(client.request("POST", "/api/v1/articles", body, key), 403)

    def test_search_does_not_tell_hidden_words(self):
        stack.wait_indexed(self.hidden, self.owner)
        for query in ("隠し事", "\"隠し事\"", "隠し*", "隠し事 OR x", "-xyzzy"):
            found = self.expect(self.asker.get("/api/v1/search", q=query, limit=100), (200, 422))
            if found.status == 200:
                self.assertNotIn(self.hidden["id"], [hit["id"] for hit in found.json["hits"]])
                self.assertNotIn("隠し事", found.body.decode().replace(query, ""))
        cursors = [row.get("next_cursor") for row in (self.owner.get("/api/v1/search", q="", limit=1).json,) if row.get("next_cursor")]
        for cursor in cursors:  # another's position is only a position
            answer = self.asker.get("/api/v1/search", q="", limit=100, cursor=cursor)
            self.assertNotIn("隠し事", answer.body.decode())

    def test_a_revision_does_not_outlive_the_right_to_read(self):
        article = stack.article(self.owner, title="公開してから隠す")
        path = f"/api/v1/articles/{article['id']}"
        self.expect(self.asker.get(f"{path}/revisions/1"), 200)
        self.expect(self.owner.patch(path, {"visibility": "private"}, "*"), 200)
        for below in ("", "/revisions/1", "/revisions", "/revisions/1/diff", "/render"):
            self.expect_problem(self.asker.get(path + below), 404)


class Races(Case):
    """Checks and what they allow are one step: no two requests slip through the same gap."""

    def together(self, calls):
        results, barrier = [None] * len(calls), threading.Barrier(len(calls))

        def run(n, call):
            barrier.wait()
            results[n] = call()
        threads = [threading.Thread(target=run, args=pair) for pair in enumerate(calls)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return results

    def test_one_version_is_replaced_once(self):
        for _ in range(5):
            article = stack.article()
            clients = [stack.client() for _ in range(6)]
            answers = self.together([lambda c=c, n=n: c.patch(f"/api/v1/articles/{article['id']}", {"title": f"t{n}"}, f'"{article["etag"]}"')
                                     for n, c in enumerate(clients)])
            self.assertEqual(sorted(answer.status for answer in answers), [200] + [412] * 5)

    def test_one_key_makes_one_article(self):
        clients = [stack.client() for _ in range(6)]
        body = {"title": "競走", "type": "other", "body": "x"}
        answers = self.together([lambda c=c: c.request("POST", "/api/v1/articles", body, {"Idempotency-Key": "race"}) for c in clients])
        self.assertEqual(len({answer.json["id"] for answer in answers if answer.status == 201}), 1, answers)

    def test_a_right_that_ends_does_not_come_back(self):
        """Reads run all the time while the article is hidden: after the answer to the one who hid it, none succeeds."""
        owner = stack.client(stack.make_user("racer", "editor")[1])
        reader_token = stack.make_user("watcher", "viewer")[1]
        for _ in range(10):
            article = stack.article(owner)
            path, late, hidden, end = f"/api/v1/articles/{article['id']}", [], threading.Event(), time.monotonic() + 10

            def read():
                client = stack.client(reader_token)
                after = 0
                while after < 20 and time.monotonic() < end:
                    was_hidden = hidden.is_set()
                    status = client.get(path).status
                    if was_hidden:
                        after += 1
                        late.append(status)
            threads = [threading.Thread(target=read) for _ in range(3)]
            for thread in threads:
                thread.start()
            self.expect(owner.patch(path, {"visibility": "private"}, "*"), 200)
            hidden.set()
            for thread in threads:
                thread.join()
            self.assertEqual(set(late), {404})


if __name__ == "__main__":
    unittest.main()
