"""A server full of holes, one for each class that the scanners look for: what proves that they can see. Test code, loopback only."""

import contextlib
import http.server
import json
import re
import sqlite3
import subprocess
import sys
import threading
import time
import traceback
import urllib.parse
import urllib.request

TOKEN, STRANGER = "owner-token", "stranger-token"
SAFE_HEADERS = {"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "default-src 'none'", "Referrer-Policy": "no-referrer", "Cache-Control": "no-store"}


def operation(*parameters, body=None, status=200, content="application/json", result=None, secured=True):
    """An entry of the document. parameters: "query q" or "path id integer"; body, result: properties."""
    made = {"parameters": [], "responses": {str(status): {"description": "", "content": {content: {"schema": result or {"type": "object"}}}}, "default": {
        "description": "", "content": {"application/problem+json": {"schema": {"type": "object"}}}}}}
    for where, name, *kind in map(str.split, parameters):
        made["parameters"].append({"name": name, "in": where, "required": True, "schema": {"type": kind[0] if kind else "string"}})
    if body is not None:
        made["requestBody"] = {"content": {"application/json": {"schema": {
            "type": "object", "additionalProperties": False, "properties": body, "required": list(body)}}}}
    if not secured:
        made["security"] = []
    return made


TEXT, NUMBER = {"type": "string", "maxLength": 200}, {"type": "integer", "minimum": 1}
CLOSED = {"type": "object", "properties": {"name": TEXT}, "required": ["name"]}
PATHS = {
    "/sql/error": {"get": operation("query id")},
    "/sql/boolean": {"get": operation("query name")},
    "/sql/time": {"get": operation("query name")},
    "/file": {"get": operation("query name", content="text/plain")},
    "/hello": {"get": operation("query name", content="text/html")},
    "/notes": {"post": operation(body={"text": TEXT}, status=201), "get": operation()},
    "/search": {"get": operation("query q")},
    "/header": {"get": operation("query value")},
    "/fetch": {"get": operation("query url")},
    "/go": {"get": operation("query to", status=302)},
    "/ping": {"get": operation("query host")},
    "/greet": {"get": operation("query name")},
    "/xml": {"post": operation(body={"x": TEXT})},
    "/typed": {"post": operation(body={"n": NUMBER})},
    "/loose": {"post": operation(body={"n": NUMBER})},
    "/profile": {"post": operation(body={"name": TEXT})},
    "/orders/{id}": {"get": operation("path id integer")},
    "/secret": {"get": operation()},
    "/override": {"get": operation()},
    "/link": {"get": operation()},
    "/cors": {"get": operation()},
    "/bare": {"get": operation()},
    "/slow": {"get": operation("query text")},
    "/drop": {"get": operation("query text")},
    "/teapot": {"get": operation("query n")},
    "/sniff": {"get": operation("query q", content="text/plain")},
    "/leaky": {"get": operation(result=CLOSED)},
    "/version": {"get": operation()},
    "/path": {"get": operation("query n")},
    "/odd-problem": {"get": operation("query n")},
    "/broken": {"get": operation()},
    "/sound/{id}": {"get": operation("path id integer", "query q"), "post": operation("path id integer", body={"text": TEXT, "n": NUMBER}, status=201)},
}
DOCUMENT = {"openapi": "3.1.0", "info": {"title": "planted", "version": "1"}, "security": [{"token": []}], "paths": PATHS}
SOUND = {"GET /sound/{id}", "POST /sound/{id}"}
HOLES = [
    ("GET /sql/error", "internals-sql"), ("GET /sql/boolean", "sql-boolean"), ("GET /sql/time", "sql-time"), ("GET /file", "traversal"), ("GET /hello", "xss"),
    ("GET /notes.html", "xss"), ("GET /search", "xss"), ("GET /header", "header-injection"), ("GET /fetch", "ssrf"), ("GET /go", "open-redirect"), ("GET /ping", "command-injection"),
    ("GET /greet", "template-injection"), ("POST /xml", "traversal"), ("POST /xml", "xxe"), ("POST /typed", "server-error"), ("POST /typed", "internals-stack"),
    ("POST /loose", "accepted"), ("POST /profile", "mass-assignment"), ("GET /orders/{id}", "idor"), ("GET /secret", "no-authentication"),
    ("GET /override", "method-override"), ("GET /link", "host-header"), ("GET /cors", "cors"), ("GET /bare", "security-header"), ("GET /slow", "slow"),
    ("GET /drop", "connection-lost"), ("GET /teapot", "undeclared-status"), ("GET /sniff", "sniffed"), ("GET /leaky", "schema"), ("GET /version", "version-header"),
    ("GET /path", "internals-path"), ("GET /odd-problem", "problem-type"), ("GET /broken", "broken-json"),
]


class Answer(Exception):
    def __init__(self, status, body, content_type="application/json", **headers):
        super().__init__(status)
        self.status, self.content_type = status, content_type
        self.body = json.dumps(body) if content_type.endswith("json") and not isinstance(body, str) else body
        self.headers = headers


def problem(status, detail="", slug="urn:planted:problem"):
    return Answer(status, {"type": slug, "title": "x", "status": status, "detail": detail}, "application/problem+json")


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # an answer leaves at once, as one
    disable_nagle_algorithm = True
    server_version, sys_version = "", ""
    notes = []

    def version_string(self):
        return ""

    def log_message(self, *_):
        pass

    def send_response(self, code, message=None):
        self.send_response_only(code, message)

    def answer(self, answer):
        data = answer.body.encode("utf-8", "surrogatepass") if isinstance(answer.body, str) else answer.body
        self.send_response(answer.status)
        for name, value in ({} if self.path.startswith("/bare") else SAFE_HEADERS).items():
            self.send_header(name, value)
        for name, value in answer.headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def handle_any(self):
        length = int(self.headers.get("Content-Length") or 0)
        raw = self.rfile.read(length)
        parts = urllib.parse.urlsplit(self.path)
        query = {name: values[0] for name, values in urllib.parse.parse_qs(parts.query, keep_blank_values=True, errors="replace").items()}
        try:
            if parts.path not in ("/openapi.json", "/secret", "/", "/hello", "/sql/error", "/form") and \
                    self.headers.get("Authorization") not in (f"Bearer {TOKEN}", f"Bearer {STRANGER}"):
                raise problem(401)
            self.route(parts.path, query, raw)
            raise problem(404)
        except Answer as answer:
            self.answer(answer)
        except ConnectionAbortedError:
            self.close_connection = True
        except Exception:
            self.answer(Answer(500, traceback.format_exc(), "text/plain"))

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = do_HEAD = handle_any

    def route(self, path, query, raw):
        get = lambda name: query.get(name, "")
        if path == "/openapi.json":
            raise Answer(200, DOCUMENT)
        if path == "/":
            raise Answer(200, '<html><a href="/hello?name=x">x</a> <a href="/sql/error?id=1">y</a><form action="/form" method="get">'
                              '<input name="name"></form></html>', "text/html", Set_Cookie="session=1")
        if path == "/sql/error":
            self.database(f"SELECT name FROM people WHERE id = '{get('id')}'", lambda error: problem(400, f"sqlite3.OperationalError: {error}"))
        if path == "/sql/boolean":
            self.database(f"SELECT name FROM people WHERE name = '{get('name')}'", lambda error: Answer(200, {"items": []}))
        if path == "/sql/time":
            with contextlib.suppress(Answer):
                self.database(f"SELECT 1 FROM people WHERE name = '{get('name')}' OR 'a' = '{get('name')}'", lambda error: Answer(200, {}))
            raise Answer(200, {})
        if path == "/file":
            with contextlib.suppress(OSError, ValueError), open("/usr/share/" + get("name"), "rb") as file:
                raise Answer(200, file.read(2000), "text/plain", Content_Disposition="attachment")
            raise problem(404)
        if path in ("/hello", "/form"):
            raise Answer(200, f"<p>Hello {get('name')}</p>", "text/html")
        if path == "/notes" and self.command == "POST":
            self.notes.append(str(self.member(raw, "text")))
            raise Answer(201, {})
        if path == "/notes":
            raise Answer(200, {"items": self.notes})
        if path == "/notes.html":
            raise Answer(200, "".join(f"<p>{note}</p>" for note in self.notes), "text/html")
        if path == "/search":
            raise Answer(200, {"snippet": f"<mark>{get('q')}</mark>"})
        if path == "/header":
            raise Answer(200, {}, X_Value=get("value").encode("utf-8", "replace").decode("latin-1"))
        if path == "/fetch":
            if get("url").startswith("http://127.0.0.1:"):
                with contextlib.suppress(OSError, ValueError):
                    urllib.request.urlopen(get("url"), timeout=2).read()
            raise Answer(200, {})
        if path == "/go":
            raise Answer(302, {}, Location=re.sub(r"[^!-~]", "", get("to")))
        if path == "/ping":
            done = subprocess.run("echo " + get("host").replace("\0", ""), shell=True, capture_output=True, timeout=5)
            raise Answer(200, {"text": done.stdout.decode(errors="replace")})
        if path == "/greet":
            raise Answer(200, {"text": re.sub(r"\{\{(\d+)\*(\d+)\}\}", lambda m: str(int(m[1]) * int(m[2])), get("name"))})
        if path == "/xml":
            entity = re.search(rb'SYSTEM "([^"]+)"', raw)
            content = ""
            if entity and "xml" in self.headers.get("Content-Type", ""):
                with contextlib.suppress(OSError, ValueError):
                    content = urllib.request.urlopen(entity[1].decode(), timeout=2).read().decode()
            raise Answer(200, {"text": content})
        if path == "/typed":
            body = json.loads(raw)
            raise Answer(200, {"double": body["n"].bit_length()})
        if path == "/loose":
            raise Answer(200, {})
        if path == "/profile":
            body = json.loads(raw) if raw else {}
            raise Answer(200, {"role": body.get("role", "viewer") if isinstance(body, dict) else ""})
        if path.startswith("/orders/"):
            raise Answer(200, {"order": path[8:]})
        if path == "/override":
            method = self.headers.get("X-HTTP-Method-Override") or self.command
            raise Answer(204 if method == "DELETE" else 200, "" if method == "DELETE" else {})
        if path == "/link":
            raise Answer(200, {"self": f"https://{self.headers.get('Host')}/link"})
        if path == "/cors":
            raise Answer(200, {}, Access_Control_Allow_Origin=self.headers.get("Origin", ""), Access_Control_Allow_Credentials="true")
        if path == "/slow":
            time.sleep(4.5 if len(get("text")) >= 5000 else 0)
            raise Answer(200, {})
        if path == "/drop" and "\0" in get("text"):
            raise ConnectionAbortedError
        if path == "/teapot":
            raise Answer(200 if get("n") == "plain text" else 202, {})
        if path == "/sniff":
            raise Answer(200, get("q"), "text/plain")
        if path == "/leaky":
            raise Answer(200, {"name": "x", "password_hash": "x"})
        if path == "/version":
            raise Answer(200, {}, Server="planted/1.0")
        if path == "/path":
            raise problem(400, f"cannot open /var/lib/planted/{len(get('n'))}.db") if get("n") != "plain text" else Answer(200, {})
        if path == "/odd-problem":
            raise problem(400, slug="about:blank")
        if path == "/broken":
            raise Answer(200, '{"a":')
        if path.startswith("/sound/"):
            self.sound(path[7:], raw)
        if path in ("/secret", "/bare", "/drop"):
            raise Answer(200, {})

    def sound(self, identity, raw):
        """Nothing is wrong here."""
        if not re.fullmatch(r"[1-9][0-9]{0,8}", identity) or int(identity) != 1:
            raise problem(404)
        if self.command == "POST":
            try:
                fields = json.loads(raw.decode(), object_pairs_hook=list, parse_constant=lambda _: 1 / 0)
                body = dict(fields)
                fine = len(fields) == len(body) and set(body) == {"text", "n"} and isinstance(body["text"], str) and len(body["text"]) <= 200
                fine = fine and type(body["n"]) is int and body["n"] >= 1 and self.headers.get("Content-Type") == "application/json"
                body["text"].encode()
            except Exception:
                fine = False
            raise Answer(201, {}) if fine else problem(400)
        raise Answer(200, {})

    def member(self, raw, name):
        try:
            body = json.loads(raw)
        except (ValueError, RecursionError):
            raise problem(400) from None
        return body.get(name, "") if isinstance(body, dict) else ""

    def database(self, statement, on_error):
        with contextlib.closing(sqlite3.connect(":memory:")) as database:
            database.executescript("CREATE TABLE people (id TEXT, name TEXT); INSERT INTO people VALUES ('1', 'plain text'), ('2', 'x')")
            try:
                raise Answer(200, {"items": [row[0] for row in database.execute(statement.replace("\0", ""))]})
            except (sqlite3.Error, sqlite3.Warning, UnicodeError) as error:
                raise on_error(error) from None


class Server:
    """`with Server() as server`: it serves at server.url until the end."""

    def __enter__(self):
        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        Handler.notes.clear()
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.http.shutdown()
        self.http.server_close()


if __name__ == "__main__":
    with Server() as running:
        print(running.url, flush=True)
        sys.stdin.read()
