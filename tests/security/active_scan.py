#!/usr/bin/env python3
"""An active scan of an HTTP API over its OpenAPI document: every operation × every parameter × attacks of every class.

    tests/security/active_scan.py https://localhost:8443 --ca server.pem --token-file token [--stranger-file token] [--quick]

Prints its findings and ends with 1 when one is high or medium. Only for servers of one's own, on this host: it changes things.
"""

import argparse
import collections
import copy
import html.parser
import http.client
import json
import pathlib
import re
import socket
import ssl
import sys
import tempfile
import threading
import time
import urllib.parse

Finding = collections.namedtuple("Finding", "severity kind operation place detail")
Reply = collections.namedtuple("Reply", "status headers body seconds")
Place = collections.namedtuple("Place", "where name")  # where: path, query, header, body; name of a body's member: a tuple
SLOW = 4.0  # seconds that no answer may take
MARK = "q7x9"
REDIRECT_HOST = "evil.example"
FALSE_HOST = "attacker.invalid"  # in headers only, so that it is never stored

# What no answer may say of the inside; what was sent is taken out first.
INTERNALS = [(kind, re.compile(pattern, re.I)) for kind, pattern in (
    ("sql", r"sqlite|sql logic|sql syntax|syntax error|near \"|no such (column|table)|unrecognized token|constraint failed|\bSELECT .+ FROM\b"),
    ("stack", r"traceback \(most|\bat 0x[0-9a-f]{6,}|segmentation fault|\b\w+\.(c|h|py|js|java):\d+|core dumped|AddressSanitizer|assertion .+ failed"),
    ("path", r"(^|[\s\"'(=])/(usr|home|var|etc|tmp|root|run|opt|work|lib|proc)/"),
    ("library", r"\b(h2o|libuv|openssl|nng|jansson|msgpack|cmark|libsodium|nginx|apache|express|python|php)/\d|boringssl"),
)]
VERSION_HEADERS = ("server", "x-powered-by", "x-aspnet-version", "via", "x-generator")
REQUIRED_HEADERS = {"x-content-type-options": "nosniff", "content-security-policy": "", "referrer-policy": "", "cache-control": ""}
ACTIVE_TAGS = {"script", "iframe", "object", "embed", "style", "link", "meta", "base", "form", "svg", "math", "img!", "video", "audio", "body", "html"}


# ---------------------------------------------------------------- HTTP

class Target:
    """One API: its address, credentials and document."""

    def __init__(self, url, token=None, tls=None, document_path="/openapi.json"):
        parts = urllib.parse.urlsplit(url)
        if parts.hostname not in ("localhost", "127.0.0.1", "::1"):
            raise ValueError("only servers on this host are scanned")
        self.host, self.port, self.tls, self.token = parts.hostname, parts.port, tls, token
        self.connection = None
        self.sent = 0
        self.document_path = document_path
        self.document = json.loads(self.send("GET", document_path, token=None).body)

    def send(self, method, path, headers=None, body=None, token=""):
        """One request; a lost connection is Reply(0, …)."""
        fields = {"Host": f"{self.host}:{self.port}"}
        token = self.token if token == "" else token
        if token:
            fields["Authorization"] = f"Bearer {token}"
        fields.update(headers or {})
        if body is None and method in ("POST", "PUT", "PATCH"):
            body = b""
        self.sent += 1
        started = time.monotonic()
        for attempt in (1, 2):
            fresh = self.connection is None
            try:
                if fresh:
                    self.connection = http.client.HTTPSConnection(self.host, self.port, context=self.tls, timeout=30) if self.tls \
                        else http.client.HTTPConnection(self.host, self.port, timeout=30)
                # putrequest by hand: http.client would refuse bytes that attackers send
                self.connection.putrequest(method, "/", skip_host=True, skip_accept_encoding=True)
                lines = [f"{method} {path} HTTP/1.1"] + [f"{name}: {value}" for name, value in fields.items() if value is not None]
                if body is not None and "Content-Length" not in fields:
                    lines.append(f"Content-Length: {len(body)}")
                head = "\r\n".join(lines).encode("utf-8", "surrogateescape") + b"\r\n\r\n"
                self.connection._buffer.clear()
                self.connection.send(head + (body or b""))
                self.connection._HTTPConnection__state = "Request-sent"
                answer = self.connection.getresponse()
                data = answer.read()
                reply = Reply(answer.status, [(n.lower(), v) for n, v in answer.getheaders()], data, time.monotonic() - started)
                if answer.will_close:
                    self.close()
                return reply
            except (OSError, http.client.HTTPException, ssl.SSLError) as error:
                self.close()
                if fresh or attempt == 2:
                    return Reply(0, [], repr(error).encode(), time.monotonic() - started)
        raise AssertionError

    def close(self):
        if self.connection is not None:
            self.connection.close()
            self.connection = None


