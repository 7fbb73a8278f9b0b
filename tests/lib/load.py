"""A mixed load over many connections that knows every state an article may be in, and so notices each wrong answer.

An article has one writer, which changes it revision by revision; all connections of the process read it. Titles and bodies
are made from the article's key and the revision's number, so an answer tells by itself which state it shows."""

import contextlib
import hashlib
import http.client
import multiprocessing
import random
import re
import secrets
import threading
import time
import traceback
from collections import Counter, namedtuple

from stack import Client

CONNECTIONS = 64
PROCESSES = 4
PAUSE = 0.04  # seconds between two requests of one connection
LOST = (OSError, http.client.HTTPException)
TITLE = re.compile(r"^負荷 (k\w+) 第(\d+)版$")

#: One exchange: what ("read", "search", "create", "patch"), when it began and ended, its status; None: the connection was lost.
Event = namedtuple("Event", "kind began ended status")


def key_of(*parts):
    """One word for search: no digits, where words are cut, and no vowels, which endings have."""
    digest = hashlib.sha256(" ".join(map(str, parts)).encode()).digest()
    return "k" + "".join("bcfhjkmpqrtvwxzg"[byte % 16] for byte in digest[:11])


def title_of(key, revision):
    return f"負荷 {key} 第{revision}版"


def body_of(key, revision):
    seed = hashlib.sha256(f"{key} {revision}".encode()).hexdigest()
    return f"# {key}\n\n第{revision}版の本文。" + seed * (1 + revision % 5)


class Record:
    """An article of the load. Revisions up to `floor` are known to be on disk; those up to `top` have been sent."""

    def __init__(self, key, number):
        self.key = key
        self.id = number
        self.floor = 1
        self.top = 1
        self.refused = set()
        self.uncertain = False
        self.lock = threading.Lock()

    def saw(self, revision):
        with self.lock:
            self.floor = max(self.floor, revision)


