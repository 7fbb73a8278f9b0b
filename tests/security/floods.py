#!/usr/bin/env python3
"""Floods of HTTP/2 and HTTP/1 against a gateway, and what they leave to ordinary clients.

    PYTHONPATH=tests/lib python3 -B tests/security/floods.py [--seconds N] [--unguarded] [FLOOD…]

Ordinary clients (wrk on kept connections, reading one article) are measured for so many seconds alone, beside each flood,
and beside a process that only burns as much CPU as the attackers did: they share this machine's cores, which real
attackers do not. Prints a table. --unguarded: the gateway's budgets are so large that they never end a connection."""

import argparse
import contextlib
import multiprocessing
import os
import pathlib
import re
import resource
import selectors
import signal
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time
import warnings

import h2
from stack import Stack, wait_for

MIB = 1 << 20
CONNECTIONS = 4  # of each flood
CHUNK = 128 * 1024
BACKOFF = 0.005  # after a refused connection: TCP itself is not what is tested
ATTACKER = "127.0.0.66"  # the floods' own address: ordinary clients come from 127.0.0.1
PRIORITY, CONTINUATION = 2, 9
UNGUARDED = {"MIRAI_HTTP2_RESETS_PER_SECOND": 10000000, "MIRAI_HTTP2_FRAMES_PER_SECOND": 10000000}


# -------------------------------------------------------------------- what is sent

def fields(method, path, authority="localhost"):
    return h2.literal(":method", method) + b"\x87" + h2.literal(":path", path) + h2.literal(":authority", authority)


def headers(stream, block, end=True, whole=True):
    return h2.frame(h2.HEADERS, (h2.END_STREAM if end else 0) | (h2.END_HEADERS if whole else 0), stream, block)


def window(stream, size):
    return h2.frame(h2.WINDOW_UPDATE, 0, stream, struct.pack("!I", size))


def streams(make, limit=200_000):
    """Chunks of what make(stream) says for stream after stream."""
    chunk = []
    size = 0
    for stream in range(1, 2 * limit, 2):
        piece = make(stream)
        chunk.append(piece)
        size += len(piece)
        if size >= CHUNK:
            yield b"".join(chunk)
            chunk, size = [], 0
    yield b"".join(chunk)


