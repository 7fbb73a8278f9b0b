"""Sessions in Redis while it is away, silent or something else: nobody gets in, API tokens go on, and it heals by itself."""

import base64
import contextlib
import os
import signal
import socket
import subprocess
import tempfile
import threading
import time

from case import Case
from redis_server import KEY, Redis
from stack import BIN, Stack, free_port, measured, wait_for

KNOWN_S = 0.6  # then a gateway has forgotten what it knows without Redis


class Outages(Case):
    def login(self, stack, timeout=15):
        return stack.client(None, timeout).post("/api/v1/session", {"name": "admin", "password": stack.admin_password})

    def read(self, stack, cookie):
        return stack.client(None).request("GET", "/api/v1/articles", headers={"Cookie": cookie})

    def works(self, stack):
        answer = self.login(stack)
        return answer.status == 201 and self.read(stack, answer.headers["Set-Cookie"].split(";")[0]).status == 200

    def log(self, stack):
        return (stack.dir / "daemons.log").read_text(errors="replace")

    def test_killed_and_started_again(self):
        with Redis() as redis, Stack(**redis.settings) as stack:
            browser = stack.login("admin", stack.admin_password)
            redis.stop()
            self.expect_problem(self.login(stack), 503)
            time.sleep(KNOWN_S)
            for _ in range(8):  # on every loop: no answer tells whether the password was right
                wrong = stack.client(None).post("/api/v1/session", {"name": "admin", "password": "a wrong password"})
                self.expect_problem(wrong, 503)
            begin = time.monotonic()
            self.expect_problem(self.read(stack, browser.cookie), 503)
            measured("503 while Redis is away after", f"{(time.monotonic() - begin) * 1000:.0f} ms")
            self.expect(stack.client().get("/api/v1/articles"), 200)
            self.expect_problem(browser.request("DELETE", "/api/v1/session", headers=browser.own), 503)
            redis.start()
            begin = time.monotonic()
            wait_for(lambda: self.works(stack), 10, "logins after Redis' return")
            measured("logins after Redis' return within", f"{(time.monotonic() - begin) * 1000:.0f} ms")
            self.expect_problem(self.read(stack, browser.cookie), 401)  # it kept nothing on disk

    def test_absent_at_start(self):
        redis = Redis("pw")
        with Stack(**redis.settings) as stack:
            self.expect_problem(self.login(stack), 503)
            self.expect(stack.client().get("/api/v1/articles"), 200)
            with redis:
                wait_for(lambda: self.works(stack), 10, "logins once Redis is there")

    def test_frozen(self):
        with Redis() as redis, Stack(MIRAI_RPC_DEADLINE_MS=1500, **redis.settings) as stack:
            browser = stack.login("admin", stack.admin_password)
            os.kill(redis.process.pid, signal.SIGSTOP)
            try:
                time.sleep(KNOWN_S)
                waits, done = [], threading.Event()

                def others():
                    client = stack.client()
                    while not done.is_set():
                        begin = time.monotonic()
                        client.get("/api/v1/tags")
                        waits.append(time.monotonic() - begin)
                reader = threading.Thread(target=others)
                reader.start()
                for _ in range(3):
                    begin = time.monotonic()
                    self.expect_problem(self.read(stack, browser.cookie), 503)
                    self.assertLess(time.monotonic() - begin, 6)
                    self.expect_problem(self.login(stack), 503)
                done.set()
                reader.join()
                measured("slowest read by others while Redis stands still", f"{max(waits) * 1000:.0f} ms of {len(waits)}")
                self.assertLess(max(waits), 1.2)  # less than the time that Redis is waited for
            finally:
                os.kill(redis.process.pid, signal.SIGCONT)
            wait_for(lambda: self.works(stack), 10, "logins after Redis goes on")
            wait_for(lambda: self.read(stack, browser.cookie).status == 200, 10, "the session again: Redis has forgotten nothing")

    def test_many_wait_for_a_frozen_one(self):
        with Redis() as redis, Stack(MIRAI_RPC_DEADLINE_MS=500, **redis.settings) as stack:
            browser = stack.login("admin", stack.admin_password)
            before = stack.memory("gateway")
            os.kill(redis.process.pid, signal.SIGSTOP)
            try:
                time.sleep(KNOWN_S)
                answers = []
                crowd = [threading.Thread(target=lambda: answers.append(self.read(stack, browser.cookie).status)) for _ in range(100)]
                for one in crowd:
                    one.start()
                for one in crowd:
                    one.join()
                self.assertEqual((len(answers), set(answers)), (100, {503}))
            finally:
                os.kill(redis.process.pid, signal.SIGCONT)
            wait_for(lambda: self.read(stack, browser.cookie).status == 200, 10, "the session after Redis goes on")
            self.assertLess(stack.memory("gateway") - before, 64 << 20)

    def test_passwords_and_users(self):
        with Redis("the right one") as redis:
            for login in (":the%20wrong%20one@", "", "nobody:the%20right%20one@"):
                url = f"redis://{login}127.0.0.1:{redis.port}"
                with Stack(**(redis.settings | {"MIRAI_SESSION_URL": url})) as stack:
                    self.expect_problem(self.login(stack), 503)
                    self.expect(stack.client().get("/api/v1/articles"), 200)
                    text = self.log(stack)
                    self.assertIn("Redis is of no use", text)
                    self.assertNotIn("the%20", text)
                    self.assertNotIn("the right one", text)
            for login, host, database in ((":the%20right%20one@", "localhost", ""), ("default:the%20right%20one@", "127.0.0.1", "/5")):
                with Stack(**(redis.settings | {"MIRAI_SESSION_URL": f"redis://{login}{host}:{redis.port}{database}"})) as stack:
                    wait_for(lambda: self.works(stack), 10, "logins")
            self.assertGreater(int(redis.cli("-n", 5, "DBSIZE")), 0)

    def test_over_tls_and_over_a_unix_socket(self):
        with Redis("pw", tls=True) as redis:
            with Stack(**redis.settings) as stack:
                wait_for(lambda: self.works(stack), 10, "sessions over TLS")
            with Stack(**(redis.settings | {"MIRAI_SESSION_CA_FILE": ""})) as stack:  # signed by nobody whom the system trusts
                self.expect_problem(self.login(stack), 503)
                self.assertIn("certificate", self.log(stack))
            plain = redis.settings["MIRAI_SESSION_URL"].replace("rediss:", "redis:")
            with Stack(**(redis.settings | {"MIRAI_SESSION_URL": plain})) as stack:
                self.expect_problem(self.login(stack), 503)
            with Stack(**(redis.settings | {"MIRAI_SESSION_URL": f"unix://:pw@{redis.socket}?db=2"})) as stack:
                wait_for(lambda: self.works(stack), 10, "sessions over a UNIX socket")
            self.assertGreater(int(redis.cli("-n", 2, "DBSIZE")), 0)

    def test_a_server_that_is_no_redis(self):
        pong = b"+PONG\r\n"
        answers = (b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", pong * 1000, pong + b"$1000000000\r\n" + b"x" * 4_000_000, pong + b"*2147483647\r\n",
                   pong + b"*1\r\n" * 100_000, b"\0" * 100_000, b"-ERR no\r\n", b":1\r\n", b"$-2\r\n", pong + b":99999999999999999999\r\n")
        turn = [0]

        def answer(peer, data):
            with contextlib.suppress(OSError), peer:
                peer.settimeout(1)
                peer.recv(1000)
                peer.sendall(data)
                while peer.recv(65536):
                    pass

        def serve(server):
            with contextlib.suppress(OSError):
                while True:
                    peer, _ = server.accept()
                    threading.Thread(target=answer, args=(peer, answers[turn[0] % len(answers)]), daemon=True).start()
                    turn[0] += 1

        with socket.create_server(("127.0.0.1", 0)) as server:
            threading.Thread(target=serve, args=(server,), daemon=True).start()
            settings = {"MIRAI_SESSION_URL": f"redis://127.0.0.1:{server.getsockname()[1]}", "MIRAI_SESSION_KEY": KEY, "MIRAI_RPC_DEADLINE_MS": "700"}
            with Stack(**settings) as stack:
                before = stack.memory("gateway")
                name = stack.client(None).get("/api/v1/openapi.json").json["components"]["securitySchemes"]["session"]["name"]
                cookie = f"{name}=mks_{base64.urlsafe_b64encode(os.urandom(32)).decode().rstrip('=')}"
                end = time.monotonic() + 60
                while turn[0] < 2 * len(answers) and time.monotonic() < end:
                    self.expect_problem(self.login(stack), 503)
                    self.expect_problem(self.read(stack, cookie), (401, 503))
                    self.expect(stack.client().get("/api/v1/articles"), 200)
                self.assertGreaterEqual(turn[0], 2 * len(answers))
                self.assertLess(stack.memory("gateway") - before, 64 << 20)


