"""Orderly restarts under load, and search replicas that come and go."""

import contextlib
import pathlib
import re
import signal
import subprocess
import threading
import time
import unittest
from collections import Counter

from case import Case
from load import Load, key_of, slowest, succeeded
from stack import BIN, DAEMONS, Stack, measured, wait_for

DRAIN_MAX = 5.0


class Restart(Case):
    def terminate(self, stack, daemon):
        """SIGTERM; returns its time and how long the daemon took to end, once its successor is there."""
        began = time.monotonic()
        pid = stack.kill(daemon, signal.SIGTERM)
        wait_for(lambda: not pathlib.Path(f"/proc/{pid}").exists(), 2 * DRAIN_MAX, f"end of {daemon}")
        took = time.monotonic() - began
        wait_for(lambda: stack.pid(daemon) not in (None, pid), 5, f"a new {daemon}")
        return began, took

    def test_each_daemon_under_light_load(self):
        with Stack(may_restart=True) as stack, Load(stack, connections=16, processes=2) as load:
            time.sleep(1)
            restarts = []
            for daemon in DAEMONS:
                began, took = self.terminate(stack, daemon)
                restarts.append((daemon, began))
                measured(f"{daemon}: SIGTERM to end", f"{took:.2f} s")
                self.assertLess(took, DRAIN_MAX, daemon)
                time.sleep(1.2)
            end = time.monotonic()
            load.stop()
            load.verify()
            self.assertGreater(load.acknowledged["create"], 100)
            self.assertGreater(load.acknowledged["patch"], 100)
            self.assertEqual(load.lost[:5], [])
            self.assertEqual(load.wrong[:5], [])
            for (daemon, began), (_, until) in zip(restarts, restarts[1:] + [(None, end)]):
                events = load.between(("read", "create", "patch", "search"), began, until)
                failed = [event for event in events if not succeeded(event) and event.status != 412]
                measured(f"{daemon}: failed while it was started again", f"{len(failed)} of {len(events)}, the slowest {slowest(events):.3f} s")
                self.assertGreater(len(events), 100)
                if daemon == "gateway":  # its port is closed for a moment, but what it has taken it answers
                    self.assertEqual([event for event in failed if event.status is not None], [])
                    self.assertLess(max(event.ended for event in failed) - began, 2) if failed else None
                else:
                    self.assertEqual(failed, [])
            self.assertEqual(Counter(stack.deaths()), {f"{daemon} (signal None, exit code 0)": 1 for daemon in DAEMONS})
            self.assertEqual(stack.stop(), 0)


class Searchers:
    """Connections that search without pause for articles that are known to be in the index: each answer must have them."""

    def __init__(self, stack, keys, connections=8):
        self.stack = stack
        self.keys = keys
        self.stopping = threading.Event()
        self.failures = []
        self.answered = 0
        self.threads = [threading.Thread(target=self.run, args=(number,)) for number in range(connections)]

    def run(self, number):
        with contextlib.closing(self.stack.client()) as client:
            client.repeats = False
            while not self.stopping.is_set():
                key = self.keys[(self.answered + number) % len(self.keys)]
                try:
                    answer = client.get("/api/v1/search", q=key)
                    if answer.status != 200 or answer.json["total"] != 1:
                        self.failures.append(answer)
                except OSError as error:
                    self.failures.append(error)
                self.answered += 1
                time.sleep(0.01)

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        for thread in self.threads:
            thread.join()


class Replicas(Case):
    def shares(self, stack):
        """Searches answered so far, by instance; as the daemons count them."""
        text = stack.curl(f"http://127.0.0.1:{stack.metrics_port}/metrics").stdout.decode()
        pattern = r'^mirai_rpc_requests_total\{daemon="search-index",daemon_instance="(\w+)",method="search.query",result="ok"\} (\d+)$'
        return Counter({name: int(count) for name, count in re.findall(pattern, text, re.MULTILINE)})

    @contextlib.contextmanager
    def replica(self, stack):
        process = subprocess.Popen([BIN / "mirai-search-index"], env=stack.environment | {"MIRAI_INSTANCE": "2"},
                                   stdout=stack.log, stderr=stack.log, stdin=subprocess.DEVNULL)
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    def wait_share(self, stack, least=200):
        """Until instance 2 has answered so many; then it must have about half of what was asked since."""
        begun = time.monotonic()
        wait_for(lambda: self.shares(stack)["2"] > 0, 10, "a search at the replica")
        measured("replica: start to its first search", f"{time.monotonic() - begun:.2f} s, metrics' delay included")
        before = self.shares(stack)
        after = wait_for(lambda: (now := self.shares(stack))["2"] >= before["2"] + least and now, 20, "the replica's share")
        share = (after["2"] - before["2"]) / (after.total() - before.total())
        measured("replica: share of the searches", f"{share:.2f}")
        self.assertGreater(share, 0.3)
        self.assertLess(share, 0.7)

    def test_a_replica_comes_and_goes(self):
        with Stack() as stack:
            pids = stack.pids()
            keys = [key_of("replica", number) for number in range(300)]
            articles = [stack.article(title=key) for key in keys]
            for article in articles[-3:]:
                stack.wait_indexed(article)
            with Searchers(stack, keys) as searchers:
                time.sleep(0.5)
                with self.replica(stack) as process:
                    self.wait_share(stack)
                    began = time.monotonic()
                    process.terminate()
                    self.assertEqual(process.wait(DRAIN_MAX), 0)
                    measured("replica: SIGTERM to end", f"{time.monotonic() - began:.2f} s")
                self.assertFalse((stack.dir / "run" / "search-index@2.sock").exists())
                time.sleep(0.5)
                for _ in range(3):  # a search is on its way nearly always, but not always
                    with self.replica(stack) as process:
                        wait_for(lambda: self.shares(stack)["2"] > 50, 15, "searches at the replica")
                        process.kill()
                        self.assertEqual(process.wait(5), -signal.SIGKILL)
                    time.sleep(0.5)
                wait_for(lambda: "2" not in self.shares(stack), 10, "the metrics without the replica")
                time.sleep(0.5)
            measured("searches while replicas came and went", f"{searchers.answered}, {len(searchers.failures)} failed or incomplete")
            self.assertGreater(searchers.answered, 2000)
            self.assertEqual(searchers.failures[:5], [])
            self.assertEqual(stack.pids(), pids)


if __name__ == "__main__":
    unittest.main()
