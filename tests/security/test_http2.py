"""What h2o 2.2 does with frames that no ordinary client sends: the gateway stands between."""

import contextlib
import os
import pathlib
import signal
import socket
import ssl
import struct
import time
import unittest

import h2
from case import Case
from stack import Stack, measured, wait_for

PRIORITY, CONTINUATION = 2, 9
ENHANCE_YOUR_CALM = 11


class Unread(h2.Connection):
    """Nothing that the server sends is read, and little is buffered. settings: payload of the first SETTINGS."""

    def __init__(self, stack, settings):
        context = ssl.create_default_context(cafile=stack.tls_file)
        context.set_alpn_protocols(["h2"])
        raw = socket.socket()
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        raw.settimeout(10)
        raw.connect(("127.0.0.1", stack.port))
        self.tls = context.wrap_socket(raw, server_hostname="localhost")
        self.token, self.authority, self.last = stack.admin_token, f"localhost:{stack.port}", -1
        self.send(h2.PREFACE + h2.frame(h2.SETTINGS, 0, 0, settings))


def window(stream, size):
    return h2.frame(h2.WINDOW_UPDATE, 0, stream, struct.pack("!I", size))


class Frames(Case):
    def setUp(self):
        self.stack = self.enterContext(Stack(MIRAI_DRAIN_MS=4000))

    def ended_for(self, connection):
        """Read until the server has closed; the error code of its GOAWAY, None without one."""
        code = None
        with contextlib.suppress(OSError):
            while True:
                kind, _, _, payload = connection.read_frame()
                if kind == h2.GOAWAY:
                    code = struct.unpack("!I", payload[4:8])[0]
        return code

    def flood(self, data, source):
        connection = h2.Connection(self.stack, source=source)
        self.addCleanup(connection.close)
        with contextlib.suppress(OSError):
            connection.send(data(connection))
        return self.ended_for(connection)

    def floods(self, kind):
        text = self.stack.curl(f"http://127.0.0.1:{self.stack.metrics_port}/metrics").stdout.decode()
        return next(float(line.rsplit(" ", 1)[1]) for line in text.splitlines()
                    if line.startswith("mirai_gateway_floods_total{") and f'kind="{kind}"' in line)

    def test_who_floods_is_told_and_counted(self):
        def pairs(connection):
            return b"".join(connection.request("GET", "/health") + connection.reset(connection.last) for _ in range(400))

        def made(connection):
            return b"".join(connection.request("POST", "/nothing", end=False) + window(connection.last, 0) for _ in range(400))

        def parts(connection):
            return h2.frame(h2.HEADERS, 0, 1, b"\x82") + h2.frame(CONTINUATION, 0, 1) * 100

        def bomb(connection):
            return h2.frame(h2.HEADERS, h2.END_HEADERS, 1, b"\x82" * 16384)

        cases = (("resets", pairs), ("resets", made), ("headers", parts), ("headers", bomb),
                 ("control", lambda _: h2.frame(h2.PING, 0, 0, b"12345678") * 2000),
                 ("control", lambda _: h2.frame(h2.SETTINGS, 0, 0) * 2000),
                 ("control", lambda c: c.request("POST", "/nothing", end=False) + h2.frame(h2.DATA, 0, 1) * 2000),
                 ("control", lambda _: h2.frame(PRIORITY, 0, 1, b"\0\0\0\0\x10") * 2000),
                 ("control", lambda _: h2.frame(0x77, 0, 0, b"?") * 2000))
        told = 0
        for number, (kind, data) in enumerate(cases):
            before = self.floods(kind)
            code = self.flood(data, f"127.0.1.{number + 1}")  # one that floods may not come back at once
            self.assertIn(code, (None, ENHANCE_YOUR_CALM), kind)  # None: lost, as what was still coming was not read
            told += code is not None
            wait_for(lambda: self.floods(kind) == before + 1, 5, f"one more flood of {kind} ({number})")
        self.assertGreater(told, 0)
        self.assertNotIn("skipping frame", (self.stack.dir / "daemons.log").read_text(errors="replace"))

    def test_who_cancels_now_and_then_is_served(self):
        connection = h2.Connection(self.stack)
        self.addCleanup(connection.close)
        for _ in range(90):  # at once: a page with all that it loads, left again
            connection.send(connection.request("GET", "/api/v1/articles") + connection.reset(connection.last))
        for turn in range(1000):  # and one in ten after that
            connection.send(connection.request("GET", "/health"))
            if turn % 10 == 0:
                connection.send(connection.reset(connection.last))
            else:
                self.assertEqual(connection.wait(connection.last), h2.STATUS_200)
        self.assertFalse(connection.goaway)

    def test_frames_that_h2o_does_not_know_are_passed_over(self):
        connection = h2.Connection(self.stack)
        self.addCleanup(connection.close)
        for _ in range(20):
            connection.send(h2.frame(0x10, 0, 0, b"\0\0\0\1u=3") + connection.request("GET", "/health"))
            self.assertEqual(connection.wait(connection.last), h2.STATUS_200)
        self.assertNotIn("skipping frame", (self.stack.dir / "daemons.log").read_text(errors="replace"))

    def test_a_header_block_that_goes_on_after_goaway(self):
        """h2o 2.2 reads the same bytes for ever (lib/http2/connection.c, expect_continuation_of_headers)."""
        stack = self.stack
        self.expect(stack.client().get("/api/v1/articles"), 200)
        pid = stack.kill("knowledge-store", signal.SIGSTOP)
        wait_for(lambda: pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T", 5, "the store stopped")
        gateway = stack.pid("gateway")
        connection = h2.Connection(stack)
        self.addCleanup(connection.close)
        connection.send(connection.request("GET", "/api/v1/articles") + h2.frame(h2.PING, 0, 0, b"12345678"))
        while connection.read_frame()[0] != h2.PING:
            pass  # SETTINGS are acknowledged before the block begins, and the request waits for the store
        payload = connection.request("GET", "/health")[9:]
        connection.send(h2.frame(h2.HEADERS, h2.END_STREAM, 3, payload[:20]))
        signal_at = time.monotonic()
        stack.kill("gateway", signal.SIGTERM)
        stack.may_restart = True
        goaways = 0
        with contextlib.suppress(OSError):
            while goaways < 2:
                goaways += connection.read_frame()[0] == h2.GOAWAY  # the second one a second later
            connection.send(h2.frame(CONTINUATION, h2.END_HEADERS, 3, payload[20:]))
            self.assertNotEqual(connection.wait(1), h2.STATUS_200)  # what was asked before is answered: 503, the store stands still
        self.assertEqual(goaways, 2)
        self.assertIn(1, connection.ended)
        os.kill(pid, signal.SIGCONT)
        wait_for(lambda: stack.pid("gateway") != gateway, 5, "end of the gateway")
        measured("the gateway ended after", f"{time.monotonic() - signal_at:.1f} s")


class Windows(Case):
    def setUp(self):
        self.stack = self.enterContext(Stack(MIRAI_HTTP2_RESETS_PER_SECOND=1000000))

    def test_a_window_for_what_has_been_sent_already(self):
        """h2o 2.2 ends the process (update_stream_output_window asserts that such a stream is in no list)."""
        stack = self.stack
        article = stack.article(title="窓", body="本文" * 2000)
        path = f"/api/v1/articles/{article['id']}"
        size = int(stack.client().get(path).headers["Content-Length"])
        self.assertLess(size, 16384)  # one frame
        connection = Unread(stack, struct.pack("!HI", 4, size))
        self.addCleanup(connection.close)
        connection.send(window(0, 1 << 30))
        for _ in range(12):  # until a write is stuck, with whole answers in it that have used up their windows
            connection.send(b"".join(connection.request("GET", path) for _ in range(40)))
            time.sleep(0.05)
        with contextlib.suppress(OSError):
            connection.send(b"".join(window(stream, 5000) for stream in range(1, connection.last + 2, 2)))
        for _ in range(20):
            self.assertEqual(stack.client(None).get("/health").status, 200)
        self.assertEqual(stack.deaths(), [])


if __name__ == "__main__":
    unittest.main()