class Canary:
    """A listener that nothing may ever call."""

    def __enter__(self):
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.calls = []
        self.thread = threading.Thread(target=self.listen, daemon=True)
        self.thread.start()
        return self

    def listen(self):
        while True:
            try:
                peer, _ = self.socket.accept()
            except OSError:
                return
            with peer:
                peer.settimeout(1)
                try:
                    self.calls.append(peer.recv(200))
                    peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\ncanary")
                except OSError:
                    self.calls.append(b"")

    def __exit__(self, *_):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()


# ---------------------------------------------------------------- JSON Schema, as much as OpenAPI documents of ours have

class Schemas:
    def __init__(self, document):
        self.document = document

    def resolve(self, schema):
        while "$ref" in schema:
            found = self.document
            for part in schema["$ref"].removeprefix("#/").split("/"):
                found = found[part]
            schema = found
        return schema

    def faults(self, value, schema, path="", closed=False):
        """What of a value does not fit, as texts. closed: members that are not declared are faults everywhere."""
        schema = self.resolve(schema)
        types = schema.get("type")
        types = [types] if isinstance(types, str) else types
        if types and not any(self.is_type(value, one) for one in types):
            return [f"{path or '/'} is not {types}"]
        found = []
        if "enum" in schema and value not in schema["enum"]:
            found.append(f"{path} is none of {schema['enum']}")
        if isinstance(value, str):
            if not schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", 1 << 30):
                found.append(f"{path} has the wrong length")
            if schema.get("format") == "date" and not re.fullmatch(r"\d{4}-\d\d-\d\d", value):
                found.append(f"{path} is no date")
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            if not schema.get("minimum", float("-inf")) <= value <= schema.get("maximum", float("inf")):
                found.append(f"{path} is out of range")
        elif isinstance(value, list):
            if len(value) > schema.get("maxItems", 1 << 30):
                found.append(f"{path} has too many items")
            for n, item in enumerate(value):
                found += self.faults(item, schema.get("items", {}), f"{path}/{n}", closed)
        elif isinstance(value, dict):
            properties = schema.get("properties", {})
            found += [f"{path}/{name} is missing" for name in schema.get("required", []) if name not in value]
            for name, member in value.items():
                if name in properties:
                    found += self.faults(member, properties[name], f"{path}/{name}", closed)
                elif schema.get("additionalProperties") is False or (closed and properties):
                    found.append(f"{path}/{name} is not declared")
        return found

    @staticmethod
    def is_type(value, name):
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        return {"string": isinstance(value, str), "integer": number and (isinstance(value, int) or value.is_integer()),
                "number": number, "boolean": isinstance(value, bool), "array": isinstance(value, list), "object": isinstance(value, dict),
                "null": value is None}[name]

    def example(self, schema, depth=0):
        """A plain value that fits."""
        schema = self.resolve(schema)
        kind = schema.get("type", "string")
        kind = kind[0] if isinstance(kind, list) else kind
        if "enum" in schema:
            return schema["enum"][-1] if schema["enum"][-1] is not None else schema["enum"][0]
        if kind == "string":
            return {"date": "2031-01-31", "date-time": "2031-01-31T00:00:00Z"}.get(schema.get("format")) or \
                "plain text"[:schema.get("maxLength", 100)].ljust(schema.get("minLength", 0), "x")
        if kind in ("integer", "number"):
            return max(schema.get("minimum", 1), 1)
        if kind == "boolean":
            return False
        if kind == "array":
            return [self.example(schema.get("items", {}), depth + 1)] if depth < 4 else []
        return {name: self.example(member, depth + 1) for name, member in schema.get("properties", {}).items() if name in schema.get("required", [])}


# ---------------------------------------------------------------- HTML

class ActiveContent(html.parser.HTMLParser):
    """Finds what would run in a browser."""

    def __init__(self, plain_tags=None):
        super().__init__()
        self.plain_tags = plain_tags  # the only ones allowed; None: all but ACTIVE_TAGS
        self.found = []

    def handle_starttag(self, tag, attributes):
        if (self.plain_tags is not None and tag not in self.plain_tags) or tag in ACTIVE_TAGS:
            self.found.append(f"<{tag}>")
        for name, value in attributes:
            url = re.sub(r"[\x00-\x20]", "", value or "").lower()
            if name.startswith("on") or (name in ("href", "src", "action", "formaction", "xlink:href") and
                                         url.startswith(("javascript:", "vbscript:", "data:text", "data:image/svg"))):
                self.found.append(f"{tag} {name}={value}")

    handle_startendtag = handle_starttag


