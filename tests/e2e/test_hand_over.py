"""Someone leaves with very many articles: the answer comes in time, and everybody sees the new owner."""

import concurrent.futures
import os
import time
import unittest

from case import Case
from stack import Stack, wait_for

ARTICLES = int(os.environ.get("MIRAI_TEST_ARTICLES", "3000"))


class HandOver(Case):
    def test_many_articles_change_hands_at_once(self):
        with Stack() as stack:
            admin = stack.client()
            leaver_id, leaver = stack.make_user("leaver", "editor")
            heir_id, heir = stack.make_user("heir", "editor")
            first = stack.article(stack.client(leaver), title="最初の手順")
            hidden = stack.article(stack.client(leaver), title="内密の手順", visibility="private")

            def make(numbers):
                client = stack.client(leaver)
                return [stack.article(client, title=f"手順 {number}")["id"] for number in numbers]
            with concurrent.futures.ThreadPoolExecutor(4) as threads:
                ids = sum(threads.map(make, [range(part, ARTICLES, 4) for part in range(4)]), [])
            stack.wait_indexed(admin.get(f"/api/v1/articles/{first['id']}").json, admin, 60)
            wait_for(lambda: admin.get("/api/v1/search", q="", owner_id=leaver_id).json["total"] == ARTICLES + 2, 120, "all in the index")
            self.assertEqual(admin.get(f"/api/v1/articles/{first['id']}").json["owner_id"], leaver_id)  # it is cached now
            self.expect_problem(stack.client(heir).get(f"/api/v1/articles/{hidden['id']}"), 404)

            begin = time.monotonic()
            answer = self.expect(stack.client(timeout=60).post(f"/api/v1/users/{leaver_id}/hand-over", {"to": heir_id}), 200)
            print(f"{ARTICLES + 2} articles handed over in {time.monotonic() - begin:.2f} s")
            self.assertEqual(answer.json["articles"], ARTICLES + 2)
            for article_id in (first["id"], ids[0], ids[-1], hidden["id"]):
                self.assertEqual(admin.get(f"/api/v1/articles/{article_id}").json["owner_id"], heir_id)
            self.expect(stack.client(heir).get(f"/api/v1/articles/{hidden['id']}"), 200)
            self.expect_problem(stack.client(leaver).get(f"/api/v1/articles/{hidden['id']}"), 404)
            wait_for(lambda: admin.get("/api/v1/search", q="", owner_id=heir_id).json["total"] == ARTICLES + 2, 120, "the heir's in the index")
            self.assertEqual(stack.client(leaver).get("/api/v1/search", q="内密").json["total"], 0)
            self.assertEqual(stack.client(heir).get("/api/v1/search", q="内密").json["total"], 1)


if __name__ == "__main__":
    unittest.main()
