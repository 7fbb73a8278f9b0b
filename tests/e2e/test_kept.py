"""Answers that the gateway keeps: given again without a call, and never when they are old or another's."""

import concurrent.futures
import signal
import threading
import time
import unittest

from case import Case
from stack import Stack, wait_for

stack = None


def setUpModule():
    global stack
    stack = unittest.enterModuleContext(Stack(may_restart=True))


class Kept(Case):
    def setUp(self):
        self.client = stack.client()
        self.article = stack.article(title="よく読まれる記事", body="初版")
        self.path = f"/api/v1/articles/{self.article['id']}"

    def hits(self):
        return stack.metrics().get("mirai_gateway_kept_hits_total", 0)

    def warm(self, clients=8):
        """Read over several connections, so that every loop of the gateway keeps the answer."""
        for _ in range(clients):
            for _ in range(3):
                answer = self.expect(stack.client().get(self.path), 200)
        return answer

    def test_the_second_read_needs_no_call(self):
        before = self.hits()
        first = self.expect(self.client.get(self.path), 200)
        for _ in range(20):
            again = self.expect(self.client.get(self.path), 200)
            self.assertEqual((again.body, again.etag, again.headers["Content-Type"], again.headers["Cache-Control"]),
                             (first.body, first.etag, first.headers["Content-Type"], first.headers["Cache-Control"]))
        self.assertNotEqual(again.headers["X-Request-Id"], first.headers["X-Request-Id"])
        self.assertGreaterEqual(self.hits() - before, 20)
        self.expect(self.client.request("GET", self.path, headers={"If-None-Match": first.etag}), 304)
        head = self.expect(self.client.request("HEAD", self.path), 200)
        self.assertEqual((head.body, head.etag, head.headers["Content-Length"]), (b"", first.etag, str(len(first.body))))

    def test_every_change_shows_at_once(self):
        for n in range(50):
            self.warm(2)
            self.expect(self.client.patch(self.path, {"title": f"第{n}版"}, "*"), 200)
            self.assertEqual(stack.client().get(self.path).json["title"], f"第{n}版")
        self.warm()
        self.expect(self.client.delete(self.path), 204)
        for _ in range(8):
            self.expect_problem(stack.client().get(self.path), 404)
        self.expect(self.client.post(f"{self.path}/restore"), 200)
        self.warm()

    def test_readers_never_go_back_behind_what_was_acknowledged(self):
        acknowledged, done, old = [0], threading.Event(), []

        def read():
            client, count = stack.client(), 0
            while not done.is_set():
                floor = acknowledged[0]
                title = client.get(self.path).json["title"]
                if title.startswith("版") and int(title[1:]) < floor:
                    old.append((title, floor))
                count += 1
            return count

        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            readers = [pool.submit(read) for _ in range(6)]
            for n in range(1, 200):
                self.expect(self.client.patch(self.path, {"title": f"版{n}"}, "*"), 200)
                acknowledged[0] = n
            done.set()
            self.assertGreater(sum(reader.result() for reader in readers), 200)
        self.assertEqual(old, [])

    def test_a_tag_that_is_renamed(self):
        self.expect(self.client.patch(self.path, {"tags": ["旧称"]}, "*"), 200)
        self.warm()
        tag = next(tag for tag in self.client.get("/api/v1/tags").json["items"] if tag["name"] == "旧称")
        self.expect(self.client.patch(f"/api/v1/tags/{tag['id']}", {"name": "新称"}), 200)
        for _ in range(8):
            self.assertEqual(stack.client().get(self.path).json["tags"], ["新称"])

    def test_nobody_gets_what_was_kept_for_another(self):
        user_id, token = stack.make_user("stranger", "viewer")
        self.warm()
        self.expect(stack.client(token).get(self.path), 200)
        self.expect(self.client.patch(self.path, {"visibility": "private"}, "*"), 200)
        self.warm()
        for _ in range(8):
            self.expect_problem(stack.client(token).get(self.path), 404)
        self.expect_problem(stack.client(None).get(self.path), 401)
        self.expect(self.client.patch(self.path, {"visibility": "space"}, "*"), 200)
        for _ in range(16):
            self.expect(stack.client(token).get(self.path), 200)
        self.expect(self.client.patch(f"/api/v1/users/{user_id}", {"disabled": True}), 200)
        for _ in range(8):
            self.expect_problem(stack.client(token).get(self.path), 401)

    def test_a_session_counts_its_views(self):
        self.warm()
        browser = stack.login("admin", stack.admin_password)
        stats = lambda: self.client.get(f"{self.path}/stats").json["views"]
        before = stats()
        for _ in range(5):
            self.expect(browser.request("GET", self.path, headers={"Cookie": browser.cookie}), 200)
        wait_for(lambda: stats() == before + 5, 10, lambda: f"5 more views than {before}: {stats()}")

    def test_a_frozen_store_is_not_vouched_for(self):
        self.warm()
        pid = stack.kill("knowledge-store", signal.SIGSTOP)
        try:
            time.sleep(1.3)  # the lease
            begin = time.monotonic()
            answer = self.client.get(self.path)
            self.expect_problem(answer, 503)
            self.assertIn("Retry-After", answer.headers)
            self.assertLess(time.monotonic() - begin, 2.5)
        finally:
            stack.kill("knowledge-store", signal.SIGCONT)
        self.assertEqual(stack.pid("knowledge-store"), pid)
        wait_for(lambda: self.client.get(self.path).status == 200, 1, "reads after the store goes on")

    def test_a_killed_store_begins_anew(self):
        self.warm()
        stack.kill("knowledge-store")
        wait_for(lambda: stack.client().get(self.path).status == 200, 10, "reads after the store's return")
        before = self.hits()
        self.expect(self.client.patch(self.path, {"title": "再起動の後"}, "*"), 200)
        for _ in range(16):
            self.assertEqual(stack.client().get(self.path).json["title"], "再起動の後")
        wait_for(lambda: self.warm(2) and self.hits() > before, 5, "answers kept again")


if __name__ == "__main__":
    unittest.main()
