"""The field's scanners against the running product, and each against a server with planted holes, which it must find.

MIRAI_SCAN_FULL=1: sqlmap on every operation, without its shortcut."""

import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest
import urllib.parse

from stack import ROOT, Stack, measured

sys.path.insert(0, str(ROOT / "tests" / "security"))
import active_scan  # noqa: E402
import planted  # noqa: E402

FULL = bool(os.environ.get("MIRAI_SCAN_FULL"))
stack = None

# Not nikto, buster and wapp, which download their lists; not ssrf and xxe, which ask a server of wapiti's on the Internet.
WAPITI_MODULES = ("backup,blindsql,cookieflags,crlf,csp,csrf,exec,file,htaccess,http_headers,methods,permanentxss,redirect,shellshock,sql,xss")
# X-XSS-Protection is harmful where it does anything at all, and CSP stands in its place; HSTS is not sent on localhost.
WAPITI_ACCEPTED = {("HTTP Secure Headers", "X-XSS-Protection is not set"), ("HTTP Secure Headers", "Strict-Transport-Security is not set")}


def setUpModule():
    global stack
    stack = unittest.enterModuleContext(Stack())


def run(command, log, seconds):
    with open(log, "wb") as output:
        return subprocess.run(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, timeout=seconds, check=False)


def document_urls(target, urls_of):
    """A URL for each GET operation of the document: path and query with plain values."""
    schemas = active_scan.Schemas(target.document)
    for path, methods in target.document["paths"].items():
        if "get" in methods:
            values = {p["name"]: urls_of.get(p["name"], schemas.example(p["schema"])) for p in methods["get"].get("parameters", []) if p["in"] != "header"}
            query = {p["name"]: values[p["name"]] for p in methods["get"].get("parameters", []) if p["in"] == "query"}
            yield re.sub(r"\{(\w+)\}", lambda m: urllib.parse.quote(str(values[m[1]])), path) + ("?" + urllib.parse.urlencode(query) if query else "")


