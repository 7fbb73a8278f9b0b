"""HTTP/2 by hand (RFC 9113, RFC 7541): enough to open streams, reset them and see how they end."""

import socket
import ssl
import struct

DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
END_STREAM, ACK, END_HEADERS = 1, 1, 4
CANCEL = 8
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
STATUS_200 = 0x88  # the static table's entry 8


def integer(value, bits, flags=0):
    """RFC 7541 §5.1."""
    limit = (1 << bits) - 1
    if value < limit:
        return bytes([flags | value])
    encoded = bytearray([flags | limit])
    value -= limit
    while value >= 128:
        encoded.append(value % 128 + 128)
        value //= 128
    return bytes(encoded + bytes([value]))


def literal(name, value):
    """A header field without indexing and with a name of its own (RFC 7541 §6.2.2), not compressed."""
    return b"\0" + integer(len(name), 7) + name.encode() + integer(len(value), 7) + value.encode()


def frame(kind, flags, stream, payload=b""):
    return struct.pack("!I", len(payload))[1:] + struct.pack("!BBI", kind, flags, stream) + payload


class Connection:
    """One connection. `ended` maps a stream to the first byte of its header block, or to None when the server reset it.
    source: address to come from, such as 127.0.0.2."""

    def __init__(self, stack, timeout=10, source=None):
        context = ssl.create_default_context(cafile=stack.tls_file)
        context.set_alpn_protocols(["h2"])
        self.token = stack.admin_token
        self.authority = f"localhost:{stack.port}"
        raw = socket.create_connection(("127.0.0.1", stack.port), timeout, source and (source, 0))
        self.tls = context.wrap_socket(raw, server_hostname="localhost")
        assert self.tls.selected_alpn_protocol() == "h2"
        self.input = b""
        self.last = -1
        self.ended = {}
        self.headers = {}
        self.goaway = False
        self.tls.sendall(PREFACE + frame(SETTINGS, 0, 0))

    def request(self, method, path, end=True, headers=()):
        """The frames of one request; its stream is `last`. end=False: a body would follow."""
        self.last += 2
        block = literal(":method", method) + literal(":scheme", "https") + literal(":path", path) + literal(":authority", self.authority)
        block += literal("authorization", f"Bearer {self.token}") + b"".join(literal(*header) for header in headers)
        return frame(HEADERS, END_HEADERS | (END_STREAM if end else 0), self.last, block)

    def reset(self, stream):
        return frame(RST_STREAM, 0, stream, struct.pack("!I", CANCEL))

    def send(self, data):
        self.tls.sendall(data)

    def read_frame(self):
        while len(self.input) < 9 or len(self.input) < 9 + int.from_bytes(self.input[:3], "big"):
            chunk = self.tls.recv(65536)
            if not chunk:
                raise ConnectionResetError("the server has closed the connection")
            self.input += chunk
        length = int.from_bytes(self.input[:3], "big")
        kind, flags, stream = struct.unpack("!BBI", self.input[3:9])
        payload, self.input = self.input[9:9 + length], self.input[9 + length:]
        if kind == SETTINGS and not flags & ACK:
            self.send(frame(SETTINGS, ACK, 0))
        elif kind == PING and not flags & ACK:
            self.send(frame(PING, ACK, 0, payload))
        elif kind == DATA and payload:
            self.send(frame(WINDOW_UPDATE, 0, 0, struct.pack("!I", len(payload))))
        elif kind == GOAWAY:
            self.goaway = True
        if kind == HEADERS:
            self.headers[stream] = payload[0]
        if kind in (HEADERS, DATA) and flags & END_STREAM:
            self.ended[stream] = self.headers[stream]
        elif kind == RST_STREAM:
            self.ended[stream] = None
        return kind, flags, stream, payload

    def wait(self, stream):
        """Read until the stream has ended; the first byte of its header block."""
        while stream not in self.ended:
            self.read_frame()
        return self.ended[stream]

    def close(self):
        self.tls.close()
