"""HTTP as its RFCs say: conditional requests, HEAD and OPTIONS, compression, HTTP/2, headers, languages, certificates."""

import contextlib
import gzip
import http.client
import json
import os
import re
import ssl
import time
import unittest

from case import Case
from stack import Stack, wait_for

stack = None


def setUpModule():
    global stack
    stack = unittest.enterModuleContext(Stack(MIRAI_HSTS_SECONDS=31536000))


class Conditional(Case):
    def test_if_none_match(self):
        client = stack.client()
        path = f"/api/v1/articles/{stack.article()['id']}"
        etag = client.get(path).etag
        for value in (etag, f"W/{etag}", f'"other", {etag}', "*"):
            answer = self.expect(client.request("GET", path, headers={"If-None-Match": value}), 304)
            self.assertEqual(answer.body, b"")
            self.assertEqual(answer.etag, etag)
        self.expect(client.request("GET", path, headers={"If-None-Match": '"other"'}), 200)
        self.expect(client.patch(path, {"title": "新"}, etag), 200)
        self.expect(client.request("GET", path, headers={"If-None-Match": etag}), 200)

    def test_malformed_if_match(self):
        client = stack.client()
        path = f"/api/v1/articles/{stack.article()['id']}"
        for value in ("abc", '"', '"a" "b"', ",,"):
            self.expect_problem(client.patch(path, {"title": "x"}, value), (400, 412))
        self.expect_problem(client.patch(path, {"title": "x"}, '"' + "x" * 300 + '"'), (400, 412, 422))


class Lists(Case):
    def test_lines_of_the_same_name_are_one_list(self):
        path = f"/api/v1/articles/{stack.article()['id']}"
        lines = lambda *values: [argument for value in values for argument in ("-H", value)]
        ask = lambda *values: stack.curl("-o", "/dev/null", "-w", "%{http_code}", "-H", f"Authorization: Bearer {stack.admin_token}",
                                         *lines(*values), f"{stack.url}{path}").stdout.decode()
        self.assertEqual(ask("Accept: text/html", "Accept: application/json"), "200")
        self.assertEqual(ask("Accept: text/html", "Accept: image/png"), "406")
        etag = stack.client().get(path).etag
        self.assertEqual(ask('If-None-Match: "other"', f"If-None-Match: {etag}"), "304")


class Methods(Case):
    def test_head_has_the_headers_of_get_without_body(self):
        client = stack.client()
        path = f"/api/v1/articles/{stack.article()['id']}"
        get, head = client.get(path), client.request("HEAD", path)
        self.expect(head, 200)
        self.assertEqual(head.body, b"")
        for name in ("Content-Type", "ETag", "Cache-Control"):
            self.assertEqual(head.headers[name], get.headers[name])
        if head.headers["Content-Length"]:
            self.assertEqual(int(head.headers["Content-Length"]), len(get.body))
        self.expect(client.request("HEAD", "/api/v1/articles/999999"), 404)
        self.expect(client.get(path), 200)  # the connection is still in step

    def test_options_and_wrong_methods_say_what_is_allowed(self):
        client = stack.client()
        allowed = lambda answer: set(re.split(r",\s*", answer.headers["Allow"]))
        path = f"/api/v1/articles/{stack.article()['id']}"
        self.assertTrue({"GET", "HEAD", "PUT", "PATCH", "DELETE"} <= allowed(self.expect(client.request("OPTIONS", path), (200, 204))))
        answer = client.request("POST", path, {})
        self.expect_problem(answer, 405, "method-not-allowed")
        self.assertTrue({"GET", "PATCH"} <= allowed(answer))
        for method in ("TRACE", "PROPFIND", "FOO", "CONNECT"):
            self.expect(client.request(method, path), (400, 405, 501))
            client.close()
        self.expect_problem(client.request("DELETE", "/api/v1/search"), 405)


