"""kill -9 of each daemon under a mixed load of 64 connections: nothing acknowledged is lost, no answer is wrong, reads by id
work again within a second. MIRAI_FAULT_ROUNDS says how often each daemon is killed."""

import contextlib
import os
import random
import shutil
import sqlite3
import time
import unittest
from collections import Counter

from case import Case
from load import CONNECTIONS, TITLE, Load, outage, slowest, succeeded
from stack import DAEMONS, Stack, measured, wait_for

ROUNDS = int(os.environ.get("MIRAI_FAULT_ROUNDS", "2"))
OUTAGE_MAX = 1.0
PERIOD = 2.2  # seconds between two kills; in turn, so that each daemon lives long enough to be started again at once
READ, WRITE, SEARCH = ("read",), ("create", "patch"), ("search",)
#: What may fail for a moment while a daemon is away; anything else may not fail at all.
SUFFERS = {
    "gateway": READ + WRITE + SEARCH,
    "knowledge-store": READ + WRITE + SEARCH,  # searches as well: it is the store that knows who asks
    "search-index": SEARCH,
    "backup": (),
    "metrics": (),
}


class Kill(Case):
    def kill(self, stack, daemon):
        """Kill it once at a random moment and wait for its successor; returns its name and two times around the kill."""
        time.sleep(random.uniform(0, 0.2))
        before = time.monotonic()
        pid = stack.kill(daemon)
        after = time.monotonic()
        wait_for(lambda: stack.pid(daemon) not in (None, pid), 5, f"a new {daemon}")
        time.sleep(max(0, before + PERIOD - time.monotonic()))
        return daemon, before, after

    def check_outages(self, load, kills, end):
        longest = dict.fromkeys(((daemon, kinds) for daemon in DAEMONS for kinds in (READ, WRITE, SEARCH)), 0.0)
        slowest_read = 0.0
        for (daemon, before, after), (_, until, _) in zip(kills, kills[1:] + [(None, end, None)]):
            for kinds in (READ, WRITE, SEARCH):
                events = load.between(kinds, before, until)
                with self.subTest(daemon=daemon, what=kinds[0]):
                    self.assertGreater(len(events), 20)
                    seconds = outage(events, before, after)
                    longest[daemon, kinds] = max(seconds, longest[daemon, kinds])
                    self.assertLessEqual(seconds, OUTAGE_MAX)
                    if not set(kinds) <= set(SUFFERS[daemon]):
                        self.assertEqual([event for event in events if not succeeded(event) and event.status != 412], [])
            slowest_read = max(slowest_read, slowest(load.between(READ, before, until)))
        for daemon in DAEMONS:
            measured(f"longest outage after kill -9 of {daemon}", ", ".join(
                f"{name} {longest[daemon, kinds]:.3f} s" for name, kinds in (("reads", READ), ("writes", WRITE), ("searches", SEARCH))))
        measured("longest time in which reads by id failed", f"{max(longest[daemon, READ] for daemon in DAEMONS):.3f} s")
        measured("slowest read by id, waiting for a daemon included", f"{slowest_read:.3f} s")
        self.assertLessEqual(slowest_read, OUTAGE_MAX)  # a read that hangs is none

    def check_once(self, stack, load):
        """Each acknowledged article is there once, and nothing else is; all counts agree."""
        rows = list(stack.client().pages("/api/v1/articles", limit=200))
        times = Counter(TITLE.match(row["title"])[1] for row in rows)
        self.assertEqual({key: count for key, count in times.items() if count > 1}, {})
        self.assertEqual({TITLE.match(row["title"])[1]: row["id"] for row in rows}, load.ids)
        self.assertEqual(stack.client().get("/api/v1/statistics").json["articles"], len(rows))
        self.assertEqual(stack.client().get("/api/v1/search", q="負荷", limit=1).json["total"], len(rows))

    def check_files(self, stack):
        """After the stop: every database is whole."""
        databases = [path for path in stack.data_dir.rglob("*.db")]
        self.assertGreaterEqual(len(databases), 2)
        for path in databases:
            copy = stack.dir / "copy.db"
            shutil.copy(path, copy)
            for suffix in ("-wal", "-shm"):
                with contextlib.suppress(FileNotFoundError):
                    shutil.copy(f"{path}{suffix}", f"{copy}{suffix}")
            with contextlib.closing(sqlite3.connect(copy)) as database:
                self.assertEqual(database.execute("PRAGMA integrity_check").fetchall(), [("ok",)], path)
                self.assertEqual(database.execute("PRAGMA foreign_key_check").fetchall(), [], path)

    def test_each_daemon_under_load(self):
        with Stack(may_restart=True) as stack, Load(stack) as load:
            time.sleep(1.5)
            kills = [self.kill(stack, daemon) for _ in range(ROUNDS) for daemon in DAEMONS]
            end = time.monotonic()
            load.stop()
            load.verify(60 + 5 * ROUNDS)
            measured("load", f"{CONNECTIONS} connections, {len(kills)} kills, {len(load.events)} exchanges, "
                     + ", ".join(f"{count} {kind}" for kind, count in sorted(load.acknowledged.items())) + " acknowledged")
            measured("acknowledged writes lost", len(load.lost))
            measured("wrong answers", len(load.wrong))
            self.assertGreater(load.acknowledged["create"], 50 * len(kills))
            self.assertGreater(load.acknowledged["patch"], 50 * len(kills))
            self.assertEqual(load.lost[:5], [])
            self.assertEqual(load.wrong[:5], [])
            self.check_outages(load, kills, end)
            self.check_once(stack, load)
            wait_for(lambda: set(stack.pids()) == set(DAEMONS), 5, "all daemons")
            self.assertEqual(Counter(stack.deaths()), {f"{daemon} (signal 9, exit code None)": ROUNDS for daemon in DAEMONS})
            self.assertEqual(stack.stop(), 0)
            self.check_files(stack)


if __name__ == "__main__":
    unittest.main()
