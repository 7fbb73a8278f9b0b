"""Clients that are slow, rude or gone: others are served meanwhile, memory stays bounded, and no daemon dies."""

import contextlib
import itertools
import os
import random
import signal
import socket
import ssl
import struct
import threading
import time
import unittest

import h2
from case import Case
from load import Load, slowest, succeeded
from stack import Stack, measured, wait_for

REQUEST_TIMEOUT = 2.0
IDLE_TIMEOUT = 6.0
CONNECTIONS_MAX = 300
SLACK = 2.0  # for a busy machine
ORDINARY = 6
RUDE = 40
MIB = 1 << 20

stack = None


def setUpModule():
    global stack
    stack = unittest.enterModuleContext(Stack(
        MIRAI_REQUEST_TIMEOUT_MS=int(REQUEST_TIMEOUT * 1000), MIRAI_IDLE_TIMEOUT_MS=int(IDLE_TIMEOUT * 1000),
        MIRAI_CONNECTIONS_MAX=CONNECTIONS_MAX,
        MIRAI_HTTP2_RESETS_PER_SECOND=1000000))  # here resets are to reach what they interrupt; tests/security has the limits


def plain_socket(receive_buffer=None):
    raw = socket.socket()
    if receive_buffer:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    raw.settimeout(10)
    raw.connect(("127.0.0.1", stack.port))
    return raw


def tls_socket(receive_buffer=None):
    return stack.tls.wrap_socket(plain_socket(receive_buffer), server_hostname="localhost")


def head(line, *lines):
    return "\r\n".join((line, "Host: localhost", f"Authorization: Bearer {stack.admin_token}", *lines, "", "")).encode()


def is_closed(connection):
    """Whether the server has ended this connection; what it says before is thrown away."""
    connection.setblocking(False)
    try:
        while connection.recv(65536):
            pass
        return True
    except (BlockingIOError, ssl.SSLWantReadError):
        return False
    except OSError:
        return True
    finally:
        connection.settimeout(10)