class Answers(Case):
    def test_headers_that_protect(self):
        article = stack.article()
        for client, path in ((stack.client(), f"/api/v1/articles/{article['id']}"), (stack.client(None), "/"), (stack.client(None), "/health"),
                             (stack.client(None), "/api/v1/articles"), (stack.client(), "/nowhere"), (stack.client(), "/api/v1/articles?limit=x")):
            headers = client.get(path).headers
            self.assertIsNone(headers["Strict-Transport-Security"], path)  # not for localhost: other programs serve there too
            public = client.request("GET", path, headers={"Host": "kb.example.jp"}).headers
            self.assertIn("max-age=31536000", public["Strict-Transport-Security"] or "", path)
            for host in ("127.0.0.1", "[::1]", "192.0.2.7", "LOCALHOST:1", "app.localhost"):
                self.assertNotIn("Strict-Transport-Security", client.request("GET", path, headers={"Host": host}).headers, host)
            for host in ("localhost-kb.example.jp", "192.kb.example.jp"):
                self.assertIn("Strict-Transport-Security", client.request("GET", path, headers={"Host": host}).headers, host)
            self.assertEqual(headers["X-Content-Type-Options"], "nosniff", path)
            self.assertEqual(headers["Referrer-Policy"] is not None, True, path)
            self.assertEqual(headers["Cross-Origin-Resource-Policy"], "same-origin", path)
            policy = headers["Content-Security-Policy"]
            self.assertIn("frame-ancestors 'none'", policy, path)
            self.assertNotIn("unsafe-inline", policy)
            self.assertNotIn("h2o", (headers["Server"] or "").lower())
            self.assertIsNotNone(headers["X-Request-Id"], path)
            self.assertIsNotNone(headers["Cache-Control"], path)

    def test_trace_context_is_kept(self):
        trace = "0af7651916cd43dd8448eb211c80319c"
        answer = stack.client().request("GET", "/api/v1/articles", headers={"traceparent": f"00-{trace}-b7ad6b7169203331-01"})
        self.assertEqual(answer.headers["X-Request-Id"], trace)
        self.assertIn(trace, answer.headers["traceparent"] or trace)
        for wrong in ("00-" + "0" * 32 + "-b7ad6b7169203331-01", "garbage", "00-XYZ"):
            other = stack.client().request("GET", "/api/v1/articles", headers={"traceparent": wrong}).headers["X-Request-Id"]
            self.assertRegex(other, "^[0-9a-f]{32}$")
            self.assertNotEqual(other, "0" * 32)

    def test_problems_speak_the_client_s_language(self):
        client = stack.client()
        titles = {}
        for language in ("ja", "en", "en-US,en;q=0.9,ja;q=0.1", "fr", "ja;q=0.1, en;q=0.2", None):
            titles[language] = self.expect_problem(
                client.request("GET", "/api/v1/articles/999999", headers={"Accept-Language": language}), 404)["title"]
        japanese = re.compile("[ぁ-んァ-ン一-龥]")
        self.assertRegex(titles["ja"], japanese)
        self.assertNotRegex(titles["en"], japanese)
        self.assertEqual(titles["en-US,en;q=0.9,ja;q=0.1"], titles["en"])
        self.assertEqual(titles["ja;q=0.1, en;q=0.2"], titles["en"])
        self.assertEqual(titles["fr"], titles["ja"])  # MIRAI_LOCALE's default
        self.assertEqual(titles[None], titles["ja"])

    def test_gzip_when_asked_for(self):
        client = stack.client()
        path = f"/api/v1/articles/{stack.article(body='圧縮できる本文。' * 1000)['id']}"
        plain = self.expect(client.get(path), 200)
        self.assertIsNone(plain.headers["Content-Encoding"])
        packed = self.expect(client.request("GET", path, headers={"Accept-Encoding": "gzip"}), 200)
        self.assertEqual(packed.headers["Content-Encoding"], "gzip")
        self.assertEqual(gzip.decompress(packed.body), plain.body)
        self.assertNotEqual(packed.etag, plain.etag)  # other bytes, another strong tag …
        for etag in (packed.etag, plain.etag):  # … of the same version
            self.expect(client.request("GET", path, headers={"Accept-Encoding": "gzip", "If-None-Match": etag}), 304)
        self.expect(client.patch(path, {"summary_technical": "圧縮"}, packed.etag), 200)
        plain = self.expect(client.get(path), 200)
        self.assertLess(len(packed.body), len(plain.body) / 4)
        self.assertIn("accept-encoding", (packed.headers["Vary"] or "").lower())
        refused = self.expect(client.request("GET", path, headers={"Accept-Encoding": "gzip;q=0"}), 200)
        self.assertIsNone(refused.headers["Content-Encoding"])

    def test_health_and_ready(self):
        client = stack.client(None)
        self.expect(client.get("/health"), 200)
        self.expect(client.get("/ready"), 200)

    def test_openapi_document_is_complete(self):
        document = stack.client(None).get("/api/v1/openapi.json").json

        def references(value):
            if isinstance(value, dict):
                if "$ref" in value:
                    yield value["$ref"]
                for child in value.values():
                    yield from references(child)
            elif isinstance(value, list):
                for child in value:
                    yield from references(child)
        for reference in references(document):
            target = document
            for part in reference.removeprefix("#/").split("/"):
                target = target[part.replace("~1", "/").replace("~0", "~")]
        for path, item in document["paths"].items():
            for name in re.findall(r"{(\w+)}", path):
                for verb, operation in item.items():
                    if verb == "parameters":
                        continue
                    named = [row["name"] for row in operation.get("parameters", []) + item.get("parameters", []) if row.get("in") == "path"]
                    self.assertIn(name, named, f"{verb} {path}")


