"""Browser sessions: listed, ended one by one and all at once, in every gateway, whether the store keeps them or Redis."""

import hashlib
import hmac
import os
import time

from case import Case
from redis_server import KEY, Redis
from stack import OtherGateway, Stack, measured, wait_for


def password_of(name):
    return f"the password of {name}"


class Sessions:
    """The same promises for both places."""

    def read(self, browser, gateway=None):
        client = (gateway or self.stack).client(None)
        return client.request("GET", "/api/v1/articles", headers={"Cookie": browser.cookie})

    def listed(self, browser):
        answer = self.expect(browser.request("GET", "/api/v1/sessions", headers={"Cookie": browser.cookie}), 200)
        return answer.json["items"]

    def end(self, browser, path="/api/v1/sessions"):
        return browser.request("DELETE", path, headers=browser.own)

    def person(self, name, role="viewer", count=1):
        self.user_id, self.token = self.stack.make_user(name, role)
        return [self.stack.login(name, password_of(name)) for _ in range(count)]

    def test_a_person_sees_and_ends_one_s_own(self):
        one, two, three = self.person("lister", count=3)
        items = self.listed(one)
        self.assertEqual(len(items), 3)
        self.assertEqual([item["current"] for item in items].count(True), 1)
        for item in items:
            self.assertEqual((item["user"], item["user_id"], item["address"]), ("lister", self.user_id, "127.0.0.1"))
            self.assertLess(item["created_at"], item["expires_at"])
        mine = {browser: next(item["id"] for item in self.listed(browser) if item["current"]) for browser in (one, two, three)}
        self.assertEqual(len(set(mine.values())), 3)
        self.expect(self.end(one, f"/api/v1/sessions/{mine[two]}"), 204)
        self.expect_problem(self.read(two), 401)
        self.expect_problem(self.end(one, f"/api/v1/sessions/{mine[two]}"), 404)
        self.expect(self.read(one), 200)
        self.expect(self.read(three), 200)
        self.assertEqual({item["id"] for item in self.listed(one)}, {mine[one], mine[three]})
        self.expect(one.request("DELETE", "/api/v1/session", headers=one.own), 204)
        self.expect_problem(self.read(one), 401)
        self.assertEqual([item["id"] for item in self.listed(three)], [mine[three]])

    def test_pages(self):
        browsers = self.person("pager", count=5)
        client = self.stack.client(self.token)
        ids = [item["id"] for item in client.pages("/api/v1/sessions", limit=2)]
        self.assertEqual(ids, sorted(item["id"] for item in self.listed(browsers[0])))

    def test_all_others_end_and_this_one_stays(self):
        browsers = self.person("ender", count=4)
        for browser in browsers:
            self.expect(self.read(browser), 200)
        self.assertEqual(self.expect(self.end(browsers[0]), 200).json["count"], 3)
        for browser in browsers[1:]:
            self.expect_problem(self.read(browser), 401)
        for _ in range(8):
            self.expect(self.read(browsers[0]), 200)
        self.assertEqual(len(self.listed(browsers[0])), 1)
        self.expect(self.stack.client(self.token).get("/api/v1/articles"), 200)  # an API token is no session
        again = self.stack.login("ender", password_of("ender"))
        self.expect(self.read(again), 200)

    def test_others_sessions_are_not_seen_nor_ended(self):
        [victim] = self.person("victim")
        identity, victim_id = self.listed(victim)[0]["id"], self.user_id
        [thief] = self.person("thief", "editor")
        self.assertNotIn(identity, [item["id"] for item in self.listed(thief)])
        self.expect_problem(self.end(thief, f"/api/v1/sessions/{identity}"), 404)
        self.expect_problem(self.end(thief, f"/api/v1/users/{victim_id}/sessions"), 403)
        self.expect_problem(thief.request("GET", f"/api/v1/users/{victim_id}/sessions", headers=thief.own), 403)
        self.expect_problem(thief.request("GET", f"/api/v1/sessions?user_id={victim_id}", headers=thief.own), 403)
        self.expect_problem(self.end(thief, f"/api/v1/sessions?user_id={victim_id}"), 403)
        self.expect(self.read(victim), 200)

    def test_an_admin_sees_and_ends_anyone_s(self):
        one, two = self.person("suspect", count=2)
        admin = self.stack.client()
        rows = self.expect(admin.get(f"/api/v1/users/{self.user_id}/sessions"), 200).json["items"]
        self.assertEqual([(row["user"], row["current"]) for row in rows], [("suspect", False)] * 2)
        self.expect(admin.delete(f"/api/v1/sessions/{rows[0]['id']}"), 204)
        self.assertEqual(sorted(answer.status for answer in (self.read(one), self.read(two))), [200, 401])
        self.assertEqual(self.expect(admin.delete(f"/api/v1/users/{self.user_id}/sessions"), 200).json["count"], 1)
        for browser in (one, two):
            self.expect_problem(self.read(browser), 401)
        self.assertEqual(admin.get(f"/api/v1/users/{self.user_id}/sessions").json["items"], [])
        for bad in ("0", "-1", "x", "1e3", "99999999999999999999"):
            self.expect_problem(admin.get(f"/api/v1/users/{bad}/sessions"), 404)
            self.expect_problem(admin.delete(f"/api/v1/sessions/{bad}"), 404)

    def test_logging_in_anew_ends_the_session_that_the_browser_had(self):
        [browser] = self.person("renewer")
        answer = browser.request("POST", "/api/v1/session", {"name": "renewer", "password": password_of("renewer")},
                                 {"Cookie": browser.cookie, "Origin": self.stack.url})
        fresh = self.expect(answer, 201).headers["Set-Cookie"].split(";")[0]
        self.assertNotEqual(fresh, browser.cookie)
        self.expect_problem(self.read(browser), 401)
        self.expect(browser.request("GET", "/api/v1/session", headers={"Cookie": fresh}), 200)
        self.assertEqual(len(browser.request("GET", "/api/v1/sessions", headers={"Cookie": fresh}).json["items"]), 1)

    def test_whoever_logs_in_again_and_again_loses_the_oldest(self):
        [first] = self.person("collector")
        for _ in range(50):
            last = self.stack.login("collector", password_of("collector"))
        time.sleep(self.forgetting_s)
        self.expect_problem(self.read(first), 401)
        self.expect(self.read(last), 200)
        self.assertEqual(len(list(self.stack.client(self.token).pages("/api/v1/sessions"))), 50)

    def test_disabling_ends_sessions(self):
        [browser] = self.person("leaver")
        self.expect(self.read(browser), 200)
        self.expect(self.stack.client().patch(f"/api/v1/users/{self.user_id}", {"disabled": True}), 200)
        self.expect_problem(self.read(browser), 401)

    def test_the_operator_s_change_counts_with_the_next_request(self):
        [browser] = self.person("operated")
        client = self.stack.client(self.token)
        for _ in range(8):
            self.expect(self.read(browser), 200)
            self.expect(client.get("/api/v1/articles"), 200)
        self.stack.ctl("user", "disable", "operated")
        self.expect_problem(self.read(browser), 401)
        self.expect_problem(client.get("/api/v1/articles"), 401)

    def test_agents_in_any_script_and_of_any_length(self):
        self.stack.make_user("traveller", "viewer")
        for agent in (b"x" * 5000, ("ブラウザー" * 100).encode(), ("😀" * 300).encode(), b"\xff\xfe", b"<script>alert(1)</script>"):
            answer = self.stack.client(None).request("POST", "/api/v1/session", {"name": "traveller", "password": password_of("traveller")},
                                                     {"User-Agent": agent})
            self.expect(answer, 201)
        browser = self.stack.login("traveller", password_of("traveller"))
        agents = [item.get("agent", "") for item in self.listed(browser)]
        self.assertIn("x" * 200, agents)
        self.assertIn("😀" * 200, agents)
        self.assertTrue(all(len(agent) <= 200 for agent in agents))

    def test_every_gateway_learns_at_once_that_all_of_a_user_ended(self):
        slowest = 0.0
        with OtherGateway(self.stack) as other:
            for turn in range(5):
                browsers = self.person(f"everywhere-{turn}", count=3)
                for gateway in (self.stack, other):
                    for browser in browsers:
                        for _ in range(4):  # over several connections, so that every loop knows it
                            self.expect(self.read(browser, gateway), 200)
                self.expect(self.stack.client().delete(f"/api/v1/users/{self.user_id}/sessions"), 200)
                ended = time.monotonic()
                for gateway in (other, self.stack):
                    for browser in browsers:
                        for _ in range(4):
                            self.expect_problem(self.read(browser, gateway), 401)
                slowest = max(slowest, time.monotonic() - ended)
        measured(f"{self.place}: ended in two gateways with the next request; 24 requests took", f"{slowest * 1000:.0f} ms")

    def test_a_session_that_ends_in_one_gateway_ends_in_the_other_within_a_second(self):
        with OtherGateway(self.stack) as other:
            one, two = self.person("elsewhere", count=2)
            for browser in (one, two):
                for _ in range(4):
                    self.expect(self.read(browser, other), 200)
            identity = next(item["id"] for item in self.listed(two) if item["current"])
            self.expect(self.stack.client(self.token).delete(f"/api/v1/sessions/{identity}"), 204)
            self.expect(one.request("DELETE", "/api/v1/session", headers=one.own), 204)
            ended = time.monotonic()
            for browser in (one, two):
                wait_for(lambda: self.read(browser, other).status == 401, 1.0, "the end of the session in the other gateway")
            measured(f"{self.place}: logout seen in the other gateway after", f"{(time.monotonic() - ended) * 1000:.0f} ms")
            time.sleep(self.forgetting_s)
            self.assertEqual({self.read(browser, other).status for browser in (one, two) for _ in range(8)}, {401})