def active_content(text, plain_tags=None):
    parser = ActiveContent(plain_tags)
    parser.feed(text)
    parser.close()
    return parser.found


# ---------------------------------------------------------------- payloads

HEAVY = "(SELECT count(*) FROM (WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM c LIMIT 4000000) SELECT x FROM c))"


def texts(value, canary_port, marker):
    """(class, payload, quick) for whatever takes text; value: what is usual there."""
    canary = f"127.0.0.1:{canary_port}/{MARK}"
    v = str(value)
    return [
        ("sql", f"{v}'", True), ("sql", f"{v}\"", False), ("sql", f"{v}')--", False), ("sql", f"{v}' UNION SELECT 1,2,3--", True), ("sql", f"{v}`", False),
        ("sql", f"{v} ORDER BY 999--", True), ("sql", f"{v};SELECT 1", False), ("sql", "%' ESCAPE '", False), ("sql", f"{v}\\", False), ("sql", "(", True),
        ("sql", 'NEAR("a b"', True), ("sql", f"{v}*^:", False), ("sql", "\"a\" AND NOT", True), ("sql", "title:x OR -", False),
        ("traversal", "../../../../../../../../etc/passwd", True), ("traversal", "..%2f..%2f..%2f..%2f..%2fetc%2fpasswd", False),
        ("traversal", "/etc/passwd", True), ("traversal", "....//....//....//....//....//etc/passwd", False),
        ("traversal", "..\\..\\..\\..\\windows\\win.ini", False), ("traversal", "/etc/passwd\0.txt", False), ("traversal", "file:///etc/passwd", False),
        ("xss", f"<script>{MARK}</script>", True), ("xss", f"\"><img src={MARK} onerror={MARK}>", True), ("xss", f"'-{MARK}-'", False),
        ("xss", f"<svg/onload={MARK}>", False), ("xss", f"javascript:{MARK}", False), ("xss", f"[x](javascript:{MARK})", False),
        ("xss", f"＜script＞{MARK}＜/script＞", False), ("xss", f"<b\u202e onclick={MARK}>", False),
        ("header", f"x\r\nX-Injected: {MARK}", True), ("header", f"x\nX-Injected: {MARK}", False), ("header", f"x\r\n\r\n<script>{MARK}</script>", False),
        ("header", f"嘊嘍X-Injected: {MARK}", True), ("header", f"x\rSet-Cookie: {MARK}=1", False),
        ("ssrf", f"http://{canary}", True), ("ssrf", f"//{canary}", False), ("ssrf", f"127.0.0.1:{canary_port}", False), ("ssrf", f"gopher://{canary}", False),
        ("ssrf", f"![x](http://{canary})", False),
        ("redirect", f"https://{REDIRECT_HOST}/", True), ("redirect", f"//{REDIRECT_HOST}", True), ("redirect", f"/\\{REDIRECT_HOST}", False),
        ("command", f"{v};touch {marker};", True), ("command", f"$(touch {marker})", True), ("command", f"`touch {marker}`", False), ("command", f"|touch {marker}", False),
        ("command", f"{v}\ntouch {marker}\n", False), ("command", "$(expr 1337 \\* 1337)", False),
        ("template", "{{1337*1337}}", True), ("template", "${1337*1337}", False), ("template", "<%= 1337*1337 %>", False), ("template", "#{1337*1337}", False),
        ("template", "%s%n%x%d", True), ("template", "{0.__class__.__mro__}", False), ("template", "${jndi:ldap://" + canary + "}", False),
        ("unicode", "ＡＤＭＩＮ", False), ("unicode", "\u202eadmin\u202c", False), ("unicode", "a\u0301" * 40, False), ("unicode", "👩‍👩‍👧‍👦" * 10, True),
        ("unicode", "\ufeff", False), ("unicode", "\uffff\U0010ffff", True), ("unicode", "ı̇İſß", False), ("unicode", "\u0000", True), ("unicode", "a\x00b", True),
        ("unicode", "\x01\x1b[31m\x7f\x85", True),
        ("size", "A" * 5000, True), ("size", "漢" * 300, False), ("size", "", True), ("size", " ", False), ("size", "(" * 300, False), ("size", "a b " * 500, False),
        ("number", "-1", True), ("number", "0", False), ("number", "9223372036854775808", True), ("number", "-9223372036854775809", False), ("number", "1e309", False),
        ("number", "NaN", False), ("number", "0x10", False), ("number", "1.5", False), ("number", "１", False), ("number", "+1", False), ("number", "4294967297", False),
        ("type", "null", False), ("type", "true", False), ("type", "[]", False), ("type", "{}", False), ("type", "__proto__", False), ("type", "undefined", False),
        ("type", "*", True), ("type", "%", False), ("type", "_", False),
    ]


