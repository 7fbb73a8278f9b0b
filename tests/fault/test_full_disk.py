"""A full disk under the store: writes answer 507, reads go on, nothing is half-written, and room is enough to recover."""

import contextlib
import os
import pathlib
import shutil
import sqlite3
import subprocess
import tempfile
import threading
import time
import unittest

from case import Case
from stack import Stack, measured, wait_for

SIZE = 12 << 20
BODY = "満杯になるまで書く。" * 1500  # 45 kB
WRITERS = 8


def mount():
    """A small file system of its own; its directory, or None where that is not allowed."""
    directory = pathlib.Path(tempfile.mkdtemp(prefix="mirai-disk-"))
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE},mode=700", "mirai-test", directory], capture_output=True)
    if done.returncode != 0:
        directory.rmdir()
        return None
    return directory


def unmount(directory):
    subprocess.run(["umount", directory], check=True, capture_output=True)
    directory.rmdir()


@unittest.skipUnless(os.geteuid() == 0, "only root may mount a small file system")
class FullDisk(Case):
    def setUp(self):
        disk = mount()
        if disk is None:
            self.skipTest("a tmpfs cannot be mounted here")
        self.addCleanup(unmount, disk)
        self.data_dir = disk / "data"
        # The index lives elsewhere, as it does with the units: only the store meets the full disk.
        index = pathlib.Path(tempfile.mkdtemp(prefix="mirai-index-"))
        self.addCleanup(shutil.rmtree, index, ignore_errors=True)
        self.data_dir.mkdir()
        (index / "search-index@1").mkdir()
        (self.data_dir / "search-index@1").symlink_to(index / "search-index@1")
        self.ballast = disk / "ballast"
        self.stack = self.enterContext(Stack(data_dir=self.data_dir, MIRAI_STORE_CACHE_BYTES=0))

    def fill(self, leave=0):
        """Take the free space but for `leave` bytes."""
        free = shutil.disk_usage(self.data_dir).free
        with open(self.ballast, "ab") as file, contextlib.suppress(OSError):
            file.write(b"\0" * max(0, free - leave))

    def write_until_full(self):
        """Create articles and patch one of them on several connections until the disk refuses; (acknowledged, refused)."""
        stack, acknowledged, refused, wrong = self.stack, {}, [], []
        lock = threading.Lock()

        def run(number):
            with contextlib.closing(stack.client()) as client:
                for turn in range(200):
                    title = f"満杯{number}-{turn}"
                    answer = client.post("/api/v1/articles", {"title": title, "body": BODY + title, "type": "other", "status": "published"})
                    with lock:
                        if answer.status == 201:
                            acknowledged[answer.json["id"]] = answer.json
                        elif answer.status == 507:
                            refused.append(answer)
                        else:
                            wrong.append(answer)
                    if len(refused) >= 5 * WRITERS or wrong:
                        return
        threads = [threading.Thread(target=run, args=(number,)) for number in range(WRITERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(wrong[:3], [])
        return acknowledged, refused

    def check_content(self, acknowledged):
        """What is there is exactly what was acknowledged."""
        client = self.stack.client()
        for number, article in acknowledged.items():
            answer = self.expect(client.get(f"/api/v1/articles/{number}"), 200)
            self.assertEqual((answer.json["title"], answer.json["body"], answer.json["version"]),
                             (article["title"], article["body"], article["version"]))
        self.assertEqual({row["id"] for row in client.pages("/api/v1/articles", limit=200)}, set(acknowledged))
        self.assertEqual(client.get("/api/v1/statistics").json["articles"], len(acknowledged))

    def test_writes_answer_507_and_come_back(self):
        stack = self.stack
        client = stack.client()
        pid = stack.pid("knowledge-store")
        first = stack.article(title="満杯の前", body="ここから")
        self.fill(leave=3 << 20)
        acknowledged, refused = self.write_until_full()
        measured("full disk", f"{len(acknowledged)} writes acknowledged, {len(refused)} answered 507")
        self.assertGreater(len(acknowledged), 10)
        self.assertGreaterEqual(len(refused), 5 * WRITERS)
        self.fill()
        for answer in refused:
            self.expect_problem(answer, 507, "insufficient-storage")
        acknowledged[first["id"]] = first

        # Every kind of write is refused in the same way, and leaves nothing behind.
        path = f"/api/v1/articles/{first['id']}"
        for answer in (client.patch(path, {"body": BODY}, "*"),
                       client.request("POST", f"{path}/attachments?name=a.bin", raw=b"x" * (2 << 20), headers={"Content-Type": "application/octet-stream"})):
            self.expect_problem(answer, 507)
        self.assertEqual(client.get(f"{path}/attachments").json["items"], [])
        self.check_content(acknowledged)
        self.expect(client.get(path), 200)
        self.expect(client.get("/ready"), 200)
        stack.wait_indexed(first)

        # Room again: the next write works, without a restart and without a wait.
        self.ballast.unlink()
        freed = time.monotonic()
        made = wait_for(lambda: (answer := client.post("/api/v1/articles", {"title": "満杯の後", "body": BODY, "type": "other", "status": "published"})).status == 201 and answer, 5, "a write after space was freed")
        measured("full disk: space freed until a write worked", f"{time.monotonic() - freed:.3f} s")
        self.assertLess(time.monotonic() - freed, 1.0)
        acknowledged[made.json["id"]] = made.json
        patched = self.expect(client.patch(path, {"body": "まだここに"}, "*"), 200)
        acknowledged[first["id"]] = patched.json
        self.expect(client.request("POST", f"{path}/attachments?name=a.bin", raw=b"x" * 50000, headers={"Content-Type": "application/octet-stream"}), 201)
        self.check_content(acknowledged)
        stack.wait_indexed(made.json)
        self.assertEqual(stack.pid("knowledge-store"), pid)
        self.check_files()

    def test_a_full_disk_survives_a_restart(self):
        """The store starts on a disk without room, serves reads, and refuses writes."""
        stack = self.stack
        article = stack.article(title="満杯のまま起動")
        stack.wait_indexed(article)
        self.fill(leave=1 << 20)
        acknowledged, refused = self.write_until_full()
        self.assertGreaterEqual(len(refused), 5 * WRITERS)
        acknowledged[article["id"]] = article
        self.fill()
        stack.stop()
        self.fill()
        stack.start()
        self.check_content(acknowledged)
        answer = stack.client().post("/api/v1/articles", {"title": "無理", "body": BODY * 10, "type": "other"})
        self.expect_problem(answer, 507)
        self.ballast.unlink()
        self.expect(stack.client().post("/api/v1/articles", {"title": "できる", "body": BODY, "type": "other"}), 201)

    def check_files(self):
        stack = self.stack
        self.assertEqual(stack.stop(), 0)
        self.assertEqual(list((self.data_dir / "uploads").iterdir()), [])
        copy = stack.dir / "copy.db"
        shutil.copy(self.data_dir / "knowledge.db", copy)
        with contextlib.closing(sqlite3.connect(copy)) as database:
            self.assertEqual(database.execute("PRAGMA integrity_check").fetchall(), [("ok",)])
            self.assertEqual(database.execute("PRAGMA foreign_key_check").fetchall(), [])


if __name__ == "__main__":
    unittest.main()
