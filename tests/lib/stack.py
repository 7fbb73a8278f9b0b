"""A whole installation in a temporary directory on free ports, for tests: real daemons, real TLS, real clients."""

import base64
import contextlib
import http.client
import json
import mmap
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
# Limits that no test reaches, while what counts runs as ever. A test of limits gives its own.
UNTHROTTLED = {f"MIRAI_RATE_{name}": "1000000" for name in (
    "READS", "WRITES", "SEARCHES", "UPLOADS", "LOGINS", "ANONYMOUS", "UNAUTHENTICATED")} | {"MIRAI_LOGIN_FAILURES": "1000000"}
ANSWER_HEADERS_LOST = (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError, ssl.SSLEOFError)


# Members of JSON whose values are secrets, in both directions; shorter values than this are words of tests.
SECRET_MEMBERS = {"password", "new_password", "current_password", "token", "secret", "otp", "uri", "codes", "recovery_codes", "csrf_token"}
SECRET_MIN = 12


def secrets_of(value, inside=False):
    """Every secret text in a JSON value."""
    if isinstance(value, dict):
        for name, member in value.items():
            yield from secrets_of(member, inside or name in SECRET_MEMBERS)
    elif isinstance(value, list):
        for member in value:
            yield from secrets_of(member, inside)
    elif inside and isinstance(value, str) and len(value) >= SECRET_MIN:
        yield value


