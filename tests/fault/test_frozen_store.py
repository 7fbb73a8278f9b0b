"""A store that hangs (SIGSTOP): its callers get 503 in time, everything else goes on, and nothing needs a restart."""

import contextlib
import os
import signal
import threading
import time
import unittest

from case import Case
from stack import Stack, measured, wait_for

DEADLINE = 2.0  # MIRAI_RPC_DEADLINE_MS
SLACK = 0.8  # for a busy machine
CONNECTIONS = 16


class FrozenStore(Case):
    def setUp(self):
        self.stack = self.enterContext(Stack())
        self.articles = [self.stack.article(title=f"凍結{number}", body=f"本文{number}") for number in range(10)]
        for article in self.articles:
            self.stack.wait_indexed(article)

    @contextlib.contextmanager
    def frozen(self):
        pid = self.stack.kill("knowledge-store", signal.SIGSTOP)
        try:
            yield pid
        finally:
            os.kill(pid, signal.SIGCONT)

    def side_by_side(self, call, count):
        """call(client, number) on as many connections at once, each after /health has opened it; what they returned."""
        results = [None] * count

        def run(number):
            with contextlib.closing(self.stack.client()) as client:
                client.get("/health")
                barrier.wait()
                results[number] = call(client, number)
        barrier = threading.Barrier(count)
        threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return results

    @staticmethod
    def draft(title):
        return {"title": title, "type": "other", "body": "本文", "status": "published"}

    def timed(self, client, method, path, body=None, headers=None):
        began = time.monotonic()
        answer = client.request(method, path, body, headers)
        return answer, time.monotonic() - began

    def count(self, title):
        rows = list(self.stack.client().pages("/api/v1/articles", limit=200))
        return sum(row["title"] == title for row in rows)

    def test_reads_and_writes_answer_503_and_all_works_again(self):
        stack = self.stack
        health, searches = [], []
        over = threading.Event()

        def watch(path, rows):
            with contextlib.closing(stack.client()) as client:
                while not over.is_set():
                    answer, took = self.timed(client, "GET", path)
                    rows.append((answer, took))
                    time.sleep(0.02)

        def ask(client, number):
            article = self.articles[number % len(self.articles)]
            if number % 3 == 0:
                return self.timed(client, "POST", "/api/v1/articles", self.draft(f"不明{number}"))
            if number % 3 == 1:
                return self.timed(client, "PATCH", f"/api/v1/articles/{article['id']}", {"body": "凍"}, {"If-Match": "*"})
            return self.timed(client, "GET", f"/api/v1/articles/{article['id']}/revisions")
        watchers = [threading.Thread(target=watch, args=("/health", health)),
                    threading.Thread(target=watch, args=("/api/v1/search?q=%E5%87%8D%E7%B5%90", searches))]
        answers = []
        for thread in watchers:
            thread.start()
        wait_for(lambda: len(health) > 3 and len(searches) > 3, 5, "answers before the freeze")
        with self.frozen():
            for _ in range(3):  # from the second round on the gateway knows that the store does not answer
                answers += self.side_by_side(ask, CONNECTIONS)
            over.set()
            for thread in watchers:
                thread.join()
        thawed = time.monotonic()
        client = stack.client()
        article = self.articles[0]
        wait_for(lambda: client.get(f"/api/v1/articles/{article['id']}/revisions").status == 200, 5, "a read after SIGCONT")
        written = wait_for(lambda: (answer := client.post("/api/v1/articles", self.draft("解凍"))).status == 201 and answer, 5, "a write after SIGCONT")
        measured("frozen store: SIGCONT until a read and a write worked", f"{time.monotonic() - thawed:.3f} s")
        self.assertLess(time.monotonic() - thawed, 1.0)
        stack.wait_indexed(written.json)

        measured("frozen store: slowest 503", f"{max(took for _, took in answers):.2f} s")
        for answer, took in answers:
            self.expect_problem(answer, 503)
            self.assertEqual(answer.headers["Retry-After"], "1")
            self.assertLess(took, DEADLINE + SLACK)
        self.assertGreater(len(health), 50)
        self.assertEqual({answer.status for answer, _ in health}, {200})
        slowest = max(took for _, took in health)
        measured("frozen store: slowest /health", f"{slowest:.3f} s of {len(health)}")
        self.assertLess(slowest, 0.5)
        measured("frozen store: slowest search", f"{max(took for _, took in searches):.3f} s of {len(searches)}")
        self.assertGreater(len(searches), 20)
        self.assertEqual([answer for answer, _ in searches if answer.status != 200 or answer.json["total"] != 10], [])

    def test_strangers_do_not_end_the_search_of_others(self):
        """Who is nobody changes no one's access, whatever becomes of the request: what is known of the others stays."""
        stack = self.stack
        known, stranger, unknown = stack.client(), stack.client(None), stack.client("mkt_" + 40 * "x")
        search = lambda: known.get("/api/v1/search", q="凍結").status
        self.assertEqual(search(), 200)
        with self.frozen():
            self.assertEqual(search(), 200)
            self.expect(stranger.post("/api/v1/session", {"name": "nobody", "password": "nothing"}), 503)
            self.assertEqual(search(), 200)
            self.expect(unknown.post("/api/v1/tokens", {"name": "x", "role": "viewer"}), 503)
            self.assertEqual(search(), 200)
            for path, token in (("/api/v1/session", None), ("/api/v1/tokens", "mkt_" + 40 * "y")):
                impatient = stack.client(token, timeout=0.2)
                with contextlib.suppress(OSError):
                    impatient.post(path, {"name": "nobody", "password": "nothing"})
                impatient.close()
            time.sleep(0.2)
            self.assertEqual(search(), 200)

    def test_writes_without_a_key_are_not_repeated(self):
        """Their outcome is open, but each is done once or not at all; with a key it is done once, as the client repeats it."""
        def create(client, number):
            return client.post("/api/v1/articles", self.draft(f"一度だけ{number}"), **({"Idempotency-Key": f"frozen-{number}"} if number % 2 else {}))
        with self.frozen():
            answers = self.side_by_side(create, CONNECTIONS)
            problems = [self.expect_problem(answer, 503) for answer in answers]
        client = self.stack.client()
        wait_for(lambda: client.post("/api/v1/articles", self.draft("解凍")).status == 201, 5, "a write")
        for number in range(1, CONNECTIONS, 2):
            self.expect(create(client, number), 201)
        counts = [self.count(f"一度だけ{number}") for number in range(CONNECTIONS)]
        self.assertEqual({count for count in counts[1::2]}, {1})
        self.assertLessEqual(set(counts[0::2]), {0, 1})
        for count, problem in list(zip(counts, problems))[0::2]:  # what may have been done is said to be so
            self.assertTrue(count == 0 or "may have been done" in problem.get("detail", ""), problem)
        self.assertEqual(client.get("/api/v1/statistics").json["articles"], 10 + self.count("解凍") + sum(counts))

    def test_only_who_is_known_may_search_meanwhile(self):
        stack = self.stack
        made = self.expect(stack.client().post("/api/v1/tokens", {"name": "short-lived", "role": "viewer"}), 201).json
        revoked, known, unknown = stack.client(made["token"]), stack.client(), stack.client("A" * len(made["token"]))
        for client in (revoked, known):
            for _ in range(4):  # over both loops, most likely
                self.expect(client.get("/api/v1/search", q="凍結"), 200)
                client.close()
        self.expect(stack.client().delete(f"/api/v1/tokens/{made['id']}"), 204)
        with self.frozen():
            time.sleep(0.6)  # beyond MIRAI_AUTH_CACHE_MS
            for client in (revoked, unknown):
                self.expect(client.get("/api/v1/search", q="凍結"), (401, 503))
            self.expect(known.get("/api/v1/articles"), 503)

    def test_a_short_freeze_is_only_slow(self):
        def read(client, number):
            return self.timed(client, "GET", f"/api/v1/articles/{self.articles[number % 10]['id']}/revisions")
        timer = None
        with self.frozen() as pid:
            timer = threading.Timer(0.7, os.kill, (pid, signal.SIGCONT))
            timer.start()
            answers = self.side_by_side(read, CONNECTIONS)
            timer.join()
        self.assertEqual([answer for answer, _ in answers if answer.status != 200], [])
        self.assertGreater(max(took for _, took in answers), 0.4)


if __name__ == "__main__":
    unittest.main()