class Worker:
    """The connections of one process."""

    def __init__(self, stack, name, connections, pause):
        self.stack = stack
        self.name = name
        self.connections = connections
        self.pause = pause
        self.stopping = threading.Event()
        self.records = []
        self.events = []
        self.wrong = []
        self.acknowledged = Counter()

    # ---------------------------------------------------------------- exchanges

    def ask(self, client, kind, method, path, body=None, headers=None):
        """One exchange; None when the connection was lost."""
        began = time.monotonic()
        try:
            answer = client.request(method, path, body, headers)
        except LOST:
            answer = None
        self.events.append(Event(kind, began, time.monotonic(), answer and answer.status))
        if answer is None:
            time.sleep(0.01)  # nobody may listen just now
        return answer

    def unexpected(self, what, answer):
        self.wrong.append(f"{what}: {answer}")

    def check(self, record, floor, answer):
        """A 200 shows a revision that was sent, not refused, and not older than what was known when it was asked for."""
        article = answer.json
        shown = TITLE.match(article["title"])
        revision = int(shown[2]) if shown and shown[1] == record.key else 0
        if (article["id"] != record.id or not floor <= revision <= record.top or revision in record.refused
                or article["body"] != body_of(record.key, revision)):
            self.unexpected(f"{record.key}, revision {floor} to {record.top} expected", answer)
            return None
        record.saw(revision)
        return revision

    def read(self, client, record):
        """The answer to a read by id, or None."""
        floor = record.floor
        answer = self.ask(client, "read", "GET", f"/api/v1/articles/{record.id}")
        if answer is not None and answer.status == 200:
            return answer if self.check(record, floor, answer) else None
        if answer is not None and answer.status != 503:
            self.unexpected(f"read of {record.key}", answer)
        return None

    def create(self, client, key):
        """Send the same creation until it is acknowledged, as the key allows. None: the end came first."""
        body = {"title": title_of(key, 1), "body": body_of(key, 1), "type": "incident", "status": "published"}
        give_up = None
        while give_up is None or time.monotonic() < give_up:
            answer = self.ask(client, "create", "POST", "/api/v1/articles", body, {"Idempotency-Key": f"create-{key}"})
            if answer is not None and answer.status == 201:
                article = answer.json
                if (article["title"], article["body"]) != (body["title"], body["body"]):
                    self.unexpected(f"creation of {key}", answer)
                record = Record(key, article["id"])
                self.records.append(record)
                self.acknowledged["create"] += 1
                return record
            if answer is not None and answer.status != 503:
                self.unexpected(f"creation of {key}", answer)
                return None
            if self.stopping.is_set() and give_up is None:
                give_up = time.monotonic() + 10
            time.sleep(0.02)
        self.unexpected(f"creation of {key}", "never acknowledged")
        return None

    def patch(self, client, record):
        """The next revision over the newest; without an idempotency key, so a lost answer leaves two possible states."""
        newest = self.read(client, record)
        if newest is None:
            return
        revision = record.top + 1
        record.top = revision
        body = {"title": title_of(record.key, revision), "body": body_of(record.key, revision)}
        answer = self.ask(client, "patch", "PATCH", f"/api/v1/articles/{record.id}", body, {"If-Match": newest.etag})
        if answer is not None and answer.status == 200:
            self.check(record, revision, answer)
            record.uncertain = False
            self.acknowledged["patch"] += 1
        elif answer is not None and answer.status == 412 and record.uncertain:
            record.refused.add(revision)  # an earlier one whose answer was lost has come between
        elif answer is None or answer.status == 503:
            record.uncertain = True
        else:
            self.unexpected(f"patch of {record.key}", answer)

    def search(self, client, record):
        """Hits are articles of the load in a state that was sent; the index may be behind, but not beside."""
        answer = self.ask(client, "search", "GET", f"/api/v1/search?q={record.key}")
        if answer is None or answer.status == 503:
            return None
        if answer.status != 200:
            self.unexpected(f"search for {record.key}", answer)
            return None
        for hit in answer.json["hits"]:
            shown = TITLE.match(hit["title"])
            if not shown or shown[1] != record.key or hit["id"] != record.id or not 1 <= int(shown[2]) <= record.top:
                self.unexpected(f"search for {record.key}", answer)
        return answer

    # ---------------------------------------------------------------- run

    def client(self):
        client = Client(self.stack, self.stack.admin_token)
        client.repeats = False
        return client

    def run_connection(self, number):
        dice = random.Random(f"{self.name} {number}")
        own = []
        with contextlib.closing(self.client()) as client:
            time.sleep(dice.random() * self.pause)
            while not self.stopping.is_set():
                chance = dice.random()
                if not own or chance < 0.1:
                    record = self.create(client, key_of(self.name, number, len(own)))
                    own += [record] if record else []
                elif chance < 0.25:
                    self.patch(client, dice.choice(own))
                elif chance < 0.4:
                    self.search(client, dice.choice(self.records))
                else:
                    self.read(client, dice.choice(self.records))
                time.sleep(self.pause * (0.5 + dice.random()))

    def guarded(self, call, *arguments):
        try:
            call(*arguments)
        except Exception:
            self.wrong.append(traceback.format_exc())

    def each(self, call, items, threads=4):
        """call(client, item) for all items, over a few connections."""
        items = iter(items)

        def drain():
            with contextlib.closing(self.client()) as client:
                while True:
                    with lock:
                        item = next(items, None)
                    if item is None:
                        return
                    call(client, item)
        lock = threading.Lock()
        running = [threading.Thread(target=self.guarded, args=(drain,)) for _ in range(threads)]
        for thread in running:
            thread.start()
        for thread in running:
            thread.join()

    def verify(self):
        """Keys of what was acknowledged and is not there any more. Waits for daemons that are just starting."""
        lost = []

        def read(client, record):
            end = time.monotonic() + 10
            floor = record.floor
            while True:
                answer = self.ask(client, "verify", "GET", f"/api/v1/articles/{record.id}")
                if answer is not None and answer.status == 200:
                    if self.check(record, floor, answer) is None:
                        lost.append(record.key)
                    return
                if (answer is not None and answer.status != 503) or time.monotonic() > end:
                    lost.append(f"{record.key}: {answer}")
                    return
                time.sleep(0.05)

        def search(client, record):
            end = time.monotonic() + 10
            while True:
                answer = self.search(client, record)
                if answer is not None and [TITLE.match(hit["title"])[2] for hit in answer.json["hits"]] == [str(record.floor)]:
                    return
                if time.monotonic() > end:
                    self.unexpected(f"search for {record.key} in revision {record.floor}, at the end", answer)
                    return
                time.sleep(0.05)
        self.each(read, self.records)
        events = self.events
        self.events = []
        self.each(search, self.records)
        self.events = events
        return lost

    def run(self, stop, verify, pipe):
        threads = [threading.Thread(target=self.guarded, args=(self.run_connection, number)) for number in range(self.connections)]
        for thread in threads:
            thread.start()
        stop.wait()
        self.stopping.set()
        for thread in threads:
            thread.join()
        pipe.send("stopped")
        verify.wait()
        lost = self.verify()
        pipe.send({"events": self.events, "wrong": self.wrong, "lost": lost, "acknowledged": self.acknowledged,
                   "ids": {record.key: record.id for record in self.records}})
        pipe.close()