class Protocols(Case):
    def test_http2(self):
        article = stack.article(title="エイチティーティーピー二")
        done = stack.curl("--http2", "-H", f"Authorization: Bearer {stack.admin_token}", "-w", "\n%{http_version} %{http_code}",
                          f"{stack.url}/api/v1/articles/{article['id']}")
        body, last = done.stdout.decode().rsplit("\n", 1)
        self.assertEqual(last, "2 200", done)
        self.assertEqual(json.loads(body)["title"], article["title"])

    def test_http2_posts_a_large_body(self):
        path = stack.dir / "body.json"
        path.write_text(json.dumps({"title": "大きい", "type": "other", "body": "あ" * 200000}))
        done = stack.curl("--http2", "-H", f"Authorization: Bearer {stack.admin_token}", "-H", "Content-Type: application/json",
                          "--data-binary", f"@{path}", "-o", os.devnull, "-w", "%{http_version} %{http_code}", f"{stack.url}/api/v1/articles")
        self.assertEqual(done.stdout.decode(), "2 201", done)

    def test_http_1_0_and_1_1(self):
        for option, version in (("--http1.0", "1"), ("--http1.1", "1.1")):
            done = stack.curl(option, "-o", os.devnull, "-w", "%{http_code}", f"{stack.url}/health")
            self.assertEqual(done.stdout.decode(), "200", (option, done))

    def test_only_tls_1_2_and_1_3(self):
        for version, works in (("1.0", False), ("1.1", False), ("1.2", True), ("1.3", True)):
            done = stack.curl(f"--tlsv{version}", "--tls-max", version, "-o", os.devnull, "-w", "%{http_code}", f"{stack.url}/health")
            self.assertEqual(done.returncode == 0, works, (version, done))

    def test_keep_alive_serves_many(self):
        client = stack.client()
        client.get("/health")
        connection = client.connection
        for _ in range(200):
            self.expect(client.get("/api/v1/articles", limit=1), 200)
        self.assertIs(client.connection, connection)

    def test_expect_continue(self):
        path = stack.dir / "expect.json"
        path.write_text(json.dumps({"title": "続行", "type": "other", "body": "x" * 5000}))
        done = stack.curl("--http1.1", "-H", "Expect: 100-continue", "-H", f"Authorization: Bearer {stack.admin_token}",
                          "-H", "Content-Type: application/json", "--data-binary", f"@{path}", "-o", os.devnull, "-w", "%{http_code}",
                          f"{stack.url}/api/v1/articles")
        self.assertEqual(done.stdout.decode(), "201", done)

    def test_a_new_certificate_is_used_without_a_restart(self):
        """And connections that are open stay open."""
        def serial():
            connection = ssl.create_default_context()
            connection.check_hostname = False
            connection.verify_mode = ssl.CERT_NONE
            import socket
            with socket.create_connection(("127.0.0.1", stack.port), 5) as raw, connection.wrap_socket(raw) as tls:
                return tls.getpeercert(binary_form=True)
        old = serial()
        kept = stack.client()
        self.expect(kept.get("/health"), 200)
        connection = kept.connection
        stack.make_certificate()
        started = time.monotonic()
        wait_for(lambda: all(serial() != old for _ in range(4)), 10, "the new certificate")
        print(f"    certificate in use after: {(time.monotonic() - started) * 1000:.0f} ms")
        self.expect(kept.get("/health"), 200)
        self.assertIs(kept.connection, connection)
        self.expect(stack.client().get("/health"), 200)
        # A broken file does not replace a good certificate.
        good = serial()
        certificate = stack.dir / "tls" / "server.pem"
        text = certificate.read_text()
        certificate.write_text("-----BEGIN CERTIFICATE-----\nbroken\n")
        time.sleep(1.5)
        self.assertEqual(serial(), good)
        certificate.write_text(text)