def reset(connection):
    """Close with RST."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def drip(connections, data, seconds, pause=0.1):
    """Send data byte by byte to all connections until the server has ended them all; returns when it ended each."""
    began, ended = time.monotonic(), {}
    for byte in itertools.chain(data, itertools.repeat(ord("x"))):
        for connection in connections:
            if connection in ended:
                continue
            try:
                connection.send(bytes([byte]))
                closed = is_closed(connection)
            except OSError:
                closed = True
            if closed:
                ended[connection] = time.monotonic() - began
        if len(ended) == len(connections) or time.monotonic() - began > seconds:
            break
        time.sleep(pause)
    return list(ended.values())


class Clients(Case):
    def setUp(self):
        self.idle_memory = stack.memory("gateway")

    @contextlib.contextmanager
    def others_served(self, seconds=2):
        """Ordinary clients meanwhile, and for so long at least: every answer is right, none is late."""
        with Load(stack, connections=ORDINARY, processes=1, pause=0.02) as load:
            end = time.monotonic() + seconds
            yield
            time.sleep(max(0, end - time.monotonic()))
            load.stop()
            load.verify()
        failed = [event for event in load.events if not succeeded(event)]
        measured("meanwhile, ordinary", f"{len(load.events)} answers, {len(failed)} failed, the slowest {slowest(load.events):.3f} s")
        self.assertEqual(failed[:3], [])
        self.assertEqual(load.wrong[:3], [])
        self.assertEqual(load.lost[:3], [])
        self.assertGreater(len(load.events), 100)
        self.assertLess(slowest(load.events), 1.0)

    def open_connections(self):
        return int(stack.metrics()["mirai_gateway_connections"])

    def check_released(self, most_growth=32 * MIB, seconds=5):
        """All rude connections are gone, and with them what they took."""
        wait_for(lambda: self.open_connections() <= 8, seconds, lambda: f"the end of {self.open_connections()} connections")
        grown = stack.memory("gateway") - self.idle_memory
        measured("gateway's memory grew by", f"{grown / MIB:.1f} MiB")
        self.assertLess(grown, most_growth)

    def everyone(self, connections):
        for connection in connections:
            self.addCleanup(connection.close)
        return connections

    # ---------------------------------------------------------------- slow

    def check_cut(self, times, name, earliest, latest):
        measured(f"{name}: cut off after", f"{min(times, default=0):.1f} to {max(times, default=0):.1f} s")
        self.assertEqual(len(times), RUDE)
        self.assertGreater(min(times), earliest)
        self.assertLess(max(times), latest)

    def test_slow_handshakes(self):
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        with contextlib.suppress(ssl.SSLWantReadError):
            stack.tls.wrap_bio(incoming, outgoing, server_hostname="localhost").do_handshake()
        hello = outgoing.read()
        self.assertGreater(len(hello), 100)
        with self.others_served():
            connections = self.everyone([plain_socket() for _ in range(RUDE)])
            times = drip(connections, hello[:-1], REQUEST_TIMEOUT + 2 * SLACK)
        self.check_cut(times, "slow handshakes", REQUEST_TIMEOUT / 2, REQUEST_TIMEOUT + SLACK)
        self.check_released()

    def test_silence_instead_of_a_handshake(self):
        with self.others_served():
            connections = self.everyone([plain_socket() for _ in range(RUDE)])
            wait_for(lambda: all(is_closed(connection) for connection in connections), REQUEST_TIMEOUT + SLACK, "end of silent connections")
        self.check_released()

    def test_slow_heads(self):
        with self.others_served():
            connections = self.everyone([tls_socket() for _ in range(RUDE)])
            times = drip(connections, head("GET /api/v1/articles HTTP/1.1", "X-Slow: " + "x" * 500), REQUEST_TIMEOUT + 2 * SLACK)
        self.check_cut(times, "slow heads", REQUEST_TIMEOUT / 2, REQUEST_TIMEOUT + SLACK)
        self.check_released()

    def test_slow_bodies(self):
        start = head("POST /api/v1/articles HTTP/1.1", "Content-Type: application/json", "Content-Length: 100000")
        with self.others_served():
            connections = self.everyone([tls_socket() for _ in range(RUDE)])
            for connection in connections:
                connection.sendall(start)
            times = drip(connections, b'{"title":"', REQUEST_TIMEOUT + 2 * SLACK)
        self.check_cut(times, "slow bodies", REQUEST_TIMEOUT / 2, REQUEST_TIMEOUT + SLACK)
        self.check_released()

    def body_streams(self, connection, streams):
        """Open so many streams of one HTTP/2 connection whose bodies are to come, for no one and no path."""
        connection.token = "no token at all"
        for _ in range(streams):
            connection.send(connection.request("POST", "/nothing", end=False))
        return range(1, 2 * streams, 2)

    def test_bodies_on_streams_that_come_slowly(self):
        begin = time.monotonic()
        with contextlib.closing(h2.Connection(stack)) as connection:
            streams = self.body_streams(connection, 20)
            end = begin + REQUEST_TIMEOUT + SLACK
            while time.monotonic() < end + 5:
                try:
                    for stream in streams:
                        connection.send(h2.frame(h2.DATA, 0, stream, b"x"))
                except OSError:
                    break
                time.sleep(0.1)
        self.assertLess(time.monotonic(), end)

    def test_bodies_on_streams_are_bounded(self):
        before = stack.memory("gateway")
        most = 0
        with contextlib.closing(h2.Connection(stack)) as connection:
            streams = self.body_streams(connection, 90)
            sent, chunk = 0, b"x" * 16384
            connection.tls.settimeout(2)
            with contextlib.suppress(OSError):
                for _ in range(200):  # 90 streams of 3.2 MB
                    for stream in streams:
                        connection.send(h2.frame(h2.DATA, 0, stream, chunk))
                        sent += len(chunk)
                    most = max(most, stack.memory("gateway") - before)
            measured("sent before it was cut off", f"{sent / MIB:.0f} MiB, memory +{most / MIB:.0f} MiB")
        self.assertLess(most, 160 * MIB)  # one connection's largest request, and what comes between two looks
        self.assertGreater(sent, 20 * MIB)
        wait_for(lambda: stack.memory("gateway") - before < 100 * MIB, 10, "memory given back")

    def test_a_long_upload_over_http2_is_not_cut(self):
        """Frames that never end where TLS records do leave half a frame in the buffer at every look."""
        article = stack.article()
        with contextlib.closing(h2.Connection(stack)) as connection:
            connection.send(connection.request("POST", f"/api/v1/articles/{article['id']}/attachments?name=long.bin", end=False,
                                               headers=[("content-type", "application/octet-stream")]))
            stream, size = connection.last, 0
            waiting = b""
            end = time.monotonic() + REQUEST_TIMEOUT + 3 * SLACK
            while time.monotonic() < end:
                waiting += h2.frame(h2.DATA, 0, stream, b"y" * 16000)
                connection.send(waiting[:-100])  # a record ends within a frame
                waiting = waiting[-100:]
                size += 16000
                time.sleep(0.02)
            connection.send(waiting + h2.frame(h2.DATA, h2.END_STREAM, stream))
            self.assertIsNotNone(connection.wait(stream))
        items = stack.client().get(f"/api/v1/articles/{article['id']}/attachments").json["items"]
        self.assertEqual([item["size"] for item in items], [size])

    def test_a_body_in_pieces_is_served(self):
        """Not everyone who is slow is rude."""
        body = ('{"title":"少しずつ","type":"other","status":"published","body":"' + "あ" * 20000 + '"}').encode()
        with tls_socket() as connection:
            connection.sendall(head("POST /api/v1/articles HTTP/1.1", "Content-Type: application/json", f"Content-Length: {len(body)}"))
            for at in range(0, len(body), len(body) // 5 + 1):
                time.sleep(0.3)
                connection.sendall(body[at:at + len(body) // 5 + 1])
            self.assertTrue(connection.recv(65536).startswith(b"HTTP/1.1 201"))

    def test_slow_readers_of_a_large_file(self):
        """Those who take nothing are cut off; who takes it slowly gets it all; neither makes the gateway hold it."""
        size, readers = 24 * MIB, 12
        article = stack.article(title="大きな添付")
        content = bytes(range(256)) * (size // 256)
        upload = self.expect(stack.client(timeout=60).request(
            "POST", f"/api/v1/articles/{article['id']}/attachments?name=large.bin", raw=content, headers={"Content-Type": "application/octet-stream"}), 201)
        request = head(f"GET /api/v1/articles/{article['id']}/attachments/{upload.json['id']}/content HTTP/1.1", "Connection: close")
        wait_for(lambda: stack.memory("gateway") < self.idle_memory + 8 * MIB, 5, "the end of the upload's buffer")
        most = before = stack.memory("gateway")
        with self.others_served():
            stuck = self.everyone([tls_socket(4096) for _ in range(readers)])
            for connection in stuck:
                connection.sendall(request)
            began = time.monotonic()
            with tls_socket(65536) as steady:
                steady.sendall(request)
                received = bytearray()
                while chunk := steady.recv(256 * 1024):
                    received += chunk
                    most = max(most, stack.memory("gateway"))
                    time.sleep(0.002)
            measured("slow reader: whole file after", f"{time.monotonic() - began:.1f} s")
            self.assertEqual(bytes(received).partition(b"\r\n\r\n")[2], content)
            wait_for(lambda: self.open_connections() <= ORDINARY + 4, IDLE_TIMEOUT + SLACK + 4, "end of those who read nothing")
        measured("slow readers: gateway's memory grew by at most", f"{(most - before) / MIB:.1f} MiB for {readers + 1} readers of {size // MIB} MiB")
        self.assertLess(most - before, 64 * MIB)
        self.check_released()

    # ---------------------------------------------------------------- many

    def test_idle_connections_up_to_the_limit(self):
        with self.others_served():
            time.sleep(0.5)
            idle = []
            for _ in range(CONNECTIONS_MAX):
                try:
                    idle.append(tls_socket())
                except OSError:
                    break  # the limit
            self.everyone(idle)
            measured("idle connections", len(idle))
            self.assertGreaterEqual(len(idle), CONNECTIONS_MAX - ORDINARY - 4)
            self.assertLessEqual(len(idle), CONNECTIONS_MAX - ORDINARY)
            for _ in range(20):  # over the limit: at once, not after a wait
                began = time.monotonic()
                with self.assertRaises(OSError):
                    tls_socket()
                self.assertLess(time.monotonic() - began, 1)
            alive = [connection for connection in idle if not is_closed(connection)]
            self.assertGreater(len(alive), len(idle) // 2)
            grown = stack.memory("gateway") - self.idle_memory
            measured("idle connections: memory of each", f"{grown / len(idle) / 1024:.0f} KiB")
            self.assertLess(grown, 48 * MIB)
            idle.pop().close()  # room for one more
            wait_for(lambda: self.can_connect(), 2, "a connection in the place of one that ended")
            wait_for(lambda: all(is_closed(connection) for connection in idle), IDLE_TIMEOUT + SLACK, "end of idle connections")
        self.check_released()

    @staticmethod
    def can_connect():
        with contextlib.suppress(OSError), contextlib.closing(stack.client(None)) as client:
            return client.get("/health").status == 200
        return False

    # ---------------------------------------------------------------- rude

    def test_truncated_bodies(self):
        body = b'{"title":"truncated","type":"other","body":"","status":"published"}'
        with self.others_served():
            for turn in range(150):
                connection = tls_socket()
                if turn % 2:
                    connection.sendall(head("POST /api/v1/articles HTTP/1.1", "Content-Type: application/json", f"Content-Length: {len(body) + 1}") + body)
                else:
                    connection.sendall(head("POST /api/v1/articles HTTP/1.1", "Content-Type: application/json", "Transfer-Encoding: chunked")
                                       + b"%x\r\n" % len(body) + body + b"\r\n")
                if turn % 3:
                    reset(connection)
                else:
                    connection.close()
        self.assertEqual([row for row in stack.client().pages("/api/v1/articles", limit=200) if row["title"] == "truncated"], [])
        self.check_released()

    def test_half_closed_sockets(self):
        """The end of the client's bytes is the end of TLS without its goodbye: an answer may come, a hang may not."""
        article = stack.article(title="片方だけ閉じる")
        request = head(f"GET /api/v1/articles/{article['id']} HTTP/1.1")
        answered = 0
        with self.others_served():
            for turn in range(100):
                connection = self.everyone([tls_socket()])[0]
                connection.sendall(request if turn % 4 else request[:40])
                if turn % 2:
                    connection.shutdown(socket.SHUT_WR)
                elif turn % 4 == 0:  # a goodbye in the middle of a request
                    connection.setblocking(False)  # the server's own goodbye is not waited for
                    with contextlib.suppress(OSError):
                        connection.unwrap()
                connection.settimeout(REQUEST_TIMEOUT + SLACK)
                if turn % 4 == 2:
                    answered += connection.recv(65536).startswith(b"HTTP/1.1 200")
        self.assertEqual(answered, 25)
        self.check_released(seconds=IDLE_TIMEOUT + SLACK)

    def cancelled(self):
        """Calls that the gateway gave up because their request had ended."""
        text = stack.curl(f"http://127.0.0.1:{stack.metrics_port}/metrics").stdout.decode()
        return sum(int(float(line.rsplit(" ", 1)[1])) for line in text.splitlines()
                   if line.startswith('mirai_rpc_client_calls_total{daemon="gateway"') and 'result="cancelled"' in line)

    @contextlib.contextmanager
    def calls_in_flight(self, cancelled):
        """The backup daemon stands still meanwhile: what asks it is in flight for as long as its client waits. Its answers
        come when all is over, to no one."""
        before = self.cancelled()
        pid = stack.kill("backup", signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)
        wait_for(lambda: self.cancelled() - before >= cancelled, 5, lambda: f"{self.cancelled() - before} cancelled calls only")
        measured("calls cancelled in flight", self.cancelled() - before)
        self.expect(stack.client().get("/api/v1/backups"), 200)

    def test_clients_that_go_while_they_are_served(self):
        """HTTP/1 does not look at the socket while it works on a request: the answer finds no one."""
        with self.others_served(), self.calls_in_flight(0):
            for turn in range(150):
                connection = tls_socket()
                connection.sendall(head("GET /api/v1/backups HTTP/1.1") + head("GET /api/v1/articles?limit=200 HTTP/1.1") * 3)
                if turn % 2:
                    reset(connection)
                else:
                    connection.close()
            self.assertGreater(self.open_connections(), 50)  # their calls are in flight
        self.check_released()

    def test_streams_reset_while_their_calls_are_in_flight(self):
        connections, rounds, streams = 4, 40, 90  # 100 streams may be open at once
        article = stack.article(title="取り消し")
        paths = ("/api/v1/backups", f"/api/v1/articles/{article['id']}", "/api/v1/search?q=%E5%8F%96", "/api/v1/backups",
                 f"/api/v1/articles/{article['id']}/revisions", "/api/v1/status", "/ready", f"/api/v1/articles/{article['id']}/render")
        failures, well = [], []

        def run(number):
            dice = random.Random(number)
            try:
                with contextlib.closing(h2.Connection(stack)) as connection:
                    for turn in range(rounds):
                        opened, first = [], connection.last + 2
                        for at in range(streams):
                            opened.append(connection.request("GET", paths[at % len(paths)]))
                        for at in range(5):  # and some that wait for a body that never comes
                            opened.append(connection.request("POST", "/api/v1/articles", end=False, headers=(("content-type", "application/json"),)))
                        resets = [connection.reset(stream) for stream in range(first, connection.last + 2, 2)]
                        dice.shuffle(resets)
                        if turn % 4 == 0:  # reset before anything was begun
                            connection.send(b"".join(opened + resets))
                        else:
                            connection.send(b"".join(opened))
                            time.sleep(dice.uniform(0, 0.01))
                            connection.send(b"".join(resets))
                        connection.send(connection.request("GET", paths[1]))
                        well.append(connection.wait(connection.last))
            except (OSError, AssertionError) as error:
                failures.append((number, error))
        with self.others_served(), self.calls_in_flight(connections * rounds * 10):
            threads = [threading.Thread(target=run, args=(number,)) for number in range(connections)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        measured("streams reset", connections * rounds * (streams + 5))
        self.assertEqual(failures, [])
        self.assertEqual(well, [h2.STATUS_200] * connections * rounds)
        self.check_released()

    def test_scrapers_come_and_go(self):
        """The port of the metrics daemon: more connections in a row than it serves at once, and rude ones between."""
        memory = stack.memory("metrics")
        for turn in range(150):
            raw = socket.create_connection(("127.0.0.1", stack.metrics_port), 5)
            raw.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"[:60 if turn % 2 else 10])
            reset(raw)
            self.assertIn("mirai_gateway_connections", stack.metrics())
        self.assertLess(stack.memory("metrics") - memory, 8 * MIB)

    def test_connections_dropped_with_streams_open(self):
        article = stack.article(title="途中で切る")
        with self.others_served():
            for turn in range(60):
                connection = h2.Connection(stack)
                connection.send(b"".join(connection.request("GET", f"/api/v1/articles/{article['id']}/revisions") for _ in range(90)))
                if turn % 2:
                    reset(connection.tls)
                else:
                    connection.close()
        self.check_released()


if __name__ == "__main__":
    unittest.main()
