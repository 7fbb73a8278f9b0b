"""Files of articles: byte for byte, by hash, within their limit, and only under their article."""

import hashlib
import os
import unittest
import urllib.parse

from case import Case
from stack import Stack

MAX = 4 << 20
stack = None


def setUpModule():
    global stack
    stack = unittest.enterModuleContext(Stack(MIRAI_ATTACHMENT_MAX_BYTES=MAX))


class Attachments(Case):
    def setUp(self):
        self.client = stack.client()
        self.path = f"/api/v1/articles/{stack.article()['id']}/attachments"

    def upload(self, content, name, media_type="application/octet-stream", path=None):
        return self.client.request("POST", f"{path or self.path}?name={urllib.parse.quote(name)}", raw=content,
                                   headers={"Content-Type": media_type})

    def test_three_megabytes_come_back_identical(self):
        content = os.urandom(3 << 20)
        made = self.expect(self.upload(content, "構成図 v2.bin"), 201).json
        self.assertEqual((made["size"], made["name"], made["sha256"]),
                         (len(content), "構成図 v2.bin", hashlib.sha256(content).hexdigest()))
        read = self.expect(self.client.get(f"{self.path}/{made['id']}/content"), 200)
        self.assertEqual(hashlib.sha256(read.body).hexdigest(), made["sha256"])
        self.assertEqual(int(read.headers["Content-Length"]), len(content))
        self.assertIn("attachment", read.headers["Content-Disposition"])
        self.assertIn("UTF-8''%E6%A7%8B", read.headers["Content-Disposition"])
        self.assertEqual(read.headers["X-Content-Type-Options"], "nosniff")

    def test_ranges(self):
        content = bytes(range(256)) * 4096
        made = self.expect(self.upload(content, "r.bin"), 201).json
        path = f"{self.path}/{made['id']}/content"
        part = self.expect(self.client.request("GET", path, headers={"Range": "bytes=1000-1999"}), 206)
        self.assertEqual(part.body, content[1000:2000])
        self.assertEqual(part.headers["Content-Range"], f"bytes 1000-1999/{len(content)}")
        tail = self.expect(self.client.request("GET", path, headers={"Range": "bytes=-10"}), 206)
        self.assertEqual(tail.body, content[-10:])
        beyond = self.expect(self.client.request("GET", path, headers={"Range": f"bytes={len(content)}-"}), 416)
        self.assertEqual((beyond.headers["Content-Range"], beyond.etag), (f"bytes */{len(content)}", None))
        self.expect(self.client.request("HEAD", path, headers={"Range": "bytes=0-9"}), 200)
        etag = self.client.get(path).etag
        for value, status in ((etag, 206), (f"W/{etag}", 200), ("*", 200), ('"other"', 200)):
            self.expect(self.client.request("GET", path, headers={"Range": "bytes=0-9", "If-Range": value}), status)
        self.expect(self.client.request("GET", path, headers={"Range": "lines=1-2"}), 200)

    def test_list_describe_and_remove(self):
        made = self.expect(self.upload(b"log line\n", "a.log", "text/plain"), 201).json
        self.assertEqual(made["media_type"], "text/plain")
        self.assertEqual([item["id"] for item in self.client.get(self.path).json["items"]], [made["id"]])
        self.assertEqual(self.client.get(f"{self.path}/{made['id']}").json["sha256"], made["sha256"])
        self.expect(self.client.delete(f"{self.path}/{made['id']}"), 204)
        self.expect_problem(self.client.get(f"{self.path}/{made['id']}/content"), 404)
        self.assertEqual(self.client.get(self.path).json["items"], [])

    def test_same_content_twice_outlives_the_first(self):
        first = self.expect(self.upload(b"same bytes", "one.txt"), 201).json
        second = self.expect(self.upload(b"same bytes", "two.txt"), 201).json
        self.expect(self.client.delete(f"{self.path}/{first['id']}"), 204)
        self.assertEqual(self.client.get(f"{self.path}/{second['id']}/content").body, b"same bytes")

    def test_another_article_does_not_have_it(self):
        made = self.expect(self.upload(b"x", "x.txt"), 201).json
        other = f"/api/v1/articles/{stack.article()['id']}/attachments"
        for path in (f"{other}/{made['id']}", f"{other}/{made['id']}/content"):
            self.expect_problem(self.client.get(path), 404)
        self.expect_problem(self.client.delete(f"{other}/{made['id']}"), 404)
        self.expect_problem(self.upload(b"x", "x.txt", path="/api/v1/articles/999999/attachments"), 404)

    def test_limits_and_names(self):
        self.expect(self.upload(b"\0" * MAX, "exact.bin"), 201)
        self.expect_problem(self.upload(b"\0" * (MAX + 1), "more.bin"), 413, "too-large")
        self.client.close()
        for name in ("../etc/passwd", "a/b", "..", "", "x" * 256, "改\n行", "nul\0"):
            self.expect_problem(self.upload(b"x", name), (400, 422))
        self.expect_problem(self.client.request("POST", self.path, raw=b"x", headers={"Content-Type": "text/plain"}), (400, 422))
        self.expect(self.upload(b"x", "x", "text/html\x0bx"), 400)  # no HTTP at all: the answer is not ours
        self.client.close()
        self.assertEqual([item["name"] for item in self.client.get(self.path).json["items"]], ["exact.bin"])

    def test_html_is_never_shown_as_a_page(self):
        made = self.expect(self.upload(b"<script>alert(1)</script>", "x.html", "text/html"), 201).json
        read = self.client.get(f"{self.path}/{made['id']}/content")
        self.assertIn("attachment", read.headers["Content-Disposition"])
        self.assertIn("Content-Security-Policy", read.headers)

    def test_empty_file(self):
        answer = self.upload(b"", "empty")
        self.expect(answer, (201, 400, 411, 422))
        if answer.status == 201:
            self.assertEqual(self.client.get(f"{self.path}/{answer.json['id']}/content").body, b"")
