"""A real redis-server for tests."""

import os
import pathlib
import shutil
import signal
import subprocess
import tempfile

from stack import free_port, wait_for

KEY = "a key for tests that is long enough"


class Redis:
    """redis-server in a temporary directory on a free port of loopback and on a UNIX socket; with a password and over TLS if
    wanted. Keeps nothing on disk. Use as a context manager."""

    def __init__(self, password="", tls=False):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="mirai-redis-"))
        self.port = free_port()
        self.password = password
        self.tls = tls
        self.socket = self.dir / "redis.sock"
        self.certificate = self.dir / "redis.pem"
        self.process = None
        if tls:
            subprocess.run(
                ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=redis",
                 "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", self.dir / "redis.key", "-out", self.certificate],
                check=True, capture_output=True)

    def start(self):
        command = ["redis-server", "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", self.dir, "--unixsocket", self.socket]
        if self.tls:
            command += ["--port", "0", "--tls-port", self.port, "--tls-cert-file", self.certificate, "--tls-key-file", self.dir / "redis.key",
                        "--tls-ca-cert-file", self.certificate, "--tls-auth-clients", "no"]
        else:
            command += ["--port", self.port]
        if self.password:
            command += ["--requirepass", self.password]
        self.process = subprocess.Popen([str(word) for word in command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for(lambda: self.cli("PING") == "PONG", 10, "redis-server")
        return self

    def stop(self, how=signal.SIGKILL):
        if self.process and self.process.poll() is None:
            os.kill(self.process.pid, how)
            os.kill(self.process.pid, signal.SIGCONT)
            self.process.wait(20)

    def raw(self, *words, data=None):
        """redis-cli's output as bytes; data: the last argument."""
        environment = os.environ | ({"REDISCLI_AUTH": self.password} if self.password else {})
        command = ["redis-cli", "-s", self.socket, *(["-x"] if data is not None else []), *words]
        return subprocess.run([str(word) for word in command], env=environment, input=data, capture_output=True).stdout

    def cli(self, *words, data=None):
        return self.raw(*words, data=data).decode(errors="replace").strip()

    @property
    def settings(self):
        """Of a stack that keeps its sessions here, in database 3."""
        scheme = "rediss" if self.tls else "redis"
        login = f":{self.password}@" if self.password else ""
        return {"MIRAI_SESSION_URL": f"{scheme}://{login}127.0.0.1:{self.port}/3", "MIRAI_SESSION_KEY": KEY, "MIRAI_INSTALLATION": "test"} | (
            {"MIRAI_SESSION_CA_FILE": str(self.certificate)} if self.tls else {})

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()
        shutil.rmtree(self.dir, ignore_errors=True)
