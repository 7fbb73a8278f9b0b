"""Rate limits, logins after failed ones, and whom the gateway believes on where a request came from."""

import concurrent.futures
import http.client
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import time
import unittest

from case import Case
from redis_server import KEY, Redis
from stack import BIN, OtherGateway, Stack, free_port, wait_for

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
QUICK_PASSWORDS = {"MIRAI_PASSWORD_MEMORY_KIB": 8192, "MIRAI_PASSWORD_PASSES": 1, "MIRAI_LOGIN_FAILURE_MS": 0}


def via(address):
    """The header of a trusted proxy for a client at this address."""
    return {"X-Forwarded-For": address}


def log_in(client, name, password, address=None):
    return client.request("POST", "/api/v1/session", {"name": name, "password": password}, via(address) if address else {})


class Limits(Case):
    def expect_throttled(self, answer, policy):
        """A refusal as RFC 6585 §4 and draft-ietf-httpapi-ratelimit-headers-10 have it."""
        self.expect_problem(answer, 429, "too-many-requests")
        wait = int(answer.headers["Retry-After"])
        self.assertGreaterEqual(wait, 1)
        self.assertRegex(answer.headers["RateLimit-Policy"], rf'^"{policy}";q=\d+;w=\d+$')
        remaining, reset = re.fullmatch(rf'"{policy}";r=(\d+);t=(\d+)', answer.headers["RateLimit"]).groups()
        self.assertEqual(int(remaining), 0)
        self.assertGreaterEqual(wait, int(reset))
        return answer

    def use_up(self, ask, most=200):
        """Ask until it is refused: the number of answers before, and the refusal."""
        for number in range(most):
            answer = ask(number)
            if answer.status == 429:
                return number, answer
        raise AssertionError(f"{most} requests and no 429")


class Accounts(Limits):
    WINDOW = 4
    QUOTAS = {"READS": 10, "WRITES": 4, "SEARCHES": 2, "UPLOADS": 1}

    @classmethod
    def setUpClass(cls):
        limits = {f"MIRAI_RATE_{name}": rate for name, rate in cls.QUOTAS.items()}
        cls.stack = cls.enterClassContext(Stack(MIRAI_RATE_WINDOW_S=cls.WINDOW, **limits))

    def quota(self, name):
        return self.QUOTAS[name] * self.WINDOW

    def fresh(self, name, role="editor"):
        """A new account's connection; made past the gateway, where the Admin's own requests would count."""
        name = f"{name}-{time.monotonic_ns()}"
        self.stack.ctl("user", "create", name, "--role", role, "--password-file", self.stack.dir / "password")
        return self.stack.client(self.stack.make_token(name, role))

    def test_each_class_stops_at_its_quota_and_recovers(self):
        article = self.stack.article()["id"]
        asks = {
            "reads": lambda client: client.get(f"/api/v1/articles/{article}"),
            "writes": lambda client: client.post(f"/api/v1/articles/{article}/comments", {"body": "はい"}),
            "searches": lambda client: client.get("/api/v1/search", q="無題"),
            "uploads": lambda client: client.request("POST", f"/api/v1/articles/{article}/attachments?name=a.txt", raw=b"x",
                                                     headers={"Content-Type": "text/plain"}),
        }
        for policy, ask in asks.items():
            with self.subTest(policy=policy):
                client = self.fresh(policy)
                quota = self.quota(policy.upper())
                started = time.monotonic()
                number, refusal = self.use_up(lambda _: ask(client))
                came_back = self.QUOTAS[policy.upper()] * (time.monotonic() - started)
                self.assertGreaterEqual(number, quota)
                self.assertLessEqual(number, quota + came_back + 1)
                self.expect_throttled(refusal, policy)
                wait_for(lambda: ask(client).status < 300, int(refusal.headers["Retry-After"]) + 5)
                other = self.fresh(policy)
                self.assertLess(ask(other).status, 300)

    def test_classes_are_counted_apart(self):
        client = self.fresh("apart")
        self.use_up(lambda _: client.get("/api/v1/search", q="無題"))
        self.expect(client.get("/api/v1/articles"), 200)
        self.use_up(lambda _: client.get("/api/v1/articles"))
        self.expect(client.post("/api/v1/tags", {"name": f"札{time.monotonic_ns()}"}), 201)

    def test_headers_stand_from_half_of_the_quota_on(self):
        client = self.fresh("headers")
        first = client.get("/api/v1/articles")
        self.assertIsNone(first.headers["RateLimit"])
        remaining = self.quota("READS")
        for _ in range(self.quota("READS") - 1):
            answer = self.expect(client.get("/api/v1/articles"), 200)
            if answer.headers["RateLimit"]:
                self.assertEqual(answer.headers["RateLimit-Policy"], f'"reads";q={self.quota("READS")};w={self.WINDOW}')
                remaining = int(re.fullmatch(r'"reads";r=(\d+);t=1', answer.headers["RateLimit"]).group(1))
                self.assertLess(remaining, self.quota("READS") / 2)
        self.assertLess(remaining, self.quota("READS") / 2, "no header at all")

    def test_an_account_has_one_quota_on_all_connections(self):
        token = self.fresh("many").token
        started = time.monotonic()

        def hammer(_):
            client = self.stack.client(token)
            return sum(client.get("/api/v1/articles").status == 200 for _ in range(20))
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            taken = sum(pool.map(hammer, range(8)))
        came_back = self.QUOTAS["READS"] * (time.monotonic() - started)
        self.assertGreaterEqual(taken, self.quota("READS"))
        self.assertLessEqual(taken, self.quota("READS") + came_back + 1)

    def test_what_is_forbidden_counts_too(self):
        client = self.fresh("viewer", "viewer")
        number, refusal = self.use_up(lambda _: client.post("/api/v1/tags", {"name": "札"}))
        self.assertGreaterEqual(number, self.quota("WRITES"))
        self.expect_throttled(refusal, "writes")

    def test_refusals_are_counted(self):
        client = self.fresh("counted")
        self.use_up(lambda _: client.get("/api/v1/search", q="無題"))
        wait_for(lambda: self.stack.metrics().get("mirai_gateway_throttled_total", 0) > 0, 15, "the counter")


