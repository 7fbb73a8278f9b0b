"""With a real clamd: nobody sees a file before its verdict, and without one nobody sees it at all."""

import signal
import unittest

from case import Case
from clamd import EICAR, STREAM_MAX, Clamd
from stack import Stack, wait_for

clamd = stack = None


def setUpModule():
    global clamd, stack
    clamd = unittest.enterModuleContext(Clamd())
    stack = unittest.enterModuleContext(Stack(MIRAI_CLAMD_TIMEOUT_MS=2000, MIRAI_UPLOADS_MAX=2, **clamd.settings))


class VirusScan(Case):
    def setUp(self):
        self.client = stack.client(timeout=30)
        self.addCleanup(self.client.close)
        self.path = f"/api/v1/articles/{stack.article()['id']}/attachments"

    def upload(self, content, name="a.bin", client=None):
        return (client or self.client).request("POST", f"{self.path}?name={name}", raw=content,
                                               headers={"Content-Type": "application/octet-stream"})

    def expect_nothing(self):
        self.assertEqual(self.client.get(self.path).json["items"], [])
        self.assertEqual(list((stack.data_dir / "uploads").iterdir()), [])

    def test_clean_files_come_through(self):
        for content in (b"", b"log line\n", bytes(range(256)) * 3000):
            made = self.expect(self.upload(content), 201).json
            self.assertEqual(self.client.get(f"{self.path}/{made['id']}/content").body, content)

    def test_what_is_infected_is_refused_removed_and_audited(self):
        _, token = stack.make_user("uploader", "editor")
        client = stack.client(token)
        self.addCleanup(client.close)
        for content in (EICAR, b"x" * 100_000 + EICAR + b"y" * 200_000):
            problem = self.expect_problem(self.upload(content, client=client), 422, "attachment-infected")
            self.assertIn("Eicar-Test-Signature", problem["detail"])
        japanese = self.client.request("POST", f"{self.path}?name=a", raw=EICAR, headers={
            "Content-Type": "text/plain", "Accept-Language": "ja"})
        self.assertIn("ウイルス", self.expect_problem(japanese, 422)["title"])
        self.expect_nothing()
        self.assertEqual([path for path in (stack.data_dir / "attachments").rglob("*") if path.is_file() and EICAR in path.read_bytes()], [])
        rows = self.client.get("/api/v1/audit", action="upload.commit", limit=10).json["items"]
        refused = [row for row in rows if row["result"] == "attachment-infected"]
        self.assertEqual(len(refused), 3)
        self.assertEqual({row["object"] for row in refused}, {self.path.removeprefix("/api/v1/").removesuffix("/attachments").replace("articles", "article")})
        self.assertTrue(any("Eicar" in str(line.get("reason")) for line in stack.log_lines()))
        self.assertGreaterEqual(stack.metrics()["mirai_store_scans_total"], 3)

    def test_more_than_the_scanner_takes_is_too_large(self):
        self.expect_problem(self.upload(b"\0" * (STREAM_MAX * 3)), 413, "too-large")
        self.expect_nothing()

    def test_without_a_scanner_nothing_is_visible(self):
        clamd.stop()
        try:
            for _ in range(4):  # more than there are places: none stays taken
                answer = self.upload(b"clean")
                self.expect_problem(answer, 503, "scanner-unavailable")
                self.assertGreater(int(answer.headers["Retry-After"]), 0)
            wait_for(lambda: not list((stack.data_dir / "uploads").iterdir()), 10, "uploads are given up")
            self.expect_nothing()
            self.expect(self.client.get("/api/v1/articles"), 200)
        finally:
            clamd.start()
        self.expect(self.upload(b"clean"), 201)

    def test_a_scanner_that_hangs_costs_its_time_and_blocks_nobody(self):
        made = self.expect(self.upload(b"before"), 201).json
        clamd.process.send_signal(signal.SIGSTOP)
        try:
            self.expect_problem(self.upload(b"clean"), 503, "scanner-unavailable")
            self.assertEqual(self.client.get(f"{self.path}/{made['id']}/content").body, b"before")
        finally:
            clamd.process.send_signal(signal.SIGCONT)
        self.assertEqual(len(self.client.get(self.path).json["items"]), 1)
        self.expect(self.upload(b"clean"), 201)
