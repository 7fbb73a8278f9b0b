"""A real clamd for tests, which knows one virus: the EICAR test file."""

import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile

from stack import wait_for

# https://www.eicar.org: in two parts, so that no scanner takes this file for it.
EICAR = (r"X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR" + "-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*").encode()
STREAM_MAX = 1 << 20


class Clamd:
    """clamd on a UNIX socket in a temporary directory. Use as a context manager."""

    def __init__(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="mirai-clamd-"))
        self.socket = self.dir / "clamd.sock"
        self.process = None
        (self.dir / "db").mkdir()
        (self.dir / "db" / "test.ndb").write_text(f"Eicar-Test-Signature:0:*:{EICAR.hex()}\n")
        (self.dir / "clamd.conf").write_text(
            f"LocalSocket {self.socket}\nDatabaseDirectory {self.dir / 'db'}\nTemporaryDirectory {self.dir}\nForeground yes\n"
            f"StreamMaxLength {STREAM_MAX}\nLogFile {self.dir / 'clamd.log'}\nMaxThreads 4\n")

    @property
    def settings(self):
        return {"MIRAI_CLAMD": f"unix:{self.socket}"}

    def say(self, command):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(5)
            connection.connect(str(self.socket))
            connection.sendall(b"z" + command + b"\0")
            return connection.recv(100)

    def start(self):
        self.process = subprocess.Popen(["clamd", "--config-file", self.dir / "clamd.conf"], stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)

        def ready():
            if self.process.poll() is not None:
                raise AssertionError(f"clamd ended: {(self.dir / 'clamd.log').read_text(errors='replace')}")
            try:
                return self.say(b"PING") == b"PONG\0"
            except OSError:
                return False
        wait_for(ready, 60, "clamd")
        return self

    def stop(self, how=signal.SIGKILL):
        if self.process and self.process.poll() is None:
            self.process.send_signal(how)
            self.process.send_signal(signal.SIGCONT)
            self.process.wait(20)
        self.socket.unlink(missing_ok=True)

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *_):
        self.stop()
        shutil.rmtree(self.dir, ignore_errors=True)