class Addresses(Limits):
    @classmethod
    def setUpClass(cls):
        cls.stack = cls.enterClassContext(Stack(
            MIRAI_RATE_WINDOW_S=10, MIRAI_RATE_ANONYMOUS=2, MIRAI_RATE_UNAUTHENTICATED=1, MIRAI_RATE_LOGINS=1,
            MIRAI_TRUSTED_PROXIES="127.0.0.1,10.0.0.0/8", **QUICK_PASSWORDS))

    def setUp(self):
        self.client = self.stack.client(None)

    def page(self, forwarded_for):
        return self.client.request("GET", "/", headers=via(forwarded_for))

    def test_one_address_is_stopped_and_another_is_not(self):
        number, refusal = self.use_up(lambda _: self.page("198.51.100.1"))
        self.assertGreaterEqual(number, 20)
        self.expect_throttled(refusal, "anonymous")
        self.expect(self.page("198.51.100.2"), 200)
        self.expect(self.client.request("GET", "/health", headers=via("198.51.100.1")), 200)
        wait_for(lambda: self.page("198.51.100.1").status == 200, 10)

    def test_unknown_paths_count(self):
        ask = lambda number: self.client.request("GET", f"/wp-login.php?{number}", headers=via("198.51.100.3"))
        number, refusal = self.use_up(ask)
        self.assertGreaterEqual(number, 20)
        self.expect_throttled(refusal, "anonymous")

    def test_a_64_of_ipv6_is_one_address(self):
        number, refusal = self.use_up(lambda number: self.page(f"2001:db8:1:2::{number:x}"))
        self.assertLess(number, 60)
        self.expect_throttled(refusal, "anonymous")
        self.expect(self.page("2001:db8:1:3::1"), 200)

    def test_what_the_client_wrote_itself_is_not_believed(self):
        """Left of what our own proxies have added anything can stand."""
        number, refusal = self.use_up(lambda number: self.page(f"203.0.113.{number}, 198.51.100.4, 10.0.0.{number}"))
        self.assertLess(number, 60)
        self.expect_throttled(refusal, "anonymous")

    def test_credentials_that_nobody_knows_count_for_the_address(self):
        _, token = self.stack.make_user("hana", "viewer")
        here = via("198.51.100.5")
        known = self.stack.client(token)
        self.expect(known.request("GET", "/api/v1/articles", headers=here), 200)
        stranger = lambda number: self.client.request(
            "GET", "/api/v1/articles", headers=here | {"Authorization": f"Bearer mkt_{number:040d}"})
        self.expect_problem(stranger(0), 401)
        number, refusal = self.use_up(lambda number: stranger(number + 1))
        self.assertGreaterEqual(number, 9)
        self.expect_throttled(refusal, "unauthenticated")
        self.expect(known.request("GET", "/api/v1/articles", headers=here), 200)
        self.expect_throttled(self.client.request("GET", "/api/v1/articles", headers=here), "unauthenticated")
        self.expect_problem(self.client.request("GET", "/api/v1/articles", headers=via("198.51.100.6")), 401)

    def test_sessions_that_redis_does_not_know_count_too(self):
        with Redis() as redis, Stack(MIRAI_RATE_WINDOW_S=10, MIRAI_RATE_UNAUTHENTICATED=1, **redis.settings) as stack:
            client = stack.client(None)
            stranger = lambda number: client.request("GET", "/api/v1/articles", headers={"Authorization": f"Bearer mks_{number:043d}"})
            self.expect_problem(stranger(0), 401)
            number, refusal = self.use_up(lambda number: stranger(number + 1))
            self.assertGreaterEqual(number, 9)
            self.expect_throttled(refusal, "unauthenticated")

    def test_logins_count_even_good_ones(self):
        self.stack.make_user("taro", "viewer")
        number, refusal = self.use_up(lambda _: log_in(self.client, "taro", "the password of taro", "198.51.100.7"))
        self.assertGreaterEqual(number, 10)
        self.expect_throttled(refusal, "logins")

    def test_the_audit_log_tells_the_client_s_address(self):
        admin = self.stack.client()
        for forwarded_for, address in (
                ("192.0.2.77", "192.0.2.77"), ("2001:db8::77", "2001:db8::77"), ("203.0.113.1, 192.0.2.78, 10.1.2.3", "192.0.2.78"),
                ("unknown", "127.0.0.1"), ("192.0.2.79, 全角", "127.0.0.1"), ("' OR 1=1 --", "127.0.0.1")):
            with self.subTest(forwarded_for=forwarded_for):
                headers = via(forwarded_for.encode())
                made = self.expect(admin.request("POST", "/api/v1/tags", {"name": f"札{time.monotonic_ns()}"}, headers), 201)
                rows = admin.get("/api/v1/audit", action="tag.create", limit=20).json["items"]
                row = next(row for row in rows if row["object"] == f"tag/{made.json['id']}")
                self.assertEqual(row["address"], address)