def again(opening, piece):
    """Chunks of the same frame without end, after an opening."""
    yield opening
    chunk = piece * (CHUNK // len(piece))
    while True:
        yield chunk


def rapid_reset():
    block = fields("GET", "/api/v1/articles")
    cancel = struct.pack("!I", h2.CANCEL)
    return streams(lambda stream: headers(stream, block) + h2.frame(h2.RST_STREAM, 0, stream, cancel))


def made_you_reset():
    block = fields("POST", "/api/v1/articles")
    return streams(lambda stream: headers(stream, block, end=False) + window(stream, 0))


def bomb():
    """A table entry of 4 KiB, and requests that name it more than 10,000 times and stay open."""
    entry = b"\x40" + h2.integer(1, 7) + b"x" + h2.integer(4000, 7) + b"v" * 4000
    block = fields("POST", "/nothing")
    yield headers(1, block + entry, end=False)
    yield from streams(lambda stream: headers(stream + 2, block + b"\xbe" * 12000, end=False), limit=99)


def large_heads():
    block = fields("GET", "/nothing")
    value = b"".join(h2.literal(f"x{number}", "v" * 4000) for number in range(4))
    return streams(lambda stream: headers(stream, block, whole=False) + h2.frame(CONTINUATION, 0, stream, value) * 6
                   + h2.frame(CONTINUATION, h2.END_HEADERS, stream), limit=2000)


large = {}  # an answer of 250 kB: path and token


def unread():
    """Answers that nobody takes: no window, and a PING now and then."""
    block = fields("GET", large["path"]) + h2.literal("authorization", f"Bearer {large['token']}")
    yield h2.frame(h2.SETTINGS, 0, 0, struct.pack("!HI", 4, 0))
    yield from streams(lambda stream: headers(stream, block), limit=99)
    while True:
        time.sleep(0.2)
        yield h2.frame(h2.PING, 0, 0, b"12345678")


ASKED = headers(1, fields("POST", "/nothing"), end=False)

FRAMES = {  # by name: the chunks to send, and the kind of flood that the gateway counts
    "rapid reset": (rapid_reset, "resets"),
    "made you reset": (made_you_reset, "resets"),
    "continuation": (lambda: again(headers(1, b"\x82", whole=False), h2.frame(CONTINUATION, 0, 1)), "headers"),
    "ping": (lambda: again(b"", h2.frame(h2.PING, 0, 0, b"12345678")), "control"),
    "settings": (lambda: again(b"", h2.frame(h2.SETTINGS, 0, 0)), "control"),
    "empty frames": (lambda: again(ASKED, h2.frame(h2.DATA, 0, 1)), "control"),
    "priority": (lambda: again(ASKED, h2.frame(PRIORITY, 0, 1, b"\0\0\0\0\x10")), "control"),
    "small windows": (lambda: again(ASKED, window(1, 1)), "control"),
    "unknown frames": (lambda: again(b"", h2.frame(0x77, 0, 0)), "control"),
    "header bomb": (bomb, "headers"),
    "large heads": (large_heads, None),
    "unread answers": (unread, None),
}


# -------------------------------------------------------------------- who sends it

class Attacker:
    """In a process of its own: some connections, each with a thread that sends and one that throws away what comes."""

    def __init__(self, stack, end):
        self.port, self.end = stack.port, end
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.context.check_hostname, self.context.verify_mode = False, ssl.CERT_NONE
        self.sent = self.opened = self.refused = 0

    def connect(self, protocol):
        self.context.set_alpn_protocols([protocol])
        raw = socket.create_connection(("127.0.0.1", self.port), 5, (ATTACKER, 0))
        try:
            tls = self.context.wrap_socket(raw)
        except OSError:
            raw.close()
            raise
        self.opened += 1
        return tls

    def left(self):
        return self.end - time.monotonic()

    @staticmethod
    def drain(fd):
        with contextlib.suppress(OSError), contextlib.closing(socket.socket(fileno=fd)) as raw:
            raw.settimeout(None)
            while raw.recv(1 << 18):
                pass

    def frames(self, chunks):
        while self.left() > 0:
            try:
                with self.connect("h2") as tls:
                    tls.settimeout(max(0.1, self.left()))
                    threading.Thread(target=self.drain, args=(os.dup(tls.fileno()),), daemon=True).start()
                    tls.sendall(h2.PREFACE + h2.frame(h2.SETTINGS, 0, 0))
                    for chunk in chunks():
                        tls.sendall(chunk)
                        self.sent += len(chunk)
                        if self.left() <= 0:
                            return
                    if chunks is bomb:  # its requests are to stay open
                        tls.settimeout(max(0.1, self.left()))
                        tls.recv(1)
            except OSError:
                self.refused += 1
                time.sleep(BACKOFF)

    def slow_heads(self):
        """Slowloris: as many connections as one gets, a byte of a head now and then."""
        with contextlib.ExitStack() as stack, selectors.DefaultSelector() as selector:
            while self.left() > 0:
                with contextlib.suppress(OSError):
                    for _ in range(50):
                        tls = stack.enter_context(self.connect("http/1.1"))
                        tls.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n")
                        selector.register(tls, selectors.EVENT_READ)
                for key in list(selector.get_map().values()):
                    try:
                        key.fileobj.settimeout(1)
                        self.sent += key.fileobj.send(b"x")
                    except OSError:
                        selector.unregister(key.fileobj)
                        key.fileobj.close()
                        self.refused += 1
                time.sleep(0.05)

    def handshakes(self):
        """A handshake, and gone again."""
        while self.left() > 0:
            try:
                self.connect("h2").close()
            except OSError:
                self.refused += 1

    def burn(self, share):
        """Work so many seconds a second, and touch nothing."""
        began, used = time.monotonic(), time.process_time()
        while self.left() > 0:
            if time.process_time() - used < share * (time.monotonic() - began):
                sum(range(10000))
            else:
                time.sleep(0.001)

    def run(self, name, connection):
        warnings.simplefilter("ignore", ResourceWarning)  # ssl leaves sockets behind whose handshake failed
        if isinstance(name, float):
            threads = [threading.Thread(target=self.burn, args=(name,))]
        elif name in FRAMES:
            threads = [threading.Thread(target=self.frames, args=(FRAMES[name][0],)) for _ in range(CONNECTIONS)]
        else:
            what = {"slow heads": self.slow_heads, "handshakes": self.handshakes}[name]
            threads = [threading.Thread(target=what) for _ in range(2 if name == "handshakes" else 1)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        used = resource.getrusage(resource.RUSAGE_SELF)
        connection.send({"sent": self.sent, "opened": self.opened, "refused": self.refused, "cpu": used.ru_utime + used.ru_stime})
        connection.close()
        os._exit(0)


FLOODS = (*FRAMES, "slow heads", "handshakes")


# -------------------------------------------------------------------- what becomes of the others

class Floods:
    """One installation that is flooded again and again."""

    def __init__(self, seconds, unguarded=False):
        self.seconds = seconds
        self.stack = Stack(MIRAI_REQUEST_TIMEOUT_MS=3000, MIRAI_IDLE_TIMEOUT_MS=5000, MIRAI_LOG_LEVEL="warning", MIRAI_ENVIRONMENT="production",
                           **(UNGUARDED if unguarded else {}))

    def __enter__(self):
        self.stack.__enter__()
        try:
            self.article = self.stack.article(title="洪水", body="本文\n" * 200)
            body = "".join(chr(0x4e00 + at * 7919 % 20000) for at in range(80_000))
            large.update(path=f"/api/v1/articles/{self.stack.article(title='大', body=body)['id']}", token=self.stack.admin_token)
            self.throughput(1)
        except BaseException:
            self.stack.may_restart = True
            self.stack.__exit__()
            raise
        return self

    def __exit__(self, *exception):
        self.stack.__exit__(*exception)

    def throughput(self, seconds):
        """Answers a second to ordinary clients. They keep their connections; every answer is 200."""
        used = self.gateway_cpu()
        done = subprocess.run(
            ["wrk", "-t1", "-c8", f"-d{seconds}", "-H", f"Authorization: Bearer {self.stack.admin_token}", f"{self.stack.url}/api/v1/articles/{self.article['id']}"],
            capture_output=True, text=True, timeout=seconds + 30)
        assert "Non-2xx" not in done.stdout, done.stdout
        errors = re.search(r"Socket errors: (.*)", done.stdout)
        answers = int(re.search(r"(\d+) requests in", done.stdout).group(1))
        return {"rate": float(re.search(r"Requests/sec:\s*([\d.]+)", done.stdout).group(1)), "errors": errors.group(1) if errors else "",
                "gateway": self.gateway_cpu() - used, "answers": answers}

    def gateway_cpu(self):
        """Seconds that the gateway has worked."""
        fields = pathlib.Path(f"/proc/{self.stack.pid('gateway')}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def attack(self, name):
        receiver, sender = multiprocessing.Pipe(False)
        attacker = Attacker(self.stack, time.monotonic() + self.seconds + 1)
        process = multiprocessing.get_context("fork").Process(target=attacker.run, args=(name, sender), daemon=True)
        process.start()
        sender.close()
        return process, receiver

    def ended(self, kind):
        text = self.stack.curl(f"http://127.0.0.1:{self.stack.metrics_port}/metrics").stdout.decode()
        return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines()
                   if line.startswith("mirai_gateway_floods_total{") and (kind is None or f'kind="{kind}"' in line))

    def beside(self, name):
        """Throughput while that goes on, the gateway's largest memory, and what the attacker reports."""
        idle = peak = self.stack.memory("gateway")
        pid = self.stack.pid("gateway")
        process, receiver = self.attack(name)
        result = []
        thread = threading.Thread(target=lambda: result.append(self.throughput(self.seconds)))
        time.sleep(0.5)
        thread.start()
        while thread.is_alive():
            with contextlib.suppress(OSError, TypeError):
                peak = max(peak, self.stack.memory("gateway"))
            time.sleep(0.02)
        report = receiver.recv() if receiver.poll(20) else {"sent": 0, "opened": 0, "refused": 0, "cpu": 0.0}
        process.join(10)
        if process.is_alive():
            process.kill()
        wait_for(lambda: self.healthy(), 10, "the gateway's health after the flood")
        assert result, "wrk failed"
        return {"name": name, "grown": peak - idle, "alive": self.stack.pid("gateway") == pid, **result[0], **report}

    def healthy(self):
        with contextlib.suppress(OSError), contextlib.closing(self.stack.client(None, timeout=3)) as client:
            return client.get("/ready").status == 200
        return False

    def control(self, cpu):
        """Answers a second beside processes that only burn as much CPU as an attacker did."""
        share = min(2.0, cpu / (self.seconds + 1))
        burning = [self.attack(part) for part in ([share] if share <= 0.9 else [share / 2] * 2)]
        time.sleep(0.5)
        rate = self.throughput(self.seconds)["rate"]
        for process, receiver in burning:
            receiver.recv()
            process.join(10)
        return rate

    def measure(self, names):
        """A row for each flood: throughput before it, beside it, and beside a process that burns the same CPU."""
        rows = []
        for name in names:
            kind = FRAMES[name][1] if name in FRAMES else None
            ended = self.ended(kind)
            alone = self.throughput(self.seconds)
            row = self.beside(name)
            row["ended"] = int(self.ended(kind) - ended)
            row["alone"] = alone["rate"]
            row["control"] = self.control(row["cpu"])
            row["ratio"] = row["rate"] / row["alone"]
            row["fair"] = row["rate"] / row["control"]
            row["spent"] = row["gateway"] - alone["gateway"] / alone["answers"] * row["answers"]
            rows.append(row)
        return rows


HEAD = ("flood", "alone", "beside it", "of alone", "of control", "gateway CPU s on it", "attacker CPU s", "memory MiB", "connections", "refused", "ended", "sent MiB")


def table(rows):
    lines = [" | ".join(HEAD), " | ".join("---" for _ in HEAD)]
    for row in rows:
        lines.append(" | ".join((
            row["name"], f"{row['alone']:.0f}", f"{row['rate']:.0f}", f"{row['ratio']:.0%}", f"{row['fair']:.0%}", f"{row['spent']:.2f}", f"{row['cpu']:.1f}", f"+{row['grown'] / MIB:.1f}",
            str(row["opened"]), str(row["refused"]), str(row["ended"]), f"{row['sent'] / MIB:.1f}")))
    return "\n".join(f"| {line} |" for line in lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--unguarded", action="store_true")
    parser.add_argument("floods", nargs="*", metavar="FLOOD", help=", ".join(FLOODS))
    options = parser.parse_args()
    unknown = set(options.floods) - set(FLOODS)
    if unknown:
        parser.error(f"no such flood: {', '.join(unknown)}")
    with Floods(options.seconds, options.unguarded) as floods:
        rows = floods.measure(options.floods or FLOODS)
    print(table(rows))
    bad = [row["name"] for row in rows if not row["alive"] or max(row["ratio"], row["fair"]) < 0.5]
    if bad:
        print("too much is lost beside: " + ", ".join(bad), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    sys.exit(main())