def boolean_pairs(value):
    """Two texts that mean the same to a database when the first half is true, and nothing when it is false."""
    v = str(value)
    return [(f"{v}' AND '1'='1", f"{v}' AND '1'='2"), (f"{v} AND 1=1", f"{v} AND 1=2"), (f"{v}') AND ('1'='1", f"{v}') AND ('1'='2")]


def timed(value):
    v = str(value)
    return [f"{v}' AND {HEAVY}>0--", f"{v} AND {HEAVY}>0", f"{v}' OR {HEAVY}>0--", f"{v}'||(SELECT {HEAVY})||'"]


JSON_VALUES = [  # (class, JSON text, quick)
    ("type", "null", True), ("type", "true", True), ("type", "0", False), ("type", "-1", True), ("type", "1.5", False), ("type", "1e309", True), ("type", "-0", False),
    ("type", "9223372036854775808", True), ("type", "1" * 400, True), ("type", '""', True), ("type", "[]", True), ("type", "{}", True), ("type", '[["x"]]', False),
    ("type", "[null]", True), ("type", '{"$gt":""}', True), ("type", '{"$ne":null}', False), ("type", '{"__proto__":{"role":"admin"}}', True), ("type", "NaN", True),
    ("type", "Infinity", False), ("type", '"\\ud800"', True), ("type", '"\\u0000"', True), ("type", "[" * 2000 + "]" * 2000, True), ("type", '{"a":' * 500 + "1" + "}" * 500, False),
    ("type", "[" + ",".join("1" * 1 for _ in range(20000)) + "]", False), ("type", '"' + "x" * 70000 + '"', False), ("type", "[1,1,1]", False), ("type", '["x","x"]', False),
]
UNKNOWN_MEMBERS = {"id": 1, "role": "admin", "is_admin": True, "client": {"held": True}, "created_by": "admin", "user_id": 1, "token_id": 1, "session_epoch": 0,
                   "deleted_at": None, "__proto__": {"role": "admin"}, "constructor": {}, "version": 99, "etag": "x", "sha256": "x", "password_hash": "x", "x": 1}
BODIES = [  # (class, Content-Type or None: the operation's, bytes)
    ("xxe", "application/xml", b'<?xml version="1.0"?><!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/passwd">]><r>&x;</r>'),
    ("xxe", "text/xml", b'<?xml version="1.0"?><!DOCTYPE r [<!ENTITY x SYSTEM "http://127.0.0.1:%d/xxe">]><r>&x;</r>'),
    ("body", None, b""), ("body", None, b"{"), ("body", None, b"[]"), ("body", None, b"null"), ("body", None, b'"x"'), ("body", None, b"\xff\xfe{\x00}\x00"),
    ("body", None, b"\xef\xbb\xbf{}"), ("body", None, b'{"\xff":1}'), ("body", None, b"{}{}"), ("body", None, b'{"a":1,}'), ("body", None, b"{'a':1}"), ("body", None, b"\x00"),
    ("body", None, b"[" * 100000), ("body", None, b"%s" * 50), ("body", "application/x-www-form-urlencoded", b"title=x&role=admin"), ("body", "text/plain", b"{}"),
    ("body", "application/json; charset=utf-7", b"{}"), ("body", "application/x-yaml", b"!!python/object/apply:os.system [id]"), ("body", "multipart/form-data; boundary=x", b"--x\r\n\r\n--x--"),
    ("body", "application/json\tx", b"{}"), ("body", "", b"{}"),
]
ODD_HEADERS = ("User-Agent", "Referer", "Accept-Language", "Cookie", "traceparent", "X-Forwarded-For", "X-Request-Id", "Range", "If-None-Match", "If-Modified-Since", "Accept")


# ---------------------------------------------------------------- the scan