class InTheStore(Sessions, Case):
    place, forgetting_s = "knowledge-store", 0

    @classmethod
    def setUpClass(cls):
        cls.stack = cls.enterClassContext(Stack(MIRAI_INSTALLATION="test"))


class InRedis(Sessions, Case):
    place, forgetting_s = "Redis", 0.6  # what ends in Redis alone is known to the others when MIRAI_AUTH_CACHE_MS is over

    @classmethod
    def setUpClass(cls):
        cls.redis = cls.enterClassContext(Redis("a+secret"))
        cls.stack = cls.enterClassContext(Stack(**cls.redis.settings))

    def cli(self, *words, data=None):
        return self.redis.cli("-n", 3, *words, data=data)

    def session_key(self, browser):
        digest = hashlib.sha256(browser.cookie.split("=", 1)[1].encode()).hexdigest()
        return f"mirai:test:session:{digest}"

    def test_no_secret_is_stored_and_all_vanishes_by_itself(self):
        [browser] = self.person("keeper")
        secret = browser.cookie.split("=", 1)[1]
        keys = self.cli("KEYS", "*").split()
        self.assertIn(self.session_key(browser), keys)
        for key in keys:
            kind = self.cli("TYPE", key)
            value = self.cli("GET", key) if kind == "string" else self.cli("ZRANGE", key, 0, -1) if kind == "zset" else ""
            self.assertNotIn(secret, key + value)
            self.assertNotIn(KEY, value)
        self.assertTrue(0 < int(self.cli("PTTL", self.session_key(browser))) <= 60 * 60 * 1000)
        self.assertTrue(0 < int(self.cli("PTTL", f"mirai:test:user:{self.user_id}")) <= 12 * 60 * 60 * 1000)
        self.expect(self.stack.client(None).request("GET", "/api/v1/session", headers={"Cookie": browser.cookie}), 200)
        self.assertEqual(self.redis.cli("-n", 0, "DBSIZE"), "0")
        text = (self.stack.dir / "daemons.log").read_text(errors="replace")
        for hidden in (secret, KEY, self.redis.password):
            self.assertNotIn(hidden, text)

    def test_a_use_prolongs_it_and_what_is_idle_ends(self):
        [browser] = self.person("idler")
        self.cli("PEXPIRE", self.session_key(browser), 5000)
        self.expect(self.read(browser), 200)
        self.assertGreater(int(self.cli("PTTL", self.session_key(browser))), 60000)
        self.cli("PEXPIRE", self.session_key(browser), 1)
        wait_for(lambda: self.read(browser).status == 401, 2, "the end of the idle session")

    def test_records_that_we_did_not_sign_let_nobody_in(self):
        [victim] = self.person("signed", "admin")
        [thief] = self.person("forger")
        good = self.redis.raw("-n", 3, "GET", self.session_key(victim))[:-1]
        own = self.redis.raw("-n", 3, "GET", self.session_key(thief))[:-1]
        body = good[32:]
        forged = {
            "another's record": good, "no signature": body, "empty": b"", "short": good[:31], "only a signature": good[:32],
            "flipped": own[:-1] + bytes([own[-1] ^ 1]), "signed with another key": hmac.new(b"x" * 32, body, "sha256").digest() + body,
            "long": own + b"\0" * 100000, "garbage": os.urandom(300), "zeroes": b"\0" * 200, "text": "こんにちは".encode() * 20,
        }
        for name, value in forged.items():
            self.cli("SET", self.session_key(thief), data=value)
            for _ in range(4):
                self.expect_problem(self.read(thief), 401)
        self.cli("SET", self.session_key(thief), data=own)  # the control: our own is taken again
        self.expect(self.read(thief), 200)
        time.sleep(self.forgetting_s)
        self.cli("DEL", self.session_key(thief))
        self.cli("LPUSH", self.session_key(thief), "x")  # of another type
        self.expect_problem(self.read(thief), 503)
        self.expect(self.read(victim), 200)

    def test_a_poisoned_index_gives_nobody_power_over_others(self):
        [victim] = self.person("indexed", "admin")
        digest = self.session_key(victim).rsplit(":", 1)[1]
        [other] = self.person("poisoner")
        self.cli("SET", "mirai:test:id:4242", digest)
        self.expect_problem(self.end(other, "/api/v1/sessions/4242"), 404)
        self.cli("ZADD", f"mirai:test:user:{self.user_id}", 1, digest, 2, "not a digest", 3, "00" * 32)
        self.cli("SET", "mirai:test:session:not a digest", "x")
        self.assertEqual([item["user"] for item in self.listed(other)], ["poisoner"])
        self.cli("SET", f"mirai:test:user:{self.user_id}", "a string")
        self.expect_problem(other.request("GET", "/api/v1/sessions", headers=other.own), 503)
        self.cli("DEL", f"mirai:test:user:{self.user_id}")
        self.expect(self.read(victim), 200)
