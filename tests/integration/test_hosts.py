"""Daemons on two hosts (here: two run directories) talk over mutual TLS; nobody else does."""

import contextlib
import os
import shutil
import socket
import ssl
import statistics
import subprocess
import time
import unittest

import rpc
from stack import BIN, ROOT, Stack, free_port, measured, wait_for


class Hosts(Stack):
    """Store and search on one host; on the other the gateway and a second search that follows the feed."""

    def __init__(self):
        super().__init__()
        self.store_port, self.feed_port, self.search_port = free_port(), free_port(), free_port()
        self.daemons = {}

    def daemon(self, host, name, **settings):
        """Start a daemon of a host."""
        run = self.dir / host
        run.mkdir(exist_ok=True)
        environment = self.environment | {
            "MIRAI_RUN_DIR": str(run), "MIRAI_DATA_DIR": str(self.dir / f"data-{host}"), "MIRAI_RPC_TLS_CA": str(self.dir / "rpc/ca.pem"),
            "MIRAI_RPC_TLS_CERTIFICATE": str(self.dir / f"rpc/{name}.pem"), "MIRAI_RPC_TLS_PRIVATE_KEY": str(self.dir / f"rpc/{name}.key"),
        } | settings
        self.daemons[host, name] = subprocess.Popen([BIN / f"mirai-{name}"], env=environment, stdout=self.log, stderr=self.log,
                                                    stdin=subprocess.DEVNULL)

    def certificates(self, folder, *arguments):
        subprocess.run([ROOT / "ops/make-rpc-certificates", folder, *arguments], check=True, capture_output=True)

    def start(self):
        self.log = open(self.dir / "daemons.log", "ab")
        self.certificates(self.dir / "rpc", "knowledge-store", "search-index", "gateway", "metrics", "operator")
        self.start_store()
        self.daemon("inner", "search-index", MIRAI_RPC_LISTEN=f"tls+tcp://127.0.0.1:{self.search_port}")
        self.daemon("outer", "search-index", MIRAI_STORE_ENDPOINTS=f"tls+tcp://127.0.0.1:{self.store_port}",
                    MIRAI_FEED_ENDPOINTS=f"tls+tcp://127.0.0.1:{self.feed_port}")
        self.daemon("outer", "gateway", MIRAI_STORE_ENDPOINTS=f"tls+tcp://localhost:{self.store_port}",
                    MIRAI_SEARCH_ENDPOINTS=f"tls+tcp://127.0.0.1:{self.search_port}")
        self.process = self.daemons["outer", "gateway"]
        self.wait_ready()

    def start_store(self):
        (self.dir / "data-inner").mkdir(exist_ok=True)
        self.daemon("inner", "knowledge-store", MIRAI_RPC_LISTEN=f"tls+tcp://127.0.0.1:{self.store_port}",
                    MIRAI_FEED_LISTEN=f"tls+tcp://127.0.0.1:{self.feed_port}")

    def stop(self):
        for process in self.daemons.values():
            process.terminate()
        codes = {name: process.wait(30) for name, process in self.daemons.items()}
        if self.log:
            self.log.close()
            self.log = None
        assert set(codes.values()) <= {0}, codes
        return 0

    def ctl(self, *arguments, **options):
        """miraictl on the outer host, with the operator's certificate."""
        self.settings |= {
            "MIRAI_STORE_ENDPOINTS": f"tls+tcp://127.0.0.1:{self.store_port}", "MIRAI_RPC_TLS_CA": str(self.dir / "rpc/ca.pem"),
            "MIRAI_RPC_TLS_CERTIFICATE": str(self.dir / "rpc/operator.pem"), "MIRAI_RPC_TLS_PRIVATE_KEY": str(self.dir / "rpc/operator.key")}
        return super().ctl(*arguments, **options)


