"""Clients that leave at any moment of a login, a change of the second factor, or a request on sessions, while the directory, Redis
and the store answer, are silent, or are away: no daemon dies, and everyone else goes on."""

import contextlib
import json
import os
import random
import signal
import socket
import struct
import threading
import time
import unittest

import slapd
from case import Case
from redis_server import Redis
from slapd import Slapd
from stack import Stack, wait_for

PEOPLE = ("ana", "ben")
RUDE = 12
SECONDS = 6
SESSION, FACTOR = "/api/v1/session", "/api/v1/users/me/second-factor"


def setUpModule():
    if not slapd.is_installed():
        raise unittest.SkipTest("slapd is not installed")


class Aborts(Case):
    """Sessions in the store."""

    @classmethod
    def settings(cls):
        return {}

    @classmethod
    def setUpClass(cls):
        cls.directory = directory = cls.enterClassContext(Slapd())
        for name in PEOPLE:
            directory.add_person(name)
        directory.add_group("kb-viewers", *map(directory.dn, PEOPLE))
        settings = {"MIRAI_RPC_DEADLINE_MS": 400, "MIRAI_AUTH_CACHE_MS": 20, "MIRAI_GATEWAY_THREADS": 2} | cls.settings()
        cls.stack = cls.enterClassContext(Stack(**directory.settings(
            directory.dir / "reader-password", MIRAI_LDAP_SERVER_MS=400, MIRAI_LDAP_DEADLINE_MS=900, **settings)))
        cls.stack.make_user("local", "editor")

    # ---------------------------------------------------------------- what is asked for

    def log_in(self, name):
        """A session's headers; None when nobody can log in just now."""
        with contextlib.suppress(OSError, AssertionError, KeyError):
            with contextlib.closing(self.stack.login(name, f"the password of {name}")) as client:
                return client.own
        return None

    def requests(self, own):
        """(method, path, body, headers) at random, without end."""
        logins = [(name, f"the password of {name}") for name in (*PEOPLE, "local", "nobody", "KB\\ana", "ben@kb.test")]
        while True:
            kind = random.randrange(9)
            name, password = random.choice(logins)
            if kind < 3 or own is None:
                yield "POST", SESSION, {"name": name, "password": random.choice((password, "wrong"))}, random.choice(({}, own or {}))
            elif kind == 3:
                yield "POST", FACTOR, {"password": random.choice((password, "wrong"))}, own
            elif kind == 4:
                yield "DELETE", FACTOR, {"password": password, "otp": "123456"}, own
            elif kind == 5:
                yield "PUT", FACTOR, {"otp": "123456"}, own
            elif kind == 6:
                yield "DELETE", f"/api/v1/sessions/{random.randrange(1, 50)}", None, own
            elif kind == 7:
                yield "GET", random.choice((SESSION, "/api/v1/sessions", "/api/v1/articles")), None, own
            else:
                yield "DELETE", random.choice((SESSION, "/api/v1/sessions")), None, own

    @staticmethod
    def bytes_of(method, path, body, headers):
        content = json.dumps(body).encode() if body is not None else b""
        lines = [f"{method} {path} HTTP/1.1", "Host: localhost", f"Content-Length: {len(content)}", "Content-Type: application/json",
                 *(f"{name}: {value}" for name, value in headers.items() if name != "Origin"), "", ""]
        return "\r\n".join(lines).encode() + content

    def rude(self, end):
        """Ask, wait for a moment, and leave: politely, with RST, or with the next requests already sent."""
        own = None
        while time.monotonic() < end:
            own = own or self.log_in(random.choice((*PEOPLE, "local")))
            asks = self.requests(own)
            with contextlib.suppress(OSError):
                raw = socket.create_connection(("127.0.0.1", self.stack.port), 5)
                connection = self.stack.tls.wrap_socket(raw, server_hostname="localhost")
                for _ in range(random.choice((1, 1, 1, 3))):
                    connection.sendall(self.bytes_of(*next(asks)))
                time.sleep(random.choice((0, 0.001, 0.004, 0.02, 0.3)) * random.random())
                if random.random() < 0.5:
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                connection.close()
            if random.random() < 0.2:
                own = None

    def disturb(self, end):
        """Each of those who are asked falls silent, or is gone, in turn."""
        while time.monotonic() < end:
            for pid in self.others():
                with self.silent(pid):
                    time.sleep(random.random() * 0.6)
                time.sleep(random.random() * 0.3)

    def others(self):
        return [self.directory.process.pid, self.stack.pids()["knowledge-store"]]

    @contextlib.contextmanager
    def silent(self, pid):
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)

    # ---------------------------------------------------------------- tests

    def test_leaving_at_any_moment(self):
        before = self.stack.pids()["gateway"]
        end = time.monotonic() + SECONDS
        threads = [threading.Thread(target=self.rude, args=(end,)) for _ in range(RUDE)]
        threads.append(threading.Thread(target=self.disturb, args=(end,)))
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(SECONDS + 60)
            self.assertFalse(thread.is_alive())
        for name in (*PEOPLE, "local"):
            wait_for(lambda: self.log_in(name) is not None, 60, f"a login of {name}")
        self.assertEqual(self.stack.pids()["gateway"], before)
        self.assertEqual(self.stack.deaths(), [])


class AbortsWithRedis(Aborts):
    """Sessions in Redis."""

    @classmethod
    def settings(cls):
        cls.redis = cls.enterClassContext(Redis("a+secret"))
        return cls.redis.settings

    def others(self):
        return [self.redis.process.pid, *super().others()]


if __name__ == "__main__":
    unittest.main()