class Untrusted(Limits):
    """Without trusted proxies nobody is believed."""

    def test_x_forwarded_for_is_not_read(self):
        with Stack(MIRAI_RATE_WINDOW_S=10, MIRAI_RATE_ANONYMOUS=5) as stack:
            client = stack.client(None)
            number, refusal = self.use_up(lambda number: client.request("GET", "/", headers=via(f"192.0.2.{number}")))
            self.expect_throttled(refusal, "anonymous")
            self.assertLess(number, 120)
            admin = stack.client()
            self.expect(admin.request("POST", "/api/v1/tags", {"name": "札"}, via("192.0.2.1") | {"Forwarded": "for=192.0.2.1"}), 201)
            self.assertEqual(admin.get("/api/v1/audit", action="tag.create").json["items"][0]["address"], "127.0.0.1")


class Logins(Limits):
    """LOGIN_FAILURES=3 of one name from one address; waits up to 20 s, and up to 2 s where all of a name or address count."""

    @classmethod
    def setUpClass(cls):
        cls.stack = cls.enterClassContext(Stack(
            MIRAI_LOGIN_FAILURES=3, MIRAI_LOGIN_WAIT_S=20, MIRAI_TRUSTED_PROXIES="127.0.0.1", **QUICK_PASSWORDS))

    def setUp(self):
        self.client = self.stack.client(None)

    def guess(self, name, address):
        return log_in(self.client, name, "wrong password", address)

    def test_failures_make_the_next_one_wait_alike_for_known_and_unknown_names(self):
        self.stack.make_user("known", "viewer")
        seen = {}
        for name, address in (("known", "198.51.100.1"), ("nobody", "198.51.100.2")):
            answers = [self.guess(name, address) for _ in range(6)]
            self.assertEqual([answer.status for answer in answers], [401] * 4 + [429] * 2)
            self.expect_problem(answers[-1], 429, "too-many-requests")
            self.assertEqual(answers[-1].headers["Retry-After"], "1")
            seen[name] = [{key: value for key, value in answer.json.items() if key != "instance"} for answer in answers]
        self.assertEqual(seen["known"], seen["nobody"])

    def test_a_right_password_is_no_answer_while_it_must_wait(self):
        self.stack.make_user("waits", "viewer")
        for _ in range(5):
            self.guess("waits", "198.51.100.3")
        self.expect(log_in(self.client, "waits", "the password of waits", "198.51.100.3"), 429)
        self.expect(log_in(self.client, "WAITS ", "the password of waits", "198.51.100.3"), 429)
        answer = wait_for(lambda: (answer := log_in(self.client, "waits", "the password of waits", "198.51.100.3")).status != 429
                          and answer, 10)
        self.expect(answer, 201)
        self.assertEqual([self.guess("waits", "198.51.100.3").status for _ in range(4)], [401] * 4)  # it begins anew

    def test_the_owner_gets_in_while_an_attacker_hammers(self):
        self.stack.make_user("owner", "viewer")
        self.expect(log_in(self.client, "owner", "the password of owner", "203.0.113.1"), 201)
        stop = time.monotonic() + 4

        def attack(worker):
            client, refused = self.stack.client(None), 0
            while time.monotonic() < stop:
                address = f"2001:db8:{worker:x}:{time.monotonic_ns() & 0xffff:x}::1"
                refused += log_in(client, "owner", "wrong password", address).status == 429
            return refused
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            attackers = [pool.submit(attack, worker) for worker in range(4)]
            wait_for(lambda: log_in(self.client, "owner", "wrong password", "203.0.113.99").status == 429, 3, "the brake")
            while time.monotonic() < stop - 0.5:
                self.expect(log_in(self.client, "owner", "the password of owner", "203.0.113.1"), 201)
                time.sleep(0.1)
            self.assertGreater(sum(attacker.result() for attacker in attackers), 10)
        # elsewhere the owner waits, but not for long
        answer = log_in(self.client, "owner", "the password of owner", "203.0.113.2")
        self.assertLessEqual(int(answer.headers["Retry-After"] or 0), 2)
        wait_for(lambda: log_in(self.client, "owner", "the password of owner", "203.0.113.2").status == 201, 10)

    def test_names_sprayed_from_one_address_slow_down_strangers_only(self):
        self.stack.make_user("colleague", "viewer")
        self.expect(log_in(self.client, "colleague", "the password of colleague", "198.51.100.9"), 201)
        statuses = [self.guess(f"名前{number}", "198.51.100.9").status for number in range(30)]
        self.assertEqual(statuses[:12], [401] * 12)
        self.assertIn(429, statuses)
        self.expect(log_in(self.client, "colleague", "the password of colleague", "198.51.100.9"), 201)

    def test_the_password_of_a_session_is_no_easier_to_guess(self):
        self.stack.make_user("session", "viewer")
        opened = self.stack.login("session", "the password of session")
        change = lambda: opened.request(
            "PUT", "/api/v1/users/me/password", {"old_password": "wrong", "new_password": "あたらしい合言葉です"},
            opened.own | via("198.51.100.10"))
        self.assertEqual([change().status for _ in range(6)], [403] * 4 + [429] * 2)

    def test_attempts_at_once_are_no_way_around(self):
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            clients = [self.stack.client(None) for _ in range(16)]
            statuses = list(pool.map(lambda client: log_in(client, "rush", "wrong password", "198.51.100.11").status, clients))
        self.assertLessEqual(statuses.count(401), 4 + 1)  # one may fall behind the first second

    def test_a_flood_of_random_names_takes_no_memory(self):
        def flood(worker):
            client = self.stack.client(None)
            for number in range(60):
                answer = log_in(client, f"{worker}-{number}-" + "名" * 80, "x", f"2001:db8:{worker:x}:{number:x}::1")
                self.assertIn(answer.status, (401, 429, 503))
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            list(pool.map(flood, range(4)))
            before = self.stack.memory("gateway")
            list(pool.map(flood, range(4, 12)))
        self.assertLess(self.stack.memory("gateway") - before, 2 << 20)

    def test_the_audit_log_tells_of_delayed_logins(self):
        for _ in range(6):
            self.guess("田中", "198.51.100.13")
        admin = self.stack.client()
        noted = lambda: [row for row in admin.get("/api/v1/audit", result="too-many-attempts", limit=200).json["items"]
                         if row.get("address") == "198.51.100.13"]
        row = wait_for(noted, 10)[0]
        self.assertEqual((row["action"], row.get("name")), ("auth.login", "田中"), row)

    def test_delays_are_logged_without_names_and_counted(self):
        self.assertEqual([self.guess("secret-in-the-wrong-field", "198.51.100.12").status for _ in range(6)], [401] * 4 + [429] * 2)
        told = lambda: [line for line in self.stack.log_lines() if "slowed down" in str(line.get("message"))]
        lines = wait_for(lambda: any("198.51.100.12" in json.dumps(line) for line in told()) and told(), 5, "the line in the log")
        self.assertFalse(any("secret-in-the-wrong-field" in json.dumps(line) for line in lines))
        wait_for(lambda: self.stack.metrics().get("mirai_gateway_logins_delayed_total", 0) > 0, 15, "the counter")