@unittest.skipUnless(shutil.which("openssl"), "needs openssl")
class TwoHosts(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.hosts = cls.enterClassContext(Hosts())

    def context(self, folder, name, **options):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.load_verify_locations(self.hosts.dir / "rpc/ca.pem")
        if name:
            context.load_cert_chain(folder / f"{name}.pem", folder / f"{name}.key")
        for key, value in options.items():
            setattr(context, key, value)
        return context

    def call(self, context, method, port=None, user_id=-1, params=None):
        """As rpc.call(), over TLS; "refused" also when the handshake fails."""
        try:
            with socket.create_connection(("127.0.0.1", port or self.hosts.store_port), timeout=10) as tcp, \
                    context.wrap_socket(tcp) as connection:
                return rpc.ask(connection, method, user_id, 3, params or {})
        except (EOFError, ssl.SSLError, ConnectionError):
            return "refused"

    def ours(self, name):
        return self.context(self.hosts.dir / "rpc", name)

    # ---------------------------------------------------------------- what works

    def test_everything_works_across_hosts(self):
        self.hosts.make_user("editor", "editor")
        client = self.hosts.login("editor", "the password of editor")
        self.assertTrue(client.cookie)
        article = self.hosts.article(title="二つのホスト", body="ルーターの設定")
        self.hosts.wait_indexed(article)
        read = self.hosts.client().get(f"/api/v1/articles/{article['id']}")
        self.assertEqual((read.status, read.json["title"]), (200, "二つのホスト"))
        self.assertEqual(self.hosts.client().patch(f"/api/v1/articles/{article['id']}", {"title": "改題"}, read.etag).status, 200)
        large = self.hosts.article(title="大きい", body="長" * 300000)
        self.assertEqual(self.hosts.client().get(f"/api/v1/articles/{large['id']}").json["body"], "長" * 300000)

    def test_the_feed_reaches_the_other_host_as_a_hint(self):
        def documents():
            with socket.socket(socket.AF_UNIX) as connection:
                connection.connect(str(self.hosts.dir / "outer" / "search-index@1.sock"))
                connection.sendall(b"\0SP\0\0\x30\0\0")
                rpc.receive(connection, 8)
                payload = b"\x80\0\0\x01" + rpc.pack([0, 1, "service.status", [{"u": -1}, {}]])
                connection.sendall(b"\x01" + len(payload).to_bytes(8, "big") + payload)
                length = int.from_bytes(rpc.receive(connection, 9)[1:], "big")
                return rpc.unpack(rpc.receive(connection, length), 4)[0][3]["seq"]
        before = wait_for(documents, 10, "the second index")
        waits = []
        for _ in range(10):
            self.hosts.article()
            begun = time.monotonic()
            before += 1
            wait_for(lambda: documents() >= before, 5, "the change on the other host")
            waits.append((time.monotonic() - begun) * 1000)
        measured("a change on the other host after", f"{statistics.median(waits):.1f} ms (without hints it is asked for each 100 ms or later)")
        self.assertTrue(self.subscribed())

    def subscribed(self):
        """Whether the feed's port hands out a hint to a daemon."""
        with socket.create_connection(("127.0.0.1", self.hosts.feed_port), timeout=10) as tcp, \
                self.ours("gateway").wrap_socket(tcp) as connection:
            connection.sendall(b"\0SP\0\0\x21\0\0")
            rpc.receive(connection, 8)
            self.hosts.article()
            return rpc.receive(connection, 9)[0] == 1

    def test_the_store_may_go_and_come_back(self):
        store = self.hosts.daemons["inner", "knowledge-store"]
        store.kill()
        store.wait()
        self.assertEqual(self.hosts.client().get("/api/v1/articles").status, 503)
        self.hosts.start_store()
        wait_for(lambda: self.hosts.client().get("/api/v1/articles").status == 200, 20, "the store is back")

    def test_cost_against_unix_sockets(self):
        def median(stack):
            article = stack.article()
            client = stack.client()
            times = []
            for _ in range(400):  # the gateway on the store's own host would answer an article by itself: ask for its statistics
                begun = time.monotonic()
                self.assertEqual(client.get(f"/api/v1/articles/{article['id']}/stats").status, 200)
                times.append((time.monotonic() - begun) * 1e6)
            return statistics.median(times)
        with Stack() as one_host:
            near, far = median(one_host), median(self.hosts)
        measured("a read through the gateway", f"{near:.0f} µs over a UNIX socket, {far:.0f} µs over TLS on loopback")

    # ---------------------------------------------------------------- rights go by the name in the certificate

    def test_rights_go_with_the_name(self):
        article = self.hosts.article()
        expected = {
            ("operator", "user.list", -1): None,
            ("gateway", "article.get", 1): None,
            ("gateway", "snapshot.begin", -1): "forbidden",
            ("metrics", "service.metrics", -1): None,
            ("metrics", "article.get", 1): "forbidden",
            ("search-index", "changes.since", -1): None,
            ("search-index", "article.get", 1): "forbidden",
            ("knowledge-store", "article.get", 1): "forbidden",
        }
        for (name, method, user_id), answer in expected.items():
            with self.subTest(name=name, method=method):
                params = {"article.get": {"id": article["id"]}, "changes.since": {"seq": 0, "limit": 1}}.get(method)
                self.assertEqual(self.call(self.ours(name), method, user_id=user_id, params=params), answer)

    def signed(self, subject, days=2, usage="serverAuth,clientAuth"):
        """A certificate by the daemons' own authority for any subject; returns its folder."""
        folder = self.hosts.dir / f"signed-{len(list(self.hosts.dir.glob('signed-*')))}"
        folder.mkdir()
        authority = self.hosts.dir / "rpc"
        (folder / "ext").write_text(f"basicConstraints=critical,CA:FALSE\nextendedKeyUsage={usage}\n")
        (folder / "index").write_text("")
        (folder / "conf").write_text(
            f"[ca]\ndefault_ca=own\n[own]\ndatabase={folder}/index\nnew_certs_dir={folder}\nserial={folder}/serial\nrand_serial=yes\n"
            f"default_md=sha256\npolicy=any\ncertificate={authority}/ca.pem\nprivate_key={authority}/ca.key\nunique_subject=no\n"
            "[any]\ncommonName=optional\n")
        now = time.time()
        form = "%y%m%d%H%M%SZ"
        end = time.strftime(form, time.gmtime(now + days * 86400))
        for command in (
                ["openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", subject,
                 "-keyout", folder / "x.key", "-out", folder / "x.csr"],
                ["openssl", "ca", "-batch", "-config", folder / "conf", "-in", folder / "x.csr", "-out", folder / "x.pem", "-notext",
                 "-extfile", folder / "ext", "-startdate", time.strftime(form, time.gmtime(now - 40 * 86400)), "-enddate", end]):
            done = subprocess.run(command, capture_output=True, text=True)
            self.assertEqual(done.returncode, 0, done.stderr)
        return folder

    def test_who_is_refused(self):
        foreign = self.hosts.dir / "foreign"
        self.hosts.certificates(foreign, "operator")
        cases = {
            "control: as good as they come": (self.context(self.signed("/CN=operator"), "x"), None),
            "no certificate": (self.ours(None), "refused"),
            "another authority": (self.context(foreign, "operator"), "refused"),
            "no such name": (self.context(self.signed("/CN=stranger"), "x"), "refused"),
            "two names": (self.context(self.signed("/CN=stranger/CN=operator"), "x"), "refused"),
            "no name": (self.context(self.signed("/"), "x"), "refused"),
            "expired": (self.context(self.signed("/CN=operator", days=-1), "x"), "refused"),
            "for servers only": (self.context(self.signed("/CN=operator", usage="serverAuth"), "x"), "refused"),
            "TLS 1.2": (self.context(self.hosts.dir / "rpc", "operator", maximum_version=ssl.TLSVersion.TLSv1_2), "refused"),
            "control: still there": (self.ours("operator"), None),
        }
        for name, (context, answer) in cases.items():
            with self.subTest(name):
                self.assertEqual(self.call(context, "user.list"), answer)
                if name.startswith("control"):
                    self.assertIn(self.call(context, "service.health", port=self.hosts.search_port), (None,))

    def test_without_tls_nothing_is_said(self):
        with socket.create_connection(("127.0.0.1", self.hosts.store_port), timeout=10) as tcp:
            with self.assertRaises((EOFError, ConnectionError)):
                rpc.ask(tcp, "service.health", -1, 3, {})

    def test_rude_clients_do_no_harm(self):
        silent = [socket.create_connection(("127.0.0.1", port), timeout=15)
                  for port in (self.hosts.store_port, self.hosts.feed_port) for _ in range(50)]
        for index, tcp in enumerate(silent[::3]):
            tcp.sendall(b"\x16\x03\x01\x02\x00\x01" if index % 2 else os.urandom(3000))
        for tcp in silent[1::3]:
            tcp.close()
        self.assertEqual(self.hosts.client().get("/api/v1/articles").status, 200)
        for tcp in silent:  # after five seconds everyone who has not greeted is gone
            if tcp.fileno() >= 0:
                with tcp, contextlib.suppress(ConnectionError):
                    while tcp.recv(4096):
                        pass
        self.assertIsNone(self.call(self.ours("operator"), "user.list"))
        self.assertTrue(self.subscribed())

    # ---------------------------------------------------------------- and clients look at servers

    def test_a_server_with_another_daemons_name_is_not_asked(self):
        server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server.load_cert_chain(self.hosts.dir / "rpc/metrics.pem", self.hosts.dir / "rpc/metrics.key")
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.settimeout(20)
            environment = self.hosts.environment | {
                "MIRAI_STORE_ENDPOINTS": f"tls+tcp://127.0.0.1:{listener.getsockname()[1]}", "MIRAI_RPC_TLS_CA": str(self.hosts.dir / "rpc/ca.pem"),
                "MIRAI_RPC_TLS_CERTIFICATE": str(self.hosts.dir / "rpc/operator.pem"),
                "MIRAI_RPC_TLS_PRIVATE_KEY": str(self.hosts.dir / "rpc/operator.key")}
            asking = subprocess.Popen([BIN / "miraictl", "user", "list"], env=environment, stdout=subprocess.DEVNULL,
                                      stderr=subprocess.DEVNULL)
            received = b""
            tcp = listener.accept()[0]
            with contextlib.suppress(ssl.SSLError, OSError), server.wrap_socket(tcp, server_side=True) as connection:
                connection.sendall(b"\0SP\0\0\x31\0\0")
                while more := connection.recv(4096):
                    received += more
            listener.close()
            self.assertEqual(asking.wait(30), 3)
            self.assertEqual(received, b"")

    def test_plain_tcp_is_for_loopback_only(self):
        for url, accepted in (("tcp://127.0.0.1:7", True), ("tcp://[::1]:7", True), ("tls+tcp://kb.example:7", True),
                              ("tcp://192.0.2.1:7", False), ("tcp://localhost:7", False), ("tcp://127.evil.example:7", False)):
            with self.subTest(url):
                done = subprocess.run([BIN / "mirai-gateway", "--check-config"], capture_output=True, text=True,
                                      env=self.hosts.environment | {"MIRAI_STORE_ENDPOINTS": url})
                self.assertEqual(done.returncode, 0 if accepted else 2, done.stderr)
        for url in ("tcp://127.0.0.1:7", "tls+tcp://kb.example:7", "ipc:///run/x.sock"):
            done = subprocess.run([BIN / "mirai-gateway", "--check-config"], capture_output=True, text=True,
                                  env=self.hosts.environment | {"MIRAI_RPC_LISTEN": url})
            self.assertEqual(done.returncode, 2, url)


if __name__ == "__main__":
    unittest.main()