def forms_of(secret):
    """A secret as it may stand in a log: plain, in JSON, in a URL, in base64 (also behind a name, as Basic credentials)."""
    data = secret.encode()
    forms = {data, json.dumps(secret)[1:-1].encode(), urllib.parse.quote(secret, "").encode(), urllib.parse.quote_plus(secret).encode()}
    for shift in range(3):  # where it begins within three bytes; what depends on its neighbours is left out
        coded = base64.b64encode(b"\0" * shift + data)[(0, 2, 3)[shift]:]
        coded = coded[:len(data) * 4 // 3 - 3]
        forms |= {coded, coded.translate(bytes.maketrans(b"+/", b"-_"))}
    return {form for form in forms if len(form) >= SECRET_MIN}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(condition, seconds=10.0, what="condition"):
    """Ask until condition() is true; its value is returned. `what` may be a function that says why not."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"{what() if callable(what) else what} did not come true within {seconds} s")
        time.sleep(0.02)


def measured(name, value):
    """Print a figure that a test measured, for people and for the closing note."""
    print(f"    {name}: {value}", flush=True)


class Answer:
    """Status, headers and body of one HTTP exchange."""

    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers
        self.body = body

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def etag(self):
        return self.headers["ETag"]

    def __repr__(self):
        return f"<{self.status} {self.body[:300].decode(errors='replace')}>"


class Client:
    """One keep-alive HTTPS connection with a bearer token. A GET whose connection was lost is sent once more; a client
    for tests that count losses sets `repeats` to False."""

    repeats = True

    def __init__(self, stack, token=None, timeout=15):
        self.stack = stack
        self.token = token
        self.timeout = timeout
        self.connection = None

    def request(self, method, path, body=None, headers=None, raw=None):
        """body: JSON-serialisable, or raw: bytes as they are. A header of value None is left out."""
        send = {"Host": f"localhost:{self.stack.port}"}
        if self.token:
            send["Authorization"] = f"Bearer {self.token}"
        payload = raw
        if body is not None:
            payload = json.dumps(body).encode()
            send["Content-Type"] = "application/merge-patch+json" if method == "PATCH" else "application/json"
        send.update(headers or {})
        send = {name: value for name, value in send.items() if value is not None}
        self.stack.keep_secret(*secrets_of(body))
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
                self.learn(response, data)
                return Answer(response.status, response.headers, data)
            except ANSWER_HEADERS_LOST:
                self.close()
                if attempt == 2 or method != "GET" or not self.repeats:
                    raise
            except Exception:
                self.close()
                raise

    def learn(self, response, data):
        """The secrets of an answer must not be seen in any log."""
        for cookie in response.headers.get_all("Set-Cookie", ()):
            self.stack.keep_secret(cookie.partition("=")[2].partition(";")[0])
        if b'"token"' in data or b'"secret"' in data or b"codes" in data:
            with contextlib.suppress(ValueError):
                self.stack.keep_secret(*secrets_of(json.loads(data)))

    def get(self, path, **query):
        return self.request("GET", path + self.query(query))

    def post(self, path, body=None, **headers):
        return self.request("POST", path, body if body is not None else {}, headers)

    def put(self, path, body, etag=None):
        return self.request("PUT", path, body, {"If-Match": etag})

    def patch(self, path, body, etag=None):
        return self.request("PATCH", path, body, {"If-Match": etag})

    def delete(self, path, etag=None):
        return self.request("DELETE", path, headers={"If-Match": etag})

    @staticmethod
    def query(query):
        return "?" + urllib.parse.urlencode(query, doseq=True) if query else ""

    def pages(self, path, items="items", **query):
        """Every item of a cursor-paged list."""
        while True:
            page = self.get(path, **query)
            assert page.status == 200, page
            yield from page.json[items]
            if "next_cursor" not in page.json:
                return
            query["cursor"] = page.json["next_cursor"]

    def close(self):
        if self.connection is not None:
            self.connection.close()
            self.connection = None

    def __del__(self):
        self.close()


def end(process, what):
    """SIGTERM; kill it and fail when it does not end within 30 s."""
    process.terminate()
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise AssertionError(f"{what()} did not stop within 30 s") from None


class OtherGateway:
    """One more gateway of a running installation, on a port of its own. Use as a context manager."""

    def __init__(self, stack, instance="2"):
        self.stack = stack
        self.port = free_port()
        self.instance = instance
        self.tls = stack.tls
        self.settings = {}
        self.command = ()  # that runs it, such as valgrind
        self.process = None

    def __enter__(self):
        environment = self.stack.environment | {"MIRAI_INSTANCE": self.instance, "MIRAI_GATEWAY_LISTEN": f"127.0.0.1:{self.port}"} | self.settings
        self.process = subprocess.Popen([*self.command, BIN / "mirai-gateway"], env=environment, stdout=self.stack.log, stderr=self.stack.log,
                                        stdin=subprocess.DEVNULL)

        def ready():
            if self.process.poll() is not None:
                raise AssertionError(f"the gateway ended: {self.stack.log_tail()}")
            try:
                return Client(self, None, 10).get("/ready").status == 200
            except OSError:
                return False
        wait_for(ready, 60, f"/ready of gateway {self.instance}")
        return self

    def __exit__(self, *_):
        end(self.process, lambda: f"gateway {self.instance}")

    @property
    def url(self):
        return f"https://localhost:{self.port}"

    def client(self, token=None, timeout=15):
        return Client(self, token, timeout)

    def keep_secret(self, *secrets):
        self.stack.keep_secret(*secrets)


class Stack:
    """The five daemons under `miraictl run`. Use as a context manager. Unless may_restart is set, leaving it fails when a
    daemon died meanwhile."""

    def __init__(self, data_dir=None, may_restart=False, **settings):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="mirai-test-"))
        self.port = free_port()
        self.metrics_port = free_port()
        self.settings = {key: str(value) for key, value in settings.items()}
        self.data_dir = pathlib.Path(data_dir) if data_dir else self.dir / "data"
        self.may_restart = may_restart
        self.process = None
        self.log = None
        self.tls = None
        self.admin_token = None
        self.admin_password = None
        self.secrets = set()
        for name, value in self.settings.items():
            if name.endswith(("_TOKEN", "_PASSWORD", "_KEY", "_SECRET")):
                self.keep_secret(value)

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
        } | UNTHROTTLED | self.settings

    def __enter__(self):
        for name in ("run", "backups", "tls"):
            (self.dir / name).mkdir()
        self.data_dir.mkdir(exist_ok=True)
        self.make_certificate()
        try:
            self.start()
            self.make_admin()
        except BaseException:
            self.may_restart = True
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        try:
            seen = self.secrets_in_processes()
            self.stop()
            seen += self.secrets_in_logs()
            if seen:
                raise AssertionError("secrets can be read: " + "; ".join(seen))
            ended = self.deaths()
            if ended and not self.may_restart:
                raise AssertionError("daemons died: " + "; ".join(ended))
        finally:
            if os.environ.get("MIRAI_TEST_KEEP"):
                print(f"kept {self.dir}")
            else:
                shutil.rmtree(self.dir, ignore_errors=True)

    # ---------------------------------------------------------------- life

    def make_certificate(self):
        """A new self-signed certificate and key, each file replaced at once."""
        tls = self.dir / "tls"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
             "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
             "-keyout", tls / "new.key", "-out", tls / "new.pem"], check=True, capture_output=True)
        (tls / "new.key").rename(tls / "server.key")
        (tls / "new.pem").rename(tls / "server.pem")
        self.tls = ssl.create_default_context(cafile=str(self.tls_file))

    @property
    def tls_file(self):
        return self.dir / "tls" / "server.pem"

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
                client = self.client(None, timeout=3)
                with contextlib.closing(client):
                    return client.get("/ready").status == 200
            except OSError:
                return False
        wait_for(ready, seconds, lambda: f"/ready ({self.log_tail()})")

    def stop(self):
        """SIGTERM to the supervisor; returns its exit code."""
        if self.process and self.process.poll() is None:
            end(self.process, lambda: f"the supervisor ({self.log_tail()})")
        if self.log:
            self.log.close()
            self.log = None
        return self.process.returncode if self.process else None

    def log_lines(self):
        """Every JSON line that the daemons and their supervisor have logged."""
        path = self.dir / "daemons.log"
        for line in path.read_text(errors="replace").splitlines() if path.exists() else ():
            with contextlib.suppress(ValueError):
                yield json.loads(line)

    def log_tail(self, lines=8):
        path = self.dir / "daemons.log"
        return "\n".join(path.read_text(errors="replace").splitlines()[-lines:]) if path.exists() else ""

    def deaths(self):
        """What the supervisor had to start again, as text."""
        return [f"{line.get('daemon')} (signal {line.get('signal')}, exit code {line.get('exit_code')})"
                for line in self.log_lines() if "starting it again" in str(line.get("message"))]

    # ---------------------------------------------------------------- secrets

    def keep_secret(self, *secrets):
        """Leaving the installation fails when one of these stands in a log, an argument or the environment of a daemon.
        Clients register by themselves what they send and get."""
        self.secrets.update(secret for secret in secrets if len(secret) >= SECRET_MIN)

    def find_secrets(self, data, where):
        return [f"{where}: {secret[:4]}… ({len(secret)} characters)" for secret in self.secrets
                if any(data.find(form) >= 0 for form in forms_of(secret))]

    def secrets_in_logs(self):
        seen = []
        for path in self.dir.rglob("*.log*"):
            if path.is_file() and path.stat().st_size > 0:
                with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                    seen += self.find_secrets(data, path.name)
        return seen

    def secrets_in_processes(self):
        if self.process is None or self.process.poll() is not None:
            return []
        seen = []
        for name, pid in ({"miraictl run": self.process.pid} | self.pids()).items():
            for file in ("cmdline", "environ"):
                with contextlib.suppress(OSError):
                    seen += self.find_secrets(pathlib.Path(f"/proc/{pid}/{file}").read_bytes(), f"{name}, {file}")
        return seen

    # ---------------------------------------------------------------- people

    def make_admin(self):
        self.admin_password = "correct horse battery staple"
        self.keep_secret(self.admin_password)
        secret = self.dir / "password"
        secret.write_text(self.admin_password)
        secret.chmod(0o600)
        self.ctl("user", "create", "admin", "--role", "admin", "--password-file", secret)
        self.admin_token = self.make_token("admin", "admin")

    def make_user(self, name, role):
        """Create a user through the API; returns (id, token). The password is `the password of NAME`."""
        made = self.client().post("/api/v1/users", {"name": name, "role": role, "password": f"the password of {name}"})
        assert made.status == 201, made
        token = self.client().post("/api/v1/tokens", {"name": "test", "user_id": made.json["id"], "role": role})
        assert token.status == 201, token
        return made.json["id"], token.json["token"]

    def make_token(self, user, role):
        path = self.dir / f"token-{user}"
        self.ctl("token", "create", "test", "--user", user, "--role", role, "--output-file", path)
        token = path.read_text().strip()
        self.keep_secret(token)
        return token

    def login(self, name, password):
        """Log in; returns the client with its session cookie in `cookie`, and in `own` the headers with which the page of
        this installation sends its requests."""
        client = self.client(None)
        answer = client.post("/api/v1/session", {"name": name, "password": password})
        assert answer.status == 201, answer
        client.cookie = answer.headers["Set-Cookie"].split(";")[0]
        client.own = {"Cookie": client.cookie, "Origin": self.url, "Sec-Fetch-Site": "same-origin", "X-CSRF-Token": answer.json["csrf_token"]}
        return client

    # ---------------------------------------------------------------- tools

    def ctl(self, *arguments, check=True, **options):
        """Run miraictl; returns the finished process with text output."""
        done = subprocess.run([BIN / "miraictl", *map(str, arguments)], env=self.environment, capture_output=True,
                              text=True, timeout=options.pop("timeout", 120), **options)
        if check and done.returncode != 0:
            raise AssertionError(f"miraictl {' '.join(map(str, arguments))}: {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done

    def curl(self, *arguments):
        """Run curl against this installation; returns the finished process."""
        return subprocess.run(
            ["curl", "-sS", "--cacert", self.dir / "tls" / "server.pem", "--max-time", "15", *map(str, arguments)],
            capture_output=True, timeout=30)

    @property
    def url(self):
        return f"https://localhost:{self.port}"

    def exposition(self):
        """What Prometheus would read, as text."""
        connection = http.client.HTTPConnection("127.0.0.1", self.metrics_port, timeout=5)
        with contextlib.closing(connection):
            connection.request("GET", "/metrics")
            return connection.getresponse().read().decode()

    def metrics(self):
        """The exposition as {sample name: sum over its label sets}."""
        sums = {}
        for line in self.exposition().splitlines():
            if line and not line.startswith("#"):
                name = line.split("{")[0].split(" ")[0]
                sums[name] = sums.get(name, 0.0) + float(line.rsplit(" ", 1)[1])
        return sums

    def client(self, token="", timeout=15):
        """A connection as Admin by default; token=None: as no one."""
        return Client(self, self.admin_token if token == "" else token, timeout)

    # ---------------------------------------------------------------- processes

    def pid(self, daemon):
        """Process id of a daemon of the supervisor, or None."""
        return self.pids().get(daemon)

    def pids(self):
        """Process ids of all daemons of the supervisor, by name."""
        found = {}
        supervisor = self.process.pid
        with contextlib.suppress(OSError):
            for pid in map(int, pathlib.Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text().split()):
                with contextlib.suppress(OSError):
                    program = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0].decode()
                    found[os.path.basename(program).removeprefix("mirai-")] = pid
        return found

    def memory(self, daemon):
        """Resident bytes of a daemon."""
        return int(pathlib.Path(f"/proc/{self.pid(daemon)}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def kill(self, daemon, sig=signal.SIGKILL):
        pid = wait_for(lambda: self.pid(daemon), 10, f"{daemon} running")
        os.kill(pid, sig)
        return pid

    # ---------------------------------------------------------------- content

    def article(self, client=None, **fields):
        """Create an article; returns its JSON."""
        made = (client or self.client()).post(
            "/api/v1/articles", {"title": "無題", "type": "incident", "body": "本文", "status": "published"} | fields)
        assert made.status == 201, made
        return made.json

    def wait_indexed(self, article, client=None, seconds=10):
        """Wait until search finds the newest version of an article (by its own `updated_at`)."""
        client = client or self.client()

        def indexed():
            answer = client.get("/api/v1/search", q=article["title"], limit=100)
            return answer.status == 200 and any(
                hit["id"] == article["id"] and hit["updated_at"] == article["updated_at"] for hit in answer.json["hits"])
        wait_for(indexed, seconds, f"article {article['id']} in the index")