class LoginsInRedis(Logins):
    """The same where Redis counts."""

    @classmethod
    def setUpClass(cls):
        cls.redis = cls.enterClassContext(Redis("a+secret"))
        cls.stack = cls.enterClassContext(Stack(
            MIRAI_LOGIN_FAILURES=3, MIRAI_LOGIN_WAIT_S=20, MIRAI_TRUSTED_PROXIES="127.0.0.1", **QUICK_PASSWORDS, **cls.redis.settings))

    def test_redis_counts(self):
        self.guess("counted", "198.51.100.20")
        keys = self.redis.cli("-n", 3, "KEYS", "mirai:test:failures:*").split()
        self.assertTrue({"1", "2", "3"} <= {key.split(":")[3] for key in keys}, keys)


class TwoGateways(Limits):
    """What one gateway counts holds at the other, while they reach the same Redis."""
    WINDOW, READS, ANONYMOUS = 4, 10, 10

    def setUp(self):
        self.redis = self.enterContext(Redis())
        self.stack = self.enterContext(Stack(
            MIRAI_LOGIN_FAILURES=3, MIRAI_LOGIN_WAIT_S=60, MIRAI_TRUSTED_PROXIES="127.0.0.1", MIRAI_RATE_WINDOW_S=self.WINDOW,
            MIRAI_RATE_READS=self.READS, MIRAI_RATE_ANONYMOUS=self.ANONYMOUS, MIRAI_RATE_LOGINS=1000, **QUICK_PASSWORDS,
            **self.redis.settings))
        self.other = self.enterContext(OtherGateway(self.stack))
        self.clients = [self.stack.client(None), self.other.client()]

    def cli(self, *words):
        return self.redis.cli("-n", 3, *words)

    def guess(self, gateway, name, address):
        return log_in(self.clients[gateway], name, "wrong password", address).status

    def enter(self, gateway, name, address):
        return log_in(self.clients[gateway], name, f"the password of {name}", address).status

    def test_failures_at_one_are_failures_at_the_other(self):
        self.stack.make_user("taro", "viewer")
        self.assertEqual([self.guess(number % 2, "taro", "198.51.100.1") for number in range(4)], [401] * 4)
        self.assertEqual([self.guess(gateway, "taro", "198.51.100.1") for gateway in (0, 1)], [429] * 2)
        self.assertEqual([self.enter(gateway, "TARO", "198.51.100.1") for gateway in (0, 1)], [429] * 2)
        wait_for(lambda: self.enter(1, "taro", "198.51.100.1") == 201, 10, "the end of the wait")
        self.assertEqual([self.guess(0, "taro", "198.51.100.1") for _ in range(4)], [401] * 4, "a success begins anew everywhere")
        self.assertEqual(self.guess(1, "taro", "198.51.100.1"), 429)

    def test_attempts_at_once_at_both_are_no_way_around(self):
        clients = [gateway.client(None) for gateway in (self.stack, self.other) for _ in range(8)]
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            statuses = list(pool.map(lambda client: log_in(client, "rush", "wrong password", "198.51.100.2").status, clients))
        self.assertLessEqual(statuses.count(401), 4 + 1, statuses)

    def test_names_sprayed_over_both_from_one_address(self):
        statuses = [self.guess(number % 2, f"名前{number}", "198.51.100.3") for number in range(20)]
        self.assertEqual(statuses[:12], [401] * 12)
        self.assertIn(429, statuses)

    def test_the_owner_passes_at_both_where_one_of_them_knows_the_address(self):
        self.stack.make_user("owner", "viewer")
        self.assertEqual(self.enter(0, "owner", "203.0.113.1"), 201)
        statuses = [self.guess(1, "owner", f"198.51.100.{number}") for number in range(20)]
        self.assertIn(429, statuses)
        wait_for(lambda: {self.guess(gateway, "owner", f"203.0.113.{100 + gateway}") for gateway in (0, 1)} == {429}, 10,
                 "the control: strangers wait at both")
        for gateway in (0, 1, 0, 1):
            self.assertEqual(self.enter(gateway, "owner", "203.0.113.1"), 201)
        # and does not clear the way for strangers
        wait_for(lambda: self.guess(0, "owner", "203.0.113.110") == 401, 10, "the one free attempt")
        self.assertEqual(self.enter(1, "owner", "203.0.113.1"), 201)
        self.assertEqual(self.guess(0, "owner", "203.0.113.111"), 429)

    def test_redis_learns_no_names_and_forgets_all(self):
        self.stack.make_user("hidden-name", "viewer")
        self.assertEqual(self.enter(0, "hidden-name", "203.0.113.77"), 201)
        self.assertEqual(self.guess(0, "hidden-name", "203.0.113.78"), 401)
        self.clients[0].get("/")
        wait_for(lambda: self.cli("KEYS", "mirai:test:rate:*"), 5, "an exchange of rates")
        keys = [key for key in self.cli("KEYS", "*").split() if not key.endswith(":last")]
        for kind in ("failures:1:", "failures:2:", "failures:3:", "known:"):
            self.assertTrue(any(key.startswith(f"mirai:test:{kind}") for key in keys), (kind, keys))
        for key in keys:
            value = self.cli("HGETALL" if ":failures:" in key else "GET", key)
            self.assertNotEqual(self.cli("PTTL", key), "-1", key)
            if ":session:" not in key:  # tells its owner where it was opened
                for hidden in ("hidden-name", "203.0.113", KEY):
                    self.assertNotIn(hidden, key + value)

    def spend(self, ask, seconds):
        """Ask both gateways in turn, more than any has a quota for: the answers that were no refusals, and the time in s."""
        started, taken, number = time.monotonic(), 0, 0
        while (elapsed := time.monotonic() - started) < seconds:
            taken += ask(number) == 200
            number += 1
            time.sleep(0.02)
        return taken, elapsed

    def expect_one_quota(self, ask, rate):
        taken, elapsed = self.spend(ask, 3 * self.WINDOW)
        quota = rate * self.WINDOW + rate * elapsed
        self.assertLessEqual(taken, quota + 2 * 2 * rate, f"two quotas are {2 * quota:.0f}")
        self.assertGreaterEqual(taken, 0.6 * quota)

    def test_an_account_has_one_quota_at_both(self):
        _, token = self.stack.make_user("reader", "viewer")
        clients = [self.stack.client(token), self.other.client(token)]
        self.expect_one_quota(lambda number: clients[number % 2].get("/api/v1/articles").status, self.READS)

    def test_an_address_has_one_quota_at_both(self):
        self.expect_one_quota(
            lambda number: self.clients[number % 2].request("GET", "/", headers=via("198.51.100.50")).status, self.ANONYMOUS)

    def test_without_redis_each_goes_on_alone_and_afterwards_together_again(self):
        _, token = self.stack.make_user("alone", "editor")
        tokens = [self.stack.client(token), self.other.client(token)]
        self.redis.stop()
        wait_for(lambda: {self.enter(gateway, "alone", "203.0.113.5") for gateway in (0, 1)} == {503}, 10, "503")
        for client in tokens:
            self.expect(client.get("/api/v1/articles"), 200)
        for gateway in (0, 1):  # no session could be made: no password is looked at, right or wrong
            self.assertEqual([self.guess(gateway, "alone", "198.51.100.60") for _ in range(5)], [503] * 5)
        change = lambda: tokens[0].request(
            "PUT", "/api/v1/users/me/password", {"old_password": "wrong", "new_password": "あたらしい合言葉です"}, via("198.51.100.61")).status
        self.assertEqual([change() for _ in range(5)], [403] * 4 + [429])
        self.redis.start()
        wait_for(lambda: {self.enter(gateway, "alone", "203.0.113.6") for gateway in (0, 1)} == {201}, 20, "Redis")
        self.assertEqual([self.guess(number % 2, "later", "198.51.100.62") for number in range(4)], [401] * 4)
        self.assertEqual([self.guess(gateway, "later", "198.51.100.62") for gateway in (0, 1)], [429] * 2)

    def test_a_redis_that_hangs_delays_a_login_and_stops_no_request(self):
        _, token = self.stack.make_user("waits", "editor")
        client = self.stack.client(token, 60)
        self.expect(client.get("/api/v1/articles"), 200)
        os.kill(self.redis.process.pid, signal.SIGSTOP)
        try:
            answer = client.request("PUT", "/api/v1/users/me/password", {"old_password": "wrong", "new_password": "あたらしい合言葉です"})
            self.assertEqual(answer.status, 403)
            started = time.monotonic()
            for _ in range(5):
                self.expect(client.get("/api/v1/articles"), 200)
            self.assertLess(time.monotonic() - started, 2)
        finally:
            os.kill(self.redis.process.pid, signal.SIGCONT)
        wait_for(lambda: self.enter(0, "waits", "203.0.113.9") == 201, 20, "Redis")

    def test_nonsense_in_redis_leaves_each_its_own_counts(self):
        self.assertEqual(self.guess(0, "nonsense", "198.51.100.70"), 401)
        for key in self.cli("KEYS", "mirai:test:failures:*").split():
            self.cli("SET", key, "こんにちは")
        self.assertEqual([self.guess(0, "nonsense", "198.51.100.70") for _ in range(4)], [401] * 3 + [429])
        self.clients[0].request("GET", "/", headers=via("198.51.100.71"))
        for key in wait_for(lambda: self.cli("KEYS", "mirai:test:rate:*").split(), 5, "an exchange of rates"):
            self.cli("SET", key, "-9e99")
        self.expect(self.clients[0].request("GET", "/", headers=via("198.51.100.71")), 200)
        number, _ = self.use_up(lambda _: self.clients[0].request("GET", "/", headers=via("198.51.100.71")))
        self.assertGreaterEqual(number, self.ANONYMOUS * self.WINDOW - 2)


