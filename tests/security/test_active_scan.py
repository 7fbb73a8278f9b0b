"""The active scan over the OpenAPI document finds nothing in the product, and each planted hole in the server that has them.

MIRAI_SCAN_FULL=1: all payloads instead of a choice from each class (some ten times as long)."""

import collections
import os
import re
import sys
import unittest

from stack import ROOT, Stack, measured, wait_for

sys.path.insert(0, str(ROOT / "tests" / "security"))
import active_scan  # noqa: E402
import planted  # noqa: E402

QUICK = not os.environ.get("MIRAI_SCAN_FULL")


def problem_types():
    """The types in the reference's table of problems."""
    table = (ROOT / "docs" / "API_REFERENCE.md").read_text().split("## Problems")[1].split("## ")[0]
    return {f"urn:mirai:problem:{slug}" for slug in re.findall(r"^\| `([a-z-]+)` \| \d", table, re.M)}


class ActiveScan(unittest.TestCase):
    def show(self, findings, target):
        by_severity = collections.Counter(finding.severity for finding in findings)
        measured("requests", target.sent)
        measured("findings", dict(by_severity))
        return "\n".join(map(str, findings[:40]))

    def test_the_product_has_no_finding(self):
        with Stack() as stack:
            owner_id, owner = stack.make_user("scanned", "admin")
            _, stranger = stack.make_user("stranger", "viewer")
            client = stack.client(owner)
            article = stack.article(client, title="scan target", visibility="private")
            path = f"/api/v1/articles/{article['id']}"
            client.patch(path, {"body": "second"}, "*")
            comment = client.post(f"{path}/comments", {"body": "x"}).json
            file = client.request("POST", f"{path}/attachments?name=a.html", raw=b"<script>1</script>", headers={"Content-Type": "text/html"}).json
            victim, _ = stack.make_user("victim", "viewer")
            tag = client.post("/api/v1/tags", {"name": "scanned"}).json
            group = client.post("/api/v1/groups", {"name": "scanned"}).json
            space = client.post("/api/v1/spaces", {"name": "scanned"}).json
            values = {"id": article["id"], "slug": article["slug"], "version": 1, "comment_id": comment["id"], "attachment_id": file["id"],
                      "relation_id": 999999, "If-Match": "*", "name": "a.txt"}
            for name, identity in (("tags", tag["id"]), ("groups", group["id"]), ("spaces", space["id"]), ("users", victim)):
                values |= {(f"{method} /api/v1/{name}/{{id}}", "id"): identity for method in ("GET", "PATCH")}
            target = active_scan.Target(stack.url, owner, stack.tls, "/api/v1/openapi.json")
            for methods in target.document["paths"].items():
                if "delete" in methods[1]:  # what does not exist: the rest still needs what does
                    values |= {(f"DELETE {methods[0]}", parameter["name"]): 999999 for parameter in methods[1]["delete"].get("parameters", [])
                               if parameter["in"] == "path"}
            values |= {("POST /api/v1/articles/{id}/attachments", "name"): "a.txt", ("GET /api/v1/search", "q"): "scan",
                       ("GET /api/v1/suggest", "q"): "scan", ("PATCH /api/v1/users/{id}", "disabled"): False}
            private = {f"GET {path}" for path in target.document["paths"] if path.startswith("/api/v1/articles/{id}")}
            slow = {"POST /api/v1/session", "POST /api/v1/users", "PUT /api/v1/users/me/password", "PATCH /api/v1/users/{id}", "POST /api/v1/backups",
                    "POST /api/v1/backups/verify", "POST /api/v1/index/rebuild"}
            searches = [f"/api/v1/search?limit=100&q={word}" for word in ("script", "onerror", active_scan.MARK, "img", "javascript")]
            scanner = active_scan.Scanner(
                target, values, problem_types(), {"snippet": {"mark"}}, slow, private, stranger, quick=QUICK,
                reads=searches + ["/api/v1/suggest?q=%3Cscript", "/api/v1/articles?limit=200", "/api/v1/tags", "/api/v1/statistics", "/api/v1/audit?limit=200",
                                  f"{path}/render", f"{path}/comments?limit=200", f"{path}/revisions?limit=200", "/", "/assets/app.js"], pages={"GET /"})
            findings = scanner.scan()
            for made in client.pages("/api/v1/articles", limit=200):
                scanner.check(f"render {made['id']}", None, target.send("GET", f"/api/v1/articles/{made['id']}/render"))
            self.assertEqual(findings, [], self.show(findings, target))
            self.show(findings, target)
            wait_for(lambda: client.get("/ready").status == 200, 10, "the product after the scan")

    def test_every_planted_hole_is_found(self):
        with planted.Server() as server:
            target = active_scan.Target(server.url, planted.TOKEN)
            scanner = active_scan.Scanner(target, {"id": 1}, {"urn:planted:problem"}, {"snippet": {"mark"}}, private={"GET /orders/{id}"},
                                          stranger=planted.STRANGER, quick=QUICK, reads=["/notes.html", "/notes"])
            findings = scanner.scan()
            found = {(finding.operation, finding.kind) for finding in findings}
            missed = [hole for hole in planted.HOLES if hole not in found]
            self.assertEqual(missed, [], self.show(findings, target))
            false = [finding for finding in findings if finding.operation in planted.SOUND]
            self.assertEqual(false, [])
            measured("planted holes found", f"{len(planted.HOLES)} of {len(planted.HOLES)}, requests {target.sent}")


if __name__ == "__main__":
    unittest.main()
