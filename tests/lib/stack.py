"""A whole installation in a temporary directory on free ports, for tests: real daemons, real TLS, real clients."""

import http.client
import json
import os
import pathlib
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time
import urllib.parse

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("MIRAI_TEST_BIN", ROOT / "build" / "release" / "bin"))
DAEMONS = ("knowledge-store", "search-index", "gateway", "backup", "metrics")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(condition, seconds=10.0, what="condition"):
    """Ask until condition() is true; its value is returned."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"{what} did not come true within {seconds} s")
        time.sleep(0.02)


class Answer:
    """Status, headers and body of one HTTP exchange."""

    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers
        self.body = body

    @property
    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"<{self.status} {self.body[:300]!r}>"


class Client:
    """One keep-alive HTTPS connection with a bearer token."""

    def __init__(self, stack, token=None, timeout=15):
        self.stack = stack
        self.token = token
        self.timeout = timeout
        self.connection = None

    def request(self, method, path, body=None, headers=None, raw=None):
        """body: JSON-serialisable, or raw: bytes as they are."""
        send = {"Host": f"localhost:{self.stack.port}"}
        if self.token:
            send["Authorization"] = f"Bearer {self.token}"
        payload = raw
        if body is not None:
            payload = json.dumps(body).encode()
            send["Content-Type"] = "application/merge-patch+json" if method == "PATCH" else "application/json"
        send.update(headers or {})
        for attempt in (1, 2):
            if self.connection is None:
                self.connection = http.client.HTTPSConnection(
                    "localhost", self.stack.port, context=self.stack.tls, timeout=self.timeout)
            try:
                self.connection.request(method, path, body=payload, headers=send)
                response = self.connection.getresponse()
                data = response.read()
                if response.will_close:
                    self.close()
                return Answer(response.status, response.headers, data)
            except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
                self.close()
                if attempt == 2 or method != "GET":
                    raise
            except Exception:
                self.close()
                raise

    def get(self, path, **query):
        suffix = "?" + urllib.parse.urlencode(query, doseq=True) if query else ""
        return self.request("GET", path + suffix)

    def post(self, path, body=None, **headers):
        return self.request("POST", path, body if body is not None else {}, headers)

    def close(self):
        if self.connection is not None:
            self.connection.close()
            self.connection = None


class Stack:
    """The five daemons under `miraictl run`. Use as a context manager."""

    def __init__(self, data_dir=None, **settings):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="mirai-test-"))
        self.port = free_port()
        self.metrics_port = free_port()
        self.settings = {key: str(value) for key, value in settings.items()}
        self.data_dir = pathlib.Path(data_dir) if data_dir else self.dir / "data"
        self.process = None
        self.tls = None
        self.admin_token = None
        self.admin_password = None

    @property
    def environment(self):
        clean = {key: value for key, value in os.environ.items() if not key.startswith("MIRAI_")}
        return clean | {
            "PATH": f"{BIN}:{os.environ['PATH']}",
            "MIRAI_ENVIRONMENT": "development",
            "MIRAI_RUN_DIR": str(self.dir / "run"),
            "MIRAI_DATA_DIR": str(self.data_dir),
            "MIRAI_BACKUP_DIR": str(self.dir / "backups"),
            "MIRAI_GATEWAY_LISTEN": f"127.0.0.1:{self.port}",
            "MIRAI_METRICS_LISTEN": f"127.0.0.1:{self.metrics_port}",
            "MIRAI_TLS_CERTIFICATE": str(self.dir / "tls" / "server.pem"),
            "MIRAI_TLS_PRIVATE_KEY": str(self.dir / "tls" / "server.key"),
        } | self.settings

    def __enter__(self):
        for name in ("run", "backups", "tls"):
            (self.dir / name).mkdir()
        self.data_dir.mkdir(exist_ok=True)
        self.make_certificate()
        try:
            self.start()
            self.make_admin()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.stop()
        shutil.rmtree(self.dir, ignore_errors=True)

    def make_certificate(self):
        tls = self.dir / "tls"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
             "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
             "-keyout", tls / "server.key", "-out", tls / "server.pem"], check=True, capture_output=True)
        self.tls = ssl.create_default_context(cafile=str(tls / "server.pem"))

    def start(self):
        self.log = open(self.dir / "daemons.log", "ab")
        self.process = subprocess.Popen(
            [BIN / "miraictl", "run"], env=self.environment, stdout=self.log, stderr=self.log, stdin=subprocess.DEVNULL)
        self.wait_ready()

    def wait_ready(self, seconds=30):
        def ready():
            if self.process.poll() is not None:
                raise AssertionError(f"supervisor ended: {self.log_tail()}")
            try:
                return self.client(None, timeout=3).get("/ready").status == 200
            except OSError:
                return False
        wait_for(ready, seconds, f"/ready ({self.log_tail()})")

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        if getattr(self, "log", None):
            self.log.close()

    def log_tail(self, lines=8):
        path = self.dir / "daemons.log"
        return "\n".join(path.read_text(errors="replace").splitlines()[-lines:]) if path.exists() else ""

    def make_admin(self):
        self.admin_password = "correct horse battery staple"
        secret = self.dir / "password"
        secret.write_text(self.admin_password)
        secret.chmod(0o600)
        self.ctl("user", "create", "admin", "--role", "admin", "--password-file", secret)
        self.admin_token = self.make_token("admin", "admin")

    def make_user(self, name, role):
        """Create a user through the API; returns (id, token)."""
        made = self.client().post("/api/v1/users", {"name": name, "role": role, "password": f"the password of {name}"})
        assert made.status == 201, made
        token = self.client().post("/api/v1/tokens", {"name": "test", "user_id": made.json["id"], "role": role})
        assert token.status == 201, token
        return made.json["id"], token.json["token"]

    def make_token(self, user, role):
        path = self.dir / f"token-{user}"
        self.ctl("token", "create", "test", "--user", user, "--role", role, "--output-file", path)
        return path.read_text().strip()

    def ctl(self, *arguments, check=True, **options):
        """Run miraictl; returns the finished process with text output."""
        done = subprocess.run([BIN / "miraictl", *map(str, arguments)], env=self.environment, capture_output=True,
                              text=True, timeout=options.pop("timeout", 120), **options)
        if check and done.returncode != 0:
            raise AssertionError(f"miraictl {' '.join(map(str, arguments))}: {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done

    def client(self, token="", timeout=15):
        """A connection as Admin by default; token=None: as no one."""
        return Client(self, self.admin_token if token == "" else token, timeout)

    def pid(self, daemon, instance="1"):
        """Process id of a running daemon, or None."""
        for row in json.loads(self.ctl("status", "--json", check=False).stdout or "{}").get("daemons", []):
            if row["service"] == daemon and row["instance"] == instance and row.get("details"):
                return row["details"]["pid"]
        return None

    def kill(self, daemon, sig=signal.SIGKILL):
        pid = wait_for(lambda: self.pid(daemon), 10, f"{daemon} running")
        os.kill(pid, sig)
        return pid

    def article(self, client=None, **fields):
        """Create an article; returns its JSON."""
        made = (client or self.client()).post(
            "/api/v1/articles", {"title": "無題", "type": "incident", "body": "本文", "status": "published"} | fields)
        assert made.status == 201, made
        return made.json