class BehindHaproxy(Stack):
    """haproxy takes the connections and passes them on with a PROXY header."""

    def __init__(self, version, **settings):
        super().__init__(MIRAI_PROXY_PROTOCOL="on", MIRAI_TRUSTED_PROXIES="127.0.0.1", MIRAI_REQUEST_TIMEOUT_MS=1000, **settings)
        self.version = version
        self.behind = free_port()
        self.haproxy = None

    @property
    def environment(self):
        return super().environment | {"MIRAI_GATEWAY_LISTEN": f"127.0.0.1:{self.behind}"}

    def start(self):
        configuration = self.dir / "haproxy.cfg"
        configuration.write_text(f"""
defaults
  mode tcp
  timeout connect 5s
  timeout client 60s
  timeout server 60s
listen gateway
  bind 127.0.0.1:{self.port}
  server gateway 127.0.0.1:{self.behind} source 127.0.0.1 {self.version}
""")
        self.haproxy = subprocess.Popen(["haproxy", "-db", "-f", configuration], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        super().start()

    def stop(self):
        code = super().stop()
        if self.haproxy and self.haproxy.poll() is None:
            self.haproxy.terminate()
            self.haproxy.wait(10)
        return code

    def client_from(self, address, token=""):
        """A client whose connection comes from an address of its own."""
        client = self.client(token)
        client.connection = http.client.HTTPSConnection("localhost", self.port, context=self.tls, timeout=15, source_address=(address, 0))
        return client

    def raw(self, header, source="127.0.0.1"):
        """A connection of one's own to the gateway that begins like this."""
        connection = socket.create_connection(("127.0.0.1", self.behind), timeout=10, source_address=(source, 0))
        connection.sendall(header)
        return connection


class ProxyProtocol(Case):
    def audited_address(self, stack, client, headers=None):
        made = self.expect(client.request("POST", "/api/v1/tags", {"name": f"札{time.monotonic_ns()}"}, headers), 201)
        rows = stack.client().get("/api/v1/audit", action="tag.create", limit=50).json["items"]
        return next(row for row in rows if row["object"] == f"tag/{made.json['id']}")["address"]

    def expect_closed(self, connection):
        """The gateway ends it without a byte."""
        with connection:
            try:
                self.assertEqual(connection.recv(1), b"")
            except ConnectionResetError:
                pass

    def test_haproxy_tells_whose_connection_it_is(self):
        for version in ("send-proxy-v2", "send-proxy", "send-proxy-v2 proxy-v2-options unique-id,crc32c"):
            with self.subTest(version=version), BehindHaproxy(version) as stack:
                self.assertEqual(self.audited_address(stack, stack.client_from("127.0.0.5")), "127.0.0.5")
                self.assertEqual(self.audited_address(stack, stack.client_from("127.0.0.6"), via("192.0.2.1")), "127.0.0.6")
                h2 = stack.curl("--interface", "127.0.0.7", "--http2", "-w", "%{http_version}", "-o", "/dev/null", f"{stack.url}/health")
                self.assertEqual(h2.stdout, b"2")

    def ask(self, stack, connection):
        """The status line of a request over TLS after the PROXY header."""
        with stack.tls.wrap_socket(connection, server_hostname="localhost") as tls:
            tls.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            return tls.recv(12)

    def test_by_hand(self):
        with BehindHaproxy("send-proxy-v2") as stack:
            v1 = b"PROXY TCP4 192.0.2.1 192.0.2.2 4711 443\r\n"
            v2 = SIGNATURE + b"\x21\x11\x00\x0f\xc0\0\2\1\xc0\0\2\2\x12\x34\x01\xbb\x04\0\0"
            local = SIGNATURE + b"\x20\0\0\0"
            for header in (v1, v2, local, b"PROXY UNKNOWN\r\n", SIGNATURE + b"\x21\x11\x02\x08" + bytes(520)):
                self.assertEqual(self.ask(stack, stack.raw(header)), b"HTTP/1.1 200")
            for header in (v1, v2):
                connection = stack.raw(b"")
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                for byte in header:
                    connection.sendall(bytes([byte]))
                self.assertEqual(self.ask(stack, connection), b"HTTP/1.1 200")
            hostile = (b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00\x01", b"PROXY TCP4 192.0.2.1\r\n", SIGNATURE + b"\x21\x11\xff\xff",
                       SIGNATURE + b"\x31\x11\0\x0c", b"PROXY UNKNOWN " + b"x" * 200, b"\0" * 600, b"PROXY TCP6 ::1 ::1 1 1\n" * 30)
            for header in hostile:
                self.expect_closed(stack.raw(header))
            # only a proxy of the list may say anything at all; it may be over before it has begun
            try:
                self.expect_closed(stack.raw(v2, source="127.0.0.9"))
            except (ConnectionResetError, BrokenPipeError):
                pass
            # and it must say it soon
            started = time.monotonic()
            self.expect_closed(stack.raw(b""))
            self.expect_closed(stack.raw(v2[:10]))
            self.assertLess(time.monotonic() - started, 8)
            # those that wait for ever are gone with the next shutdown, too
            waiting = stack.raw(b"PROXY ")
            self.assertEqual(stack.client().get("/health").status, 200)
            self.assertEqual(stack.stop(), 0)
            waiting.close()

    def test_a_connection_that_begins_with_tls_is_refused(self):
        with BehindHaproxy("send-proxy-v2") as stack:
            with self.assertRaises((ssl.SSLError, ConnectionError)):
                self.ask(stack, stack.raw(b""))


class Settings(Case):
    def test_what_is_no_network_is_refused_at_start(self):
        stack = Stack(may_restart=True)
        for settings in ({"MIRAI_TRUSTED_PROXIES": "10.0.0.1/8"}, {"MIRAI_TRUSTED_PROXIES": "localhost"}, {"MIRAI_PROXY_PROTOCOL": "on"}):
            with self.subTest(settings=settings):
                (stack.dir / "run").mkdir(exist_ok=True)
                stack.data_dir.mkdir(exist_ok=True)
                done = subprocess.run([BIN / "mirai-gateway"], env=stack.environment | settings, capture_output=True, text=True, timeout=20)
                self.assertNotEqual(done.returncode, 0)
                self.assertIn(next(iter(settings)), done.stdout + done.stderr)


if __name__ == "__main__":
    unittest.main()
