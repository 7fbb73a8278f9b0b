"""Daemons know each other by the kernel's word: who may connect, who may call what, and who is believed to be the store."""

import contextlib
import grp
import os
import pwd
import socket
import threading
import unittest

import rpc
from stack import Stack, wait_for

# Users that every Debian has stand for the daemons' own.
USERS = {"gateway": "daemon", "metrics": "games", "backup": "man", "search-index": "lp", "knowledge-store": "news"}
STRANGER = "mail"


@unittest.skipUnless(os.geteuid() == 0, "needs root, to become other users")
class Peers(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.stack = cls.enterClassContext(Stack(
            MIRAI_RPC_PEERS=",".join(f"{name}={user}" for name, user in USERS.items())))
        # What the group mirai-rpc and the folder's mode do in an installation is opened here, to see what stands behind it.
        run = cls.stack.dir / "run"
        cls.stack.dir.chmod(0o755)
        run.chmod(0o777)
        for path in run.glob("*.sock"):
            path.chmod(0o666)
        (run / "knowledge-store@1.pub").chmod(0o666)

    def call(self, user, service, method, groups=(), **options):
        entry = pwd.getpwnam(user)
        return rpc.call_as(entry.pw_uid, entry.pw_gid, list(groups), str(self.stack.dir / "run" / f"{service}@1.sock"), method,
                           **options)

    def test_a_stranger_is_not_let_in(self):
        for service in ("knowledge-store", "search-index", "gateway", "backup", "metrics"):
            with self.subTest(service):
                self.assertEqual(self.call(STRANGER, service, "service.health"), "refused")
        self.assertTrue(any(line["message"] == "connection refused" and line["peer"] == f"uid {pwd.getpwnam(STRANGER).pw_uid}"
                            for line in self.stack.log_lines()))

    def test_refusals_do_not_fill_the_log(self):
        for _ in range(100):
            self.assertEqual(self.call(STRANGER, "backup", "service.health"), "refused")
        lines = [line for line in self.stack.log_lines() if line["message"] == "connection refused" and line["service"] == "backup"]
        self.assertLessEqual(len(lines), 3)
        self.assertGreaterEqual(self.stack.metrics()["mirai_rpc_refused_total"], 100)

    def test_each_daemon_may_do_its_own_work_only(self):
        article = self.stack.article()
        expected = {
            # (daemon, method, user id): the answer; None: it is let through and done
            ("metrics", "service.metrics", -1): None,
            ("metrics", "service.log_level", -1): "forbidden",
            ("metrics", "article.get", 1): "forbidden",
            ("metrics", "article.get", -1): "forbidden",
            ("metrics", "user.create", 1): "forbidden",
            ("search-index", "changes.since", -1): None,
            ("search-index", "article.get", 1): "forbidden",
            ("search-index", "snapshot.begin", -1): "forbidden",
            ("search-index", "user.list", -1): "forbidden",
            ("backup", "snapshot.begin", -1): None,
            ("backup", "article.get", 1): "forbidden",
            ("backup", "changes.since", -1): "forbidden",
            ("backup", "store.restart", -1): "forbidden",
            ("gateway", "article.get", 1): None,
            ("gateway", "service.health", -1): None,
            ("gateway", "snapshot.begin", -1): "forbidden",
            ("gateway", "snapshot.begin", 1): "forbidden",
            ("gateway", "changes.since", -1): "forbidden",
            ("gateway", "article.export", -1): "forbidden",
            ("gateway", "store.restart", -1): "forbidden",
            ("gateway", "user.create", -1): "forbidden",
            ("gateway", "token.create", -1): "forbidden",
            ("gateway", "article.get", -1): "forbidden",
            ("gateway", "article.get", -2): "forbidden",
            ("knowledge-store", "service.health", -1): "forbidden",
        }
        params = {"article.get": {"id": article["id"]}, "changes.since": {"seq": 0, "limit": 1}}
        for (daemon, method, user_id), answer in expected.items():
            with self.subTest(daemon=daemon, method=method, user_id=user_id):
                self.assertEqual(self.call(USERS[daemon], "knowledge-store", method, user_id=user_id,
                                           params=params.get(method)), answer)

    def test_root_and_the_daemons_own_user_may_do_everything(self):
        self.assertIsNone(self.call("root", "knowledge-store", "user.list"))

    @unittest.skipUnless(any(group.gr_name == "mirai-operator" for group in grp.getgrall()), "this host has no group mirai-operator")
    def test_an_operator_may_do_everything(self):
        group = grp.getgrnam("mirai-operator").gr_gid
        self.assertIsNone(self.call(STRANGER, "knowledge-store", "user.list", groups=[group]))

    def test_a_stranger_gets_no_hints(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as own:
            own.settimeout(10)
            own.connect(str(self.stack.dir / "run" / "knowledge-store@1.pub"))
            own.sendall(b"\0SP\0\0\x21\0\0")
            self.assertEqual(rpc.receive(own, 8), b"\0SP\0\0\x20\0\0")
            pid = os.fork()
            if pid == 0:  # the same as a stranger: cut off, maybe before anything could be sent
                os.setgroups([])
                os.setresuid(*[pwd.getpwnam(STRANGER).pw_uid] * 3)
                code, received = 1, b""
                with contextlib.suppress(TimeoutError), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as other:
                    other.settimeout(10)
                    other.connect(str(self.stack.dir / "run" / "knowledge-store@1.pub"))
                    with contextlib.suppress(ConnectionResetError, BrokenPipeError):
                        other.sendall(b"\0SP\0\0\x21\0\0")
                        while more := other.recv(100):
                            received += more
                    code = 0 if len(received) <= 8 else 2
                os._exit(code)
            self.stack.article()
            self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), 0)
            self.assertEqual(rpc.receive(own, 1), b"\x01")  # control: who is known gets it

    def test_a_stolen_name_gets_nothing(self):
        """Someone in the folder calls himself the second store. No request goes there, above all no password."""
        with self.listener(USERS["metrics"]) as reading:
            seen = b""
            while seen.count(b"C") < 6:  # each daemon has tried, and gone again
                seen += os.read(reading, 100)
            for _ in range(20):
                self.assertEqual(self.stack.client(None).post("/api/v1/session", {
                    "name": "admin", "password": self.stack.admin_password}).status, 201)
            self.assertEqual({line for line in seen.split() if line != b"C0"}, set())
            wait_for(lambda: any(line["message"] == "not the daemon that should be there" for line in self.stack.log_lines()))

    def test_the_right_user_is_spoken_to(self):
        """Control of the test above: the same listener, but of the store's user, gets bytes."""
        with self.listener(USERS["knowledge-store"]) as reading:
            seen = b""
            while not any(line.startswith(b"C") and line != b"C0" for line in seen.split(b"\n")[:-1]):
                seen += os.read(reading, 100)

    @contextlib.contextmanager
    def listener(self, user):
        """Someone who calls himself the second store; yields a pipe with a line "C<bytes>" for each connection that has ended."""
        path = str(self.stack.dir / "run" / "knowledge-store@2.sock")
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(reading)
            os.setgroups([])
            os.setresuid(*[pwd.getpwnam(user).pw_uid] * 3)
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
                listener.bind(path)
                os.chmod(path, 0o777)
                listener.listen(64)

                def serve(connection):
                    data = b""
                    with connection, contextlib.suppress(OSError):
                        connection.sendall(b"\0SP\0\0\x31\0\0")
                        connection.settimeout(2)  # the right one's connections stay
                        while more := connection.recv(65536):
                            data += more
                    os.write(writing, b"C%d\n" % len(data))
                while True:
                    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
        os.close(writing)
        try:
            yield reading
        finally:
            os.close(reading)
            os.kill(pid, 9)
            os.waitpid(pid, 0)
            os.unlink(path)


if __name__ == "__main__":
    unittest.main()
