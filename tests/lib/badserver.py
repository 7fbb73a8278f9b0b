"""Servers that do what servers should not: say nothing, talk nonsense, hang up. On 127.0.0.1, each in a thread."""

import socket
import ssl
import threading


class BadServer:
    """Use as a context manager; `behave(connection)` runs in a thread for each connection."""

    def __init__(self, behave):
        self.behave = behave
        self.accepted = 0
        self.connections = []
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self.listener.getsockname()[1]

    def __enter__(self):
        threading.Thread(target=self.serve, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.listener.close()
        for connection in self.connections:
            connection.close()

    def serve(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.accepted += 1
            self.connections.append(connection)
            threading.Thread(target=self.meet, args=(connection,), daemon=True).start()

    def meet(self, connection):
        try:
            self.behave(connection)
        except OSError:
            pass

    @property
    def ldap(self):
        return f"ldap://127.0.0.1:{self.port}"

    @property
    def ldaps(self):
        return f"ldaps://127.0.0.1:{self.port}"


def silent(connection):
    """Reads all and answers nothing."""
    while connection.recv(4096):
        pass


def garbage(connection):
    connection.recv(4096)
    connection.sendall(bytes(range(256)) * 16)
    silent(connection)


def closing(connection):
    """Hangs up in the middle."""
    connection.recv(64)
    connection.close()


def with_tls(certificate, then):
    """A behaviour behind TLS with that (certificate, key)."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)

    def behave(connection):
        try:
            with context.wrap_socket(connection, server_side=True) as secured:
                then(secured)
        except ssl.SSLError:
            connection.close()
    return behave


class BlackHole:
    """A listener whose queue is full: the kernel drops what wants to connect."""

    def __enter__(self):
        self.listener = socket.socket()
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(0)
        self.port = self.listener.getsockname()[1]
        self.queue = []
        for _ in range(8):
            waiting = socket.socket()
            waiting.setblocking(False)
            waiting.connect_ex(("127.0.0.1", self.port))
            self.queue.append(waiting)
        return self

    def __exit__(self, *_):
        for waiting in self.queue:
            waiting.close()
        self.listener.close()

    @property
    def ldaps(self):
        return f"ldaps://127.0.0.1:{self.port}"