class Tool(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="mirai-scan-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)


class Wapiti(Tool):
    def scan(self, url, starts, token):
        """Everything found, as (category, text)."""
        report = self.folder / "report.json"
        command = ["wapiti", "-u", f"{url}/", "-m", WAPITI_MODULES, "-H", f"Authorization: Bearer {token}", "--verify-ssl", "0", "--flush-session",
                   "--no-bugreport", "--store-session", self.folder / "session", "-f", "json", "-o", report, "--max-scan-time", "60",
                   "--max-attack-time", "15"] + [part for start in starts for part in ("-s", url + start)]
        run(command, self.folder / "log", 400)
        self.assertTrue(report.exists(), (self.folder / "log").read_text()[-2000:])
        found = json.loads(report.read_text())
        return [(category, row["info"], row["method"], row["path"], row["parameter"])
                for kind in ("vulnerabilities", "anomalies") for category, rows in found[kind].items() for row in rows]

    def test_the_product_has_no_finding(self):
        article = stack.article(title="scan target", tags=["scan"])
        target = active_scan.Target(stack.url, stack.admin_token, stack.tls, "/api/v1/openapi.json")
        starts = list(document_urls(target, {"id": article["id"], "slug": article["slug"], "q": "scan", "tag": "scan", "version": 1}))
        found = [row for row in self.scan(stack.url, starts, stack.admin_token) if row[:2] not in WAPITI_ACCEPTED]
        self.assertEqual(found, [])
        measured("wapiti: addresses", len(starts))

    def test_it_finds_planted_holes(self):
        with planted.Server() as server:
            found = {row[0] for row in self.scan(server.url, ["/hello?name=x", "/file?name=doc/base-files/copyright", "/ping?host=x", "/go?to=x"], planted.TOKEN)}
        self.assertLessEqual({"Cross Site Scripting", "Path Traversal", "Command execution", "Open Redirect", "Secure Flag cookie"}, found)


class Sqlmap(Tool):
    def scan(self, url, name, lines, body=b""):
        """Whether it can inject into some parameter of the request, and how many it tried."""
        request, log = self.folder / f"{name}.txt", self.folder / f"{name}.log"
        request.write_bytes("\r\n".join(lines + ["", ""]).encode() + body)
        command = ["sqlmap", "-r", request, "--batch", "--ignore-stdin", "--technique=BEUS", "--level", "1", "--flush-session", "--disable-coloring",
                   "--output-dir", self.folder / "out", "--dbms", "sqlite", "--ignore-code", "401,404"] + ([] if FULL else ["--smart"]) + \
                  (["--force-ssl"] if url.startswith("https") else [])
        run(command, log, 300)
        text = log.read_text(errors="replace")
        self.assertIn("ending @", text)
        self.assertEqual(re.findall(r"\[CRITICAL\] (?!all tested parameters do not|heuristics detected|target URL content appears to be heavily dynamic).*", text), [])
        return "identified the following injection point" in text, len(re.findall(r"\[INFO\] testing if \S+ parameter .* is dynamic|heuristic \(basic\) test", text))

    def requests(self, target, values):
        """(name, head, body) for each operation, each parameter marked or in JSON, where sqlmap finds it."""
        for operation in (active_scan.Operation(method, path, item, values, active_scan.Schemas(target.document))
                          for path, methods in target.document["paths"].items() for method, item in methods.items()):
            names = [p["name"] for p in operation.parameters if p["in"] in ("path", "query")]
            if not names and not operation.has_json:
                continue
            path = operation.path
            for name in names:
                path = path.replace("{%s}" % name, f"{operation.values[name]}*")
            query = {p["name"]: operation.values[p["name"]] for p in operation.parameters if p["in"] == "query"}
            if "{" not in operation.path or "*" not in path:
                path += "?" + urllib.parse.urlencode(query) if query else ""
            head = [f"{operation.method} {path} HTTP/1.1", f"Host: {target.host}:{target.port}", f"Authorization: Bearer {target.token}"]
            body = b""
            if operation.has_json:
                members = {name: active_scan.Schemas(target.document).example(schema) for name, schema in operation.schema.get("properties", {}).items()}
                body = json.dumps(members).encode()
                head += [f"Content-Type: {operation.content_type}", "If-Match: *"]
            yield operation.name, head, body

    QUICK = ("GET /api/v1/articles", "POST /api/v1/articles", "GET /api/v1/articles/by-slug/{slug}", "GET /api/v1/search", "GET /api/v1/suggest",
             "POST /api/v1/imports", "GET /api/v1/audit", "POST /api/v1/session", "GET /api/v1/articles/{id}/revisions/{version}/diff", "POST /api/v1/tags")

    def test_no_parameter_of_the_product_can_be_injected(self):
        target = active_scan.Target(stack.url, stack.admin_token, stack.tls, "/api/v1/openapi.json")
        tried = 0
        article = stack.article(title="scan target", tags=["scan"])
        values = {"id": article["id"], "slug": article["slug"], "version": 1, "q": "scan", "tag": "scan"}
        for n, (name, head, body) in enumerate(self.requests(target, values)):
            if FULL or name in self.QUICK:
                injectable, parameters = self.scan(stack.url, f"request-{n}", head, body)
                self.assertFalse(injectable, f"{name}: {(self.folder / f'request-{n}.log').read_text()[-3000:]}")
                tried += parameters
        self.assertGreater(tried, 15)
        measured("sqlmap: parameters", tried)

    def test_it_finds_a_planted_hole(self):
        with planted.Server() as server:
            target = active_scan.Target(server.url, planted.TOKEN)
            head = ["GET /sql/error?id=1 HTTP/1.1", f"Host: {target.host}:{target.port}", f"Authorization: Bearer {planted.TOKEN}"]
            self.assertTrue(self.scan(server.url, "planted", head)[0])


if __name__ == "__main__":
    unittest.main()
