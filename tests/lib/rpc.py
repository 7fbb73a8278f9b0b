"""A client of the daemons' RPC in a few lines, which can take on another user's rights before it connects."""

import os
import pickle
import socket
import struct


def pack(value):
    """MessagePack of None, bools, integers, text, bytes, lists and dicts."""
    if value is None:
        return b"\xc0"
    if isinstance(value, bool):
        return b"\xc3" if value else b"\xc2"
    if isinstance(value, int):
        return struct.pack(">Bq", 0xd3, value)
    if isinstance(value, str):
        return struct.pack(">BI", 0xdb, len(value.encode())) + value.encode()
    if isinstance(value, bytes):
        return struct.pack(">BI", 0xc6, len(value)) + value
    if isinstance(value, dict):
        return struct.pack(">BI", 0xdf, len(value)) + b"".join(pack(key) + pack(item) for key, item in value.items())
    return struct.pack(">BI", 0xdd, len(value)) + b"".join(map(pack, value))


def unpack(data, at=0):
    """(value, offset behind it)."""
    kind = data[at]
    at += 1
    if kind < 0x80 or kind >= 0xe0:
        return kind if kind < 0x80 else kind - 256, at
    if kind in (0xc0, 0xc2, 0xc3):
        return {0xc0: None, 0xc2: False, 0xc3: True}[kind], at
    sizes = {0xca: ">f", 0xcb: ">d", 0xcc: ">B", 0xcd: ">H", 0xce: ">I", 0xcf: ">Q", 0xd0: ">b", 0xd1: ">h", 0xd2: ">i", 0xd3: ">q"}
    if kind in sizes:
        return struct.unpack_from(sizes[kind], data, at)[0], at + struct.calcsize(sizes[kind])
    if kind >> 5 == 5:
        kind, count = "text", kind & 31
    elif kind >> 4 in (8, 9):
        kind, count = ("map", "list")[kind >> 4 & 1], kind & 15
    else:
        form = {0xc4: ">B", 0xc5: ">H", 0xc6: ">I", 0xd9: ">B", 0xda: ">H", 0xdb: ">I", 0xdc: ">H", 0xdd: ">I", 0xde: ">H",
                0xdf: ">I"}[kind]
        count = struct.unpack_from(form, data, at)[0]
        at += struct.calcsize(form)
        kind = "bytes" if kind < 0xc7 else "text" if kind < 0xdc else "list" if kind < 0xde else "map"
    if kind in ("text", "bytes"):
        raw = data[at:at + count]
        return raw.decode() if kind == "text" else raw, at + count
    items = []
    for _ in range(count * (2 if kind == "map" else 1)):
        item, at = unpack(data, at)
        items.append(item)
    return dict(zip(items[::2], items[1::2])) if kind == "map" else items, at


def receive(connection, count):
    data = b""
    while len(data) < count:
        more = connection.recv(count - len(data))
        if not more:
            raise EOFError
        data += more
    return data


def ask(connection, method, user_id, role, params):
    """One call over a connected stream: None when it went well, or the error's code."""
    connection.sendall(b"\0SP\0\0\x30\0\0")
    if receive(connection, 8) != b"\0SP\0\0\x31\0\0":
        raise EOFError
    context = {"u": user_id, "r": role, "n": "test"}
    payload = struct.pack(">I", 0x80000001) + pack([0, 1, method, [context, params]])
    connection.sendall(struct.pack(">BQ", 1, len(payload)) + payload)
    _, length = struct.unpack(">BQ", receive(connection, 9))
    (_, _, error, _), _ = unpack(receive(connection, length), 4)
    return error["code"] if error else None


def call(path, method, user_id=-1, role=3, params=None):
    """Connect to a UNIX socket and call. None: it went well; the error's code; "refused": cut off before any answer."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(10)
        try:
            connection.connect(path)
            return ask(connection, method, user_id, role, params or {})
        except (EOFError, ConnectionError, BrokenPipeError):
            return "refused"
        except PermissionError:
            return "no permission"


def call_as(uid, gid, groups, path, *arguments, **options):
    """call() from a process of that user. The folder of `path` is entered before, as ourselves: from then on only its own
    mode and the socket's count."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.chdir(os.path.dirname(path))
            os.setgroups(groups)
            os.setresgid(gid, gid, gid)
            os.setresuid(uid, uid, uid)
            result = call(os.path.basename(path), *arguments, **options)
        except BaseException as error:  # to the parent, whatever it is
            result = repr(error)
        os.write(writing, pickle.dumps(result))
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        data = pipe.read()
    os.waitpid(child, 0)
    return pickle.loads(data)