class Configuration(Case):
    def test_what_is_refused_at_start_is_named_but_not_shown(self):
        good = {"MIRAI_SESSION_URL": "redis://:hidden-word@127.0.0.1", "MIRAI_SESSION_KEY": KEY}
        for change in ({"MIRAI_SESSION_URL": "http://:hidden-word@127.0.0.1"}, {"MIRAI_SESSION_URL": "redis://:hidden-word@"},
                       {"MIRAI_SESSION_URL": "redis://:hidden-word@h:0"}, {"MIRAI_SESSION_URL": "redis://:hidden-word@h/x"},
                       {"MIRAI_SESSION_KEY": "hidden-word"}, {"MIRAI_SESSION_KEY": ""}, {"MIRAI_SESSION_URL": "unix://:hidden-word@relative"}):
            with tempfile.TemporaryDirectory() as folder:
                environment = {"PATH": os.environ["PATH"], "MIRAI_RUN_DIR": folder, "MIRAI_DATA_DIR": folder,
                               "MIRAI_GATEWAY_LISTEN": f"127.0.0.1:{free_port()}"} | good | change
                done = subprocess.run([BIN / "mirai-gateway"], env=environment, capture_output=True, text=True, timeout=20)
                self.assertNotEqual(done.returncode, 0, change)
                self.assertIn(next(iter(change)), done.stdout + done.stderr)
                shown = subprocess.run([BIN / "mirai-gateway", "--print-config"], env=environment, capture_output=True, text=True, timeout=20)
                self.assertNotIn("hidden-word", done.stdout + done.stderr + shown.stdout + shown.stderr)