class Operation:
    def __init__(self, method, path, item, values, schemas):
        self.method, self.path, self.item = method.upper(), path, item
        self.name = f"{self.method} {path}"
        self.values = {p["name"]: values.get((self.name, p["name"]), values.get(p["name"], schemas.example(p["schema"]))) for p in item.get("parameters", [])}
        self.parameters = item.get("parameters", [])
        content = item.get("requestBody", {}).get("content", {})
        self.content_type, media = next(iter(content.items()), (None, {}))
        self.schema = schemas.resolve(media.get("schema", {})) if media else {}
        self.has_json = bool(self.schema)
        self.body = schemas.example(self.schema) if self.has_json else None
        if self.has_json:
            for name in self.schema.get("properties", {}):
                if (self.name, name) in values:
                    self.body[name] = values[self.name, name]
        self.secured = item.get("security") != []

    def build(self, place=None, payload=None, raw=None, extra_headers=None, as_json=None):
        """(path, headers, body) with one place changed. payload: text; as_json: JSON text for a body's member; raw: the whole body."""
        path, query, headers = self.path, {}, dict(extra_headers or {})
        for parameter in self.parameters:
            name, value = parameter["name"], str(self.values[parameter["name"]])
            hit = place is not None and place.where == parameter["in"] and place.name == name
            value = payload if hit else value
            if parameter["in"] == "path":
                path = path.replace("{%s}" % name, urllib.parse.quote(value, safe=""))
            elif parameter["in"] == "query" and (hit or parameter.get("required") or name in self.values and (self.name, name) in VALUES_SENT):
                query[name] = value
            elif parameter["in"] == "header" and (hit or parameter.get("required")):
                headers[name] = value
        if place is not None and place.where == "query" and place.name not in query:
            query[place.name] = payload
        if place is not None and place.where == "header":
            headers[place.name] = payload
        body = raw
        if self.has_json and raw is None:
            body = json.dumps(self.body if place is None or place.where != "body" else replaced(self.body, place.name, payload), ensure_ascii=False)
            if as_json is not None:
                body = json.dumps(replaced(self.body, place.name, "@@here@@")).replace('"@@here@@"', as_json)
            body = body.encode("utf-8", "surrogatepass")
        elif raw is None and self.content_type and not self.has_json:
            body = b"bytes"
        if body is not None and "Content-Type" not in headers:
            headers["Content-Type"] = "application/octet-stream" if not self.has_json else self.content_type
        return path + ("?" + urllib.parse.urlencode(query) if query else ""), headers, body


VALUES_SENT = set()  # (operation, query parameter) that stand in each request of it


def replaced(value, path, member):
    value = copy.deepcopy(value)
    at = value
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = member
    return value


