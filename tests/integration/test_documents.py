"""The documents say what is: the reference is what the tables give, links lead somewhere, names exist."""

import json
import os
import pathlib
import re
import subprocess
import unittest

from stack import BIN, ROOT

DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]


def without_code(text):
    return re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)


def anchors(path):
    """What GitHub makes of the headings."""
    found = set()
    for heading in re.findall(r"^#+ +(.*?) *$", without_code(path.read_text()), re.M):
        words = re.sub(r"[^\w\- ]", "", re.sub(r"\[(.*?)\]\(.*?\)", r"\1", heading).lower())
        anchor = words.replace(" ", "-")
        assert anchor not in found, f"{path.name}: two headings #{anchor}"
        found.add(anchor)
    return found


def output(program, *arguments):
    clean = {key: value for key, value in os.environ.items() if not key.startswith("MIRAI_")}
    return subprocess.run([BIN / program, *arguments], env=clean | {"LANG": "C"}, capture_output=True, text=True, check=True, timeout=20).stdout


class Documents(unittest.TestCase):
    def expect_all(self, pattern, is_true, least, text=pathlib.Path.read_text):
        """is_true(document, match) of every match of the pattern in the documents, of which there are some."""
        matches = [(document, match) for document in DOCUMENTS for match in re.finditer(pattern, text(document))]
        self.assertGreaterEqual(len(matches), least)
        self.assertEqual([f"{document.name}: {match.group()}" for document, match in matches if not is_true(document, match)], [])

    def test_reference_is_what_the_tables_give(self):
        self.assertEqual((ROOT / "docs" / "API_REFERENCE.md").read_text(), output("mirai-reference"),
                         "make it anew: build/release/bin/mirai-reference >docs/API_REFERENCE.md")

    def test_links_lead_somewhere(self):
        known = {}

        def leads_somewhere(document, match):
            target, _, anchor = match.group(1).partition("#")
            path = (document.parent / target).resolve() if target else document
            if re.match(r"[a-z]+:", target) or not path.exists() or not anchor:
                return target.startswith("https:") or path.exists()
            return anchor in (known[path] if path in known else known.setdefault(path, anchors(path)))
        self.expect_all(r"\]\(([^)\s]+)\)", leads_somewhere, 200, lambda path: without_code(path.read_text()))

    def test_variables_exist(self):
        shown = json.loads(output("miraictl", "config", "show", "--json"))
        secrets = ("MIRAI_TOKEN", "MIRAI_METRICS_TOKEN", "MIRAI_LDAP_BIND_PASSWORD", "MIRAI_AUDIT_KEY", "MIRAI_SESSION_URL", "MIRAI_SESSION_KEY")
        names = set(shown) | {f"{name}_FILE" for name in secrets}
        for path in (ROOT / "tests").rglob("*.py"):  # what the tests themselves read
            names |= set(re.findall(r'environ\.get\("(MIRAI_[A-Z_]+)"', path.read_text()))
        self.expect_all(r"\bMIRAI_[A-Z0-9_]*[A-Z0-9]\b", lambda _, match: match.group() in names, 40)

    def test_commands_exist(self):
        commands = [re.match(r"  ([a-z-]+(?: [a-z-]+)*)(?=  | [A-Z\[])", line) for line in output("miraictl", "--help").splitlines()]
        names = {command.group(1) for command in commands if command}
        self.assertIn("user set-role", names)
        self.expect_all(r"(?:`|^|\$ |&& )miraictl ([a-z][a-z-]*)(?: ([a-z-]+))?",
                        lambda _, match: match.group(1) in names or f"{match.group(1)} {match.group(2)}" in names, 3)

    def test_files_exist(self):
        self.expect_all(r"`((?:libcommon|proto|services|ops|tests|docs)/[\w.*/-]+)",
                        lambda _, match: any(ROOT.glob(match.group(1).rstrip("/"))), 20)
