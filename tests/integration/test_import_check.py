"""`miraictl import --dry-run`: what is read from folders and archives, and what is refused with which reason."""

import io
import json
import os
import pathlib
import subprocess
import tarfile
import tempfile
import unittest
import zipfile

from stack import BIN, ROOT

GOOD = "---\ntitle: 正常な記事\n---\n本文\n".encode()
BOMB = b"---\na: &a [x,x]\nb: &b [*a,*a]\ntitle: T\n---\nbody\n"


class ImportCheck(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="mirai-import-")
        self.addCleanup(folder.cleanup)
        self.dir = pathlib.Path(folder.name)

    def check(self, *paths, code=0):
        clean = {key: value for key, value in os.environ.items() if not key.startswith("MIRAI_")}
        done = subprocess.run([BIN / "miraictl", "import", "--dry-run", "--json", *map(str, paths)], env=clean | {"LANG": "C"},
                              capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        report = json.loads(done.stdout)
        self.refused = {row["path"]: row["reason"] for row in report["refused"]}
        return report["checked"]

    def write(self, name, content):
        path = self.dir / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    def tar(self, name, entries, mode="w:xz"):
        path = self.dir / name
        with tarfile.open(path, mode) as archive:
            for entry, content in entries.items():
                info = tarfile.TarInfo(entry)
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
        return path

    def test_samples_are_sound(self):
        files = list((ROOT / "ops" / "samples").rglob("*.md"))
        self.assertGreaterEqual(len(files), 40)
        self.assertEqual(self.check(ROOT / "ops" / "samples"), len(files))

    def test_folder(self):
        self.write("kb/a.md", GOOD)
        self.write("kb/sub/b.markdown", b"# Heading\n")
        self.write("kb/picture.png", b"\x89PNG")
        self.write("kb/.hidden/c.md", b"\xff")
        self.write("kb/.d.md", b"\xff")
        self.assertEqual(self.check(self.dir / "kb"), 2)
        self.assertEqual(self.check(f"{self.dir}/kb//"), 2)

    def test_bad_files_are_refused_and_the_others_read(self):
        bad = {"latin.md": b"caf\xe9", "yaml.md": b"---\na: b: c\n---\n", "bomb.md": BOMB, "nul.md": b"a\0b",
               "big.md": b"x" * (6 << 20), "long.md": b"x" * ((1 << 20) + 1), "type.md": b"---\ntype: tutorial\n---\n"}
        for name, content in bad.items():
            self.write(f"kb/{name}", content)
        self.write("kb/good.md", GOOD)
        (self.dir / "kb" / "link.md").symlink_to("/etc/passwd")
        self.assertEqual(self.check(self.dir / "kb", code=4), 1)
        self.assertEqual({pathlib.Path(path).name for path in self.refused}, {*bad, "link.md"})
        for name, word in {"latin.md": "UTF-8", "bomb.md": "aliases", "big.md": "too large", "long.md": "body",
                           "type.md": "type", "link.md": "link", "nul.md": "NUL"}.items():
            self.assertIn(word, self.refused[str(self.dir / "kb" / name)])

    def test_paths_that_are_nothing(self):
        self.assertEqual(self.check(self.dir / "absent", self.write("x.bin", b"1"), code=4), 0)
        self.assertEqual(len(self.refused), 2)

    def test_archives(self):
        entries = {"./a.md": GOOD, "b/c.md": GOOD, "b/d.txt": b"no"}
        for name, mode in (("x.tar", "w"), ("x.tar.gz", "w:gz"), ("x.tar.xz", "w:xz"), ("x.tar.bz2", "w:bz2")):
            with self.subTest(name):
                self.assertEqual(self.check(self.tar(name, entries, mode)), 2)
        with zipfile.ZipFile(self.dir / "x.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in entries.items():
                archive.writestr(name, content)
        self.assertEqual(self.check(self.dir / "x.zip"), 2)

    def test_archive_names_that_leave_it_are_refused(self):
        names = ["../up.md", "/etc/absolute.md", "a/../../b.md", "a\\..\\b.md"]
        path = self.tar("bad.tar.xz", {**{name: GOOD for name in names}, "a..b/good.md": GOOD})
        self.assertEqual(self.check(path, code=4), 1)
        self.assertEqual(set(self.refused), {f"{path}:{name}" for name in names})

    def test_large_member_is_refused_without_being_kept(self):
        path = self.tar("bomb.tar.xz", {"bomb.md": bytes(200 << 20), "good.md": GOOD})
        self.assertEqual(self.check(path, code=4), 1)
        self.assertIn("too large", self.refused[f"{path}:bomb.md"])

    def test_broken_archives(self):
        whole = self.tar("whole.tar.gz", {f"{i}.md": GOOD + os.urandom(3000).hex().encode() for i in range(50)}, "w:gz").read_bytes()
        cut = self.write("cut.tar.gz", whole[:len(whole) // 2])
        self.assertGreater(self.check(cut, code=4), 5)
        self.assertTrue(self.refused)
        self.check(self.write("noise.tar.xz", os.urandom(5000)), self.write("empty.zip", b""), self.write("g.md", GOOD), code=4)
        self.assertIn(str(self.dir / "noise.tar.xz"), self.refused)