class Load:
    """A running load. Use as a context manager; stop(), then verify(), which gathers what happened."""

    def __init__(self, stack, connections=CONNECTIONS, processes=PROCESSES, pause=PAUSE):
        context = multiprocessing.get_context("fork")
        self.stop_event, self.verify_event = context.Event(), context.Event()
        self.processes, self.pipes = [], []
        self.events, self.wrong, self.lost, self.ids, self.acknowledged = [], [], [], {}, Counter()
        for number in range(processes):
            ours, theirs = context.Pipe()
            worker = Worker(stack, f"{secrets.token_hex(4)} {number}", connections // processes, pause)
            self.pipes.append(ours)
            self.processes.append(context.Process(target=worker.run, args=(self.stop_event, self.verify_event, theirs), daemon=True))

    def __enter__(self):
        for process in self.processes:
            process.start()
        return self

    def __exit__(self, *_):
        for process in self.processes:
            process.kill()
            process.join()

    def receive(self, seconds):
        end = time.monotonic() + seconds
        for pipe in self.pipes:
            if not pipe.poll(max(0, end - time.monotonic())):
                raise AssertionError(f"a process of the load did not report within {seconds} s")
            yield pipe.recv()

    def stop(self):
        """End the load; returns when each connection has its last answer."""
        self.stop_event.set()
        list(self.receive(30))

    def verify(self, seconds=60):
        """Read and search for everything that was acknowledged."""
        self.verify_event.set()
        for report in self.receive(seconds):
            self.events += [Event(*event) for event in report["events"]]
            self.wrong += report["wrong"]
            self.lost += report["lost"]
            self.ids |= report["ids"]
            self.acknowledged += report["acknowledged"]
        self.events.sort(key=lambda event: event.ended)

    def between(self, kinds, begin, end):
        """Exchanges of these kinds that ended in the time between."""
        return [event for event in self.events if event.kind in kinds and begin <= event.ended < end]


def succeeded(event):
    return event.status is not None and event.status < 300


def outage(events, killed, gone):
    """Seconds from the kill, which happened between these times, until the last failure or until the first success of what
    began when the daemon was gone, whichever is longer."""
    failures = [event.ended - killed for event in events if not succeeded(event) and event.status != 412]
    successes = [event.ended - killed for event in events if succeeded(event) and event.began >= gone]
    return max(max(failures, default=0.0), min(successes, default=float("inf")))


def slowest(events):
    return max(event.ended - event.began for event in events)