class Scanner:
    """values: usual values, by parameter or (operation, parameter). known_types: of problems, None: any. html_members: of JSON,
    that pages show as HTML, with the tags they may have. slow: operations of which each costs much: few attacks. private: operations
    whose usual values are not the stranger's business. reads: paths to read at the end, after all that was stored."""

    def __init__(self, target, values=None, known_types=None, html_members=None, slow=(), private=(), stranger=None, reads=(), quick=True, pages=()):
        self.target, self.quick, self.known_types, self.stranger = target, quick, known_types, stranger
        self.schemas = Schemas(target.document)
        self.html_members = html_members or {}
        self.slow, self.private, self.reads, self.pages = set(slow), set(private), reads, set(pages)
        self.findings = []
        self.seen = set()
        self.marker = pathlib.Path(tempfile.gettempdir()) / f"active-scan-{id(self)}-{time.monotonic_ns()}"
        values = values or {}
        VALUES_SENT.update(key for key in values if isinstance(key, tuple))
        self.operations = [Operation(method, path, item, values, self.schemas) for path, methods in target.document["paths"].items()
                           for method, item in methods.items()]
        self.baselines = {}

    def report(self, severity, kind, operation, place, detail):
        name = operation.name if isinstance(operation, Operation) else operation
        key = (kind, name, str(place))
        if key not in self.seen:
            self.seen.add(key)
            self.findings.append(Finding(severity, kind, name, place, str(detail)[:300]))

    # ------------------------------------------------------------ what holds for every answer

    def check(self, operation, place, reply, sent=""):
        if reply.status == 0:
            if b"timed out" not in reply.body and self.target.send("GET", self.target.document_path, token=None).status == 200 and isinstance(sent, bytes):
                return  # the server does not read on after what is no request at all
            self.report("high", "connection-lost", operation, place, reply.body)
            return
        text = reply.body.decode("utf-8", "replace")
        headers = "\n".join(f"{name}: {value}" for name, value in reply.headers)
        get = dict(reply.headers).get
        content_type = (get("content-type") or "").split(";")[0]
        if reply.status >= 500 and reply.status not in (503, 507):
            self.report("high", "server-error", operation, place, f"{reply.status} {text[:200]}")
        if reply.seconds > SLOW:
            self.report("medium", "slow", operation, place, f"{reply.seconds:.1f} s")
        if self.is_bare(place, reply, sent):
            return
        # What succeeded shows what was stored, and that is attacks; errors and headers are the server's own words.
        self.check_inside(operation, place, headers + ("\n" + text if reply.status >= 400 else ""),
                          sent if isinstance(sent, str) else sent.decode("utf-8", "replace"))
        for name in VERSION_HEADERS:
            if get(name):
                self.report("low", "version-header", operation, place, f"{name}: {get(name)}")
        for name, wanted in REQUIRED_HEADERS.items():
            if wanted not in (get(name) or "\0"):
                self.report("medium", "security-header", operation, place and place.where, f"{name} on {reply.status}: {get(name)}")
        if get("x-injected") or MARK in (get("set-cookie") or ""):
            self.report("high", "header-injection", operation, place, headers)
        for name in ("location", "link", "refresh"):
            host = urllib.parse.urlsplit((get(name) or "").lstrip("<").replace("\\", "/")).hostname
            if host and REDIRECT_HOST in host:
                self.report("high" if reply.status // 100 == 3 else "medium", "open-redirect", operation, place, f"{name}: {get(name)}")
        if "root:x:0:0" in text:
            self.report("high", "traversal", operation, place, text[:100])
        if "1787569" in text.replace(sent if isinstance(sent, str) else "", ""):
            self.report("high", "template-injection", operation, place, text[:100])
        saved = (get("content-disposition") or "").split(";")[0] == "attachment" and "sandbox" in (get("content-security-policy") or "")
        if saved:
            pass  # a file is kept as it is, and no browser opens it here
        elif content_type == "text/html" and operation not in self.pages:
            found = active_content(text)
            if found:
                self.report("high", "xss", operation, place, found[:3])
        elif MARK in text and content_type not in ("application/json", "application/problem+json"):
            self.report("medium", "sniffed", operation, place, f"{content_type} reflects what was sent")
        self.check_form(operation, place, reply, content_type, text)

    @staticmethod
    def is_bare(place, reply, sent):
        """The refusal of a head that is no HTTP: it comes before there is a request, and the connection ends."""
        broken = place is not None and place.where == "header" and re.search(r"[\x00-\x08\x0a-\x1f\x7f]", sent or "")
        return bool(broken) and reply.status == 400 and reply.body == b"Bad Request" and dict(reply.headers).get("connection") == "close"

    def check_inside(self, operation, place, text, sent):
        if sent:
            for form in {sent, json.dumps(sent, ensure_ascii=False)[1:-1], json.dumps(sent)[1:-1], urllib.parse.quote(sent, safe="")}:
                text = text.replace(form, "")
        for kind, pattern in INTERNALS:
            found = pattern.search(text)
            if found and not (sent and (found[0].strip(" \"'(=") in sent)):
                self.report("medium", f"internals-{kind}", operation, place, text[max(0, found.start() - 60):found.end() + 60])

    def check_form(self, operation, place, reply, content_type, text):
        """JSON where JSON is promised, of the declared schema, with a declared status."""
        if not isinstance(operation, Operation):
            return
        declared = operation.item["responses"]
        response = declared.get(str(reply.status), declared.get("default") if reply.status >= 400 else None)
        if response is None:
            if reply.status not in (304, 206):
                self.report("medium", "undeclared-status", operation, place, f"{reply.status} {text[:100]}")
            return
        content = self.schemas.resolve(response).get("content", {})
        if not content or "*/*" in content or (reply.status == 204 and not text):
            return
        if content_type not in content:
            self.report("medium", "content-type", operation, place, f"{content_type} with {reply.status}")
            return
        if not content_type.endswith("json"):
            return
        try:
            value = json.loads(reply.body.decode("utf-8"), parse_constant=lambda text: 1 / 0)
        except (ValueError, ZeroDivisionError, RecursionError):
            self.report("medium", "broken-json", operation, place, text[:100])
            return
        faults = self.schemas.faults(value, content[content_type].get("schema", {}), closed=True)
        if faults:
            self.report("medium", "schema", operation, place, faults[:3])
        if reply.status >= 400 and self.known_types is not None and value.get("type") not in self.known_types:
            self.report("medium", "problem-type", operation, place, value.get("type"))
        self.check_html_members(operation, place, value)

    def check_html_members(self, operation, place, value):
        if isinstance(value, dict):
            for name, member in value.items():
                if name in self.html_members and isinstance(member, str):
                    found = active_content(member, self.html_members[name])
                    if found:
                        self.report("high", "xss", operation, place, f"{name}: {found[:3]}")
                self.check_html_members(operation, place, member)
        elif isinstance(value, list):
            for member in value:
                self.check_html_members(operation, place, member)

    # ------------------------------------------------------------ attacks

    def attack(self, operation, place, payload=None, **options):
        path, headers, body = operation.build(place, payload, **options)
        sent = payload if payload is not None else options.get("as_json") or options.get("raw") or ""
        reply = self.target.send(operation.method, path, headers, body)
        if reply.status == 503:
            time.sleep(0.5)
            reply = self.target.send(operation.method, path, headers, body)
            if reply.status == 503:
                self.report("medium", "unavailable", operation, place, reply.body)
        self.check(operation, place, reply, sent)
        if self.marker.exists():
            self.marker.unlink()
            self.report("high", "command-injection", operation, place, sent)
        if self.canary.calls:
            self.report("high", "ssrf" if not options.get("raw") else "xxe", operation, place, self.canary.calls.pop())
            self.canary.calls.clear()
        return reply

    def places(self, operation):
        for parameter in operation.parameters:
            yield Place(parameter["in"], parameter["name"]), operation.values[parameter["name"]], parameter["schema"]
        yield Place("query", "undeclared"), "x", {"type": "string"}
        if operation.has_json:
            yield from self.members(operation.schema, (), operation.body)

    def members(self, schema, path, body, depth=0):
        schema = self.schemas.resolve(schema)
        for name, member in schema.get("properties", {}).items():
            member = self.schemas.resolve(member)
            value = body.get(name) if isinstance(body, dict) else None
            value = self.schemas.example(member) if value is None else value
            yield Place("body", path + (name,)), value, member

    def scan_texts(self, operation, place, value, schema):
        kinds = schema.get("type", "string")
        is_text = place.where != "body" or "string" in kinds or "array" in kinds
        for kind, payload, quick in texts(value if not isinstance(value, (list, dict)) else "x", self.canary.port, self.marker):
            if (self.quick or operation.name in self.slow) and not quick:
                continue
            if place.where == "header" and re.search("[\0\r\n]", payload):
                continue  # would be other lines: see test_http_attacks
            if is_text:
                wrapped = [payload] if place.where == "body" and "array" in kinds else payload
                reply = self.attack(operation, place, payload if wrapped is payload else None,
                                    **({} if wrapped is payload else {"as_json": json.dumps(wrapped)}))
                self.refuses(operation, place, reply, wrapped)

    def refuses(self, operation, place, reply, value):
        """What the schema refuses must not be accepted. (A slug or a name may be refused although its schema allows it.)"""
        if place.where != "body" or not 200 <= reply.status < 300:
            return
        faults = self.schemas.faults(replaced(operation.body, place.name, value), operation.schema)
        if faults:
            self.report("medium", "accepted", operation, place, faults[0])

    def scan_json(self, operation, place):
        for kind, text, quick in JSON_VALUES:
            if (self.quick or operation.name in self.slow) and not quick:
                continue
            reply = self.attack(operation, place, as_json=text)
            try:
                value = json.loads(text, parse_constant=lambda _: 1 / 0)
            except (ValueError, ZeroDivisionError, RecursionError):
                if 200 <= reply.status < 300:
                    self.report("medium", "accepted", operation, place, f"what is no JSON: {text[:50]}")
            else:
                self.refuses(operation, place, reply, value)

    def scan_sql(self, operation, place, value):
        """By yes and no, and by time: both against a base line, both seen twice before they are believed."""
        def outcome(payload):
            reply = self.attack(operation, place, payload)
            text = reply.body.replace(payload.encode(), b"").replace(str(value).encode() or b"\0", b"")
            return reply.status, re.sub(rb'"(instance|took_ms|request_id)":("[^"]*"|[\d.]+)', b"", text), reply.seconds
        base = outcome(str(value))
        for true, false in boolean_pairs(value):
            yes, no = outcome(true), outcome(false)
            if yes[:2] == base[:2] and no[:2] != base[:2] and outcome(true)[:2] == yes[:2] and outcome(false)[:2] == no[:2]:
                self.report("high", "sql-boolean", operation, place, true)
        for payload in timed(value)[:2 if self.quick else None]:
            seconds = outcome(payload)[2]
            if seconds > base[2] + 0.5 and outcome(payload)[2] > max(outcome(str(value))[2] * 3, 0.5):
                self.report("high", "sql-time", operation, place, payload)

    def scan_bodies(self, operation):
        for kind, content_type, raw in BODIES:
            if operation.name in self.slow and raw in (b"", b"{}"):
                continue
            raw = raw % self.canary.port if kind == "xxe" and b"%d" in raw else raw
            headers = {"Content-Type": operation.content_type if content_type is None else content_type}
            reply = self.attack(operation, Place("body", kind), raw=raw, extra_headers=headers)
            if content_type is not None and "json" not in content_type and operation.has_json and raw not in (b"", b"{}") and 200 <= reply.status < 300:
                self.report("medium", "accepted", operation, Place("body", content_type), "another media type")
        if not operation.has_json or operation.name in self.slow:
            return
        for name, value in UNKNOWN_MEMBERS.items():
            if name not in operation.schema.get("properties", {}):
                reply = self.attack(operation, Place("body", (name,)), as_json=json.dumps(value))
                if 200 <= reply.status < 300:
                    self.report("high", "mass-assignment", operation, Place("body", (name,)), "a member that is not declared was accepted")
        for name, value in operation.body.items():
            twice = json.dumps(operation.body)[:-1] + f", {json.dumps(name)}: {json.dumps(value)}}}"
            if 200 <= self.attack(operation, Place("body", (name, "twice")), raw=twice.encode()).status < 300:
                self.report("medium", "accepted", operation, Place("body", (name,)), "a member given twice")
            break

    def scan_headers(self, operation):
        place = lambda name: Place("header", name)
        for name, value in {"Host": FALSE_HOST, "X-Forwarded-Host": FALSE_HOST, "Forwarded": f"host={FALSE_HOST}",
                            "X-Original-URL": f"https://{FALSE_HOST}/"}.items():
            reply = self.attack(operation, place(name), value)
            if FALSE_HOST in reply.body.decode("utf-8", "replace") + str(reply.headers):
                self.report("medium", "host-header", operation, place(name), reply.body[:100])
        for origin in (f"https://{REDIRECT_HOST}", "null"):
            reply = self.attack(operation, place("Origin"), origin)
            allowed = dict(reply.headers).get("access-control-allow-origin")
            if allowed in (origin, "*"):
                self.report("high", "cors", operation, place("Origin"), allowed)
        base = self.baselines[operation.name]
        for name in ("X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"):
            reply = self.attack(operation, place(name), "DELETE" if operation.method != "DELETE" else "GET")
            if reply.status < 400 and base.status < 400 and reply.status != base.status:
                self.report("high", "method-override", operation, place(name), f"{base.status} became {reply.status}")
        for name in ODD_HEADERS:
            for payload in ("'", "\"" * 50, "A" * 9000, "%00%0d%0a", "<script>" + MARK, "\x80\uffff", "${1337*1337}", "-1", ",,,;;;=", "00-" + "f" * 32 + "-" + "0" * 16 + "-zz"):
                self.attack(operation, place(name), payload)
            if self.quick:
                break

    def scan_rights(self, operation):
        path, headers, body = operation.build()
        if operation.secured:
            for token in (None, "x", "mkt_" + "A" * 43):
                reply = self.target.send(operation.method, path, headers, body, token=token)
                self.check(operation, Place("header", "Authorization"), reply)
                if reply.status not in (401, 403):
                    self.report("high", "no-authentication", operation, Place("header", "Authorization"), f"{reply.status} with {token}")
        if operation.name in self.private and self.stranger:
            reply = self.target.send(operation.method, path, headers, body, token=self.stranger)
            if reply.status < 400:
                self.report("high", "idor", operation, None, f"{reply.status} for a stranger")

    # ------------------------------------------------------------ all of it

    def scan_operation(self, operation, headers_too):
        slow = operation.name in self.slow
        path, headers, body = operation.build()
        self.baselines[operation.name] = reply = self.target.send(operation.method, path, headers, body)
        self.check(operation, None, reply)
        self.scan_rights(operation)
        for place, value, schema in self.places(operation):
            self.scan_texts(operation, place, value, schema)
            if place.where == "body":
                self.scan_json(operation, place)
            if not slow and place.where in ("path", "query") or (place.where == "body" and isinstance(value, str) and not slow):
                self.scan_sql(operation, place, value)
        if operation.content_type:
            self.scan_bodies(operation)
        if headers_too:
            self.scan_headers(operation)

    def scan(self):
        with Canary() as self.canary:
            for n, operation in enumerate(self.operations):
                self.scan_operation(operation, not self.quick or n % 4 == 0 or operation.name not in self.slow and not operation.parameters)
            for path in self.reads:
                self.check(f"GET {path}", None, self.target.send("GET", path))
            time.sleep(0.2)
            if self.canary.calls:
                self.report("high", "ssrf", "later", None, self.canary.calls[0])
        order = {"high": 0, "medium": 1, "low": 2}
        self.findings.sort(key=lambda finding: order[finding.severity])
        return self.findings


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("url")
    parser.add_argument("--ca")
    parser.add_argument("--token-file")
    parser.add_argument("--stranger-file")
    parser.add_argument("--document", default="/api/v1/openapi.json")
    parser.add_argument("--quick", action="store_true", help="the payloads of the automatic run only")
    options = parser.parse_args()
    read = lambda path: pathlib.Path(path).read_text().strip() if path else None
    tls = ssl.create_default_context(cafile=options.ca) if options.url.startswith("https:") else None
    target = Target(options.url, read(options.token_file), tls, options.document)
    findings = Scanner(target, stranger=read(options.stranger_file), quick=options.quick).scan()
    for finding in findings:
        print(*finding, sep="\t")
    print(f"{target.sent} requests, {len(findings)} findings")
    return 1 if any(finding.severity != "low" for finding in findings) else 0


if __name__ == "__main__":
    sys.exit(main())
