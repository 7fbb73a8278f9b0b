"""mirai-extract: text and pages of real files of every kind; hostile ones cost a bounded amount and say what they are."""

import io
import os
import random
import resource
import subprocess
import time
import unittest
import zipfile
import zlib

import documents
from documents import Extract, docx, open_document, pdf, pdf_of, pptx, stream, xlsx
from stack import BIN, measured

TEXT = "ルーターの設定手順 KB5034441 を適用後、エラー 0x80070005 が発生した場合の対処について説明します。"

LINE = "ルーターのKB5034441を適用後の、0x80070005"  # fits a page


class Kinds(unittest.TestCase):
    def expect(self, content, pages, outcome="done", **hints):
        got = Extract(content, **hints)
        self.assertEqual((got.outcome, got.pages, got.status), (outcome, pages, 0), got)

    def test_pdf(self):
        self.expect(pdf("一枚目first", LINE, "三枚目"), {1: "一枚目first", 2: LINE, 3: "三枚目"})
        self.expect(b"\r\n" * 20 + pdf("前に何かある"), {1: "前に何かある"}, name="a.pdf")

    @unittest.skipUnless(os.path.isdir("/usr/share/poppler/cMap"), "needs poppler-data")
    def test_pdf_without_a_map_to_unicode(self):
        self.expect(documents.pdf_of_old_encoding("仮想マシンの移行"), {1: "仮想マシンの移行"})

    def test_word(self):
        self.expect(docx(["表紙", TEXT], ["二頁目 & <b>", "end"]), {1: f"表紙\n{TEXT}", 2: "二頁目 & <b>\nend"})
        body = ('<w:p><w:r><w:t>見</w:t></w:r><w:r><w:t>出し</w:t><w:tab/><w:t xml:space="preserve"> 値</w:t><w:br/><w:t>次</w:t></w:r>'
                "<w:del><w:r><w:delText>消した</w:delText></w:r></w:del></w:p>"
                "<w:tbl><w:tr><w:tc><w:p><w:r><w:t>左</w:t></w:r></w:p></w:tc><w:tc><w:p><w:r><w:t>右</w:t></w:r></w:p></w:tc></w:tr></w:tbl>"
                '<mc:AlternateContent xmlns:mc="x"><mc:Choice><w:p><w:r><w:t>図中</w:t></w:r></w:p></mc:Choice>'
                "<mc:Fallback><w:p><w:r><w:t>図中</w:t></w:r></w:p></mc:Fallback></mc:AlternateContent>")
        notes = {"word/footnotes.xml": f"<w:footnotes {documents.WORD}><w:p><w:r><w:t>脚注</w:t></w:r></w:p></w:footnotes>"}
        self.expect(docx(body=body, parts=notes), {0: "見出し 値\n次\n左\n右\n図中脚注"})

    def test_excel(self):
        self.expect(xlsx({"機器 & 一覧": [["名前", "台数"], ["ルーター", 12]], "Sheet2": [["VLAN", 3.5]]}),
                    {1: "機器 & 一覧\n名前 台数\nルーター 12", 2: "Sheet2\nVLAN 3.5"})

    def test_powerpoint(self):
        self.expect(pptx([("最初", "発表者の覚え書き"), ("二枚目", "n2"), ("三", "n3")]),
                    {1: "発表者の覚え書き最初", 2: "n2二枚目", 3: "n3三"})

    def test_open_document(self):
        text = "<text:tracked-changes><text:p>消した</text:p></text:tracked-changes><text:h>題</text:h><text:p>一<text:s/>二<text:line-break/>三</text:p>"
        self.expect(open_document("text", text), {0: "題\n一 二\n三"})
        self.expect(open_document("text", "<text:p>前<text:soft-page-break/>後</text:p>"), {1: "前", 2: "後"})
        table = "<table:table table:name='%s'><table:table-row><table:table-cell><text:p>%s</text:p></table:table-cell></table:table-row></table:table>"
        self.expect(open_document("spreadsheet", table % ("表一", "あ") + table % ("表二", "い")), {1: "表一\nあ", 2: "表二\nい"})
        self.expect(open_document("presentation", "<draw:page><text:p>甲</text:p></draw:page><draw:page><text:p>乙</text:p></draw:page>"),
                    {1: "甲", 2: "乙"})

    def test_html(self):
        page = ("<!DOCTYPE html><html><head><meta charset='%s'><title>題名</title><style>p{}</style><script>var x = 1 < 2;</script></head>"
                "<body><h1>見出し</h1><p>本文&amp;<b>太</b>字<br>次<table><tr><td>左<td>右</table><img alt='図の説明'></body></html>")
        text = {0: "題名\n見出し\n本文&太字\n次\n左 右\n図の説明"}
        for encoding, codec in (("utf-8", "utf-8"), ("Shift_JIS", "cp932"), ("EUC-JP", "euc_jp"), ("ISO-2022-JP", "iso2022_jp")):
            with self.subTest(encoding):
                self.expect((page % encoding).encode(codec), text, name="a.html")
        self.expect(page.encode("utf-16"), text, name="a.htm")

    def test_text_in_the_encodings_of_japan(self):
        log = "2026-11-25 09:00:00 エラー: 接続がタイムアウトしました\r\n[警告] ﾃﾞｨｽｸ使用率 95%\r\n"
        text = {0: "2026-11-25 09:00:00 エラー: 接続がタイムアウトしました\n[警告] ﾃﾞｨｽｸ使用率 95%"}
        for codec in ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp932", "euc_jp"):
            with self.subTest(codec):
                self.expect(log.encode(codec), text, name="server.log")
        self.expect("漢字とカナ".encode("iso2022_jp"), {0: "漢字とカナ"})
        for codec in ("cp932", "euc_jp"):  # a few characters must do
            self.expect("再起動".encode(codec), {0: "再起動"})
        self.expect("naïve café".encode("cp1252"), {0: "naïve café"})
        self.expect("a\0b".encode() * 100, {}, "unsupported")

    def test_mail(self):
        mail = ("From: =?utf-8?B?5bGx55Sw?= <y@example.com>\r\nTo: a@example.com\r\nSubject: =?iso-2022-jp?B?GyRCPmMzMhsoQg==?=\r\n"
                " =?utf-8?Q?=E9=80=9A=E7=9F=A5_1?=\r\nContent-Type: multipart/mixed; boundary=\"b\"\r\n\r\npreamble\r\n--b\r\n"
                "Content-Type: text/plain; charset=iso-2022-jp\r\n\r\n").encode() + "本文です".encode("iso2022_jp") + (
                b"\r\n--b\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
                b"<p>=E8=A1=A8=\r\n</p>\r\n--b\r\nContent-Type: application/pdf; name=\"plan.pdf\"\r\nContent-Transfer-Encoding: base64\r\n\r\nAAAA\r\n--b--\r\n")
        got = Extract(mail, name="a.eml")
        self.assertEqual(got.outcome, "done")
        for part in ("障害通知 1", "山田 <y@example.com>", "本文です", "表", "plan.pdf"):
            self.assertIn(part, got.pages[0])
        self.assertNotIn("preamble", got.pages[0])

    def test_what_has_no_text_says_why(self):
        compound = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600)
        self.expect(compound, {}, "legacy", name="old.doc")
        self.expect(compound + "EncryptedPackage".encode("utf-16-le"), {}, "encrypted", name="new.docx")
        for content in (b"\x89PNG\r\n\x1a\n" + os.urandom(500), os.urandom(4000), documents.archive({"a.txt": "text"})):
            self.expect(content, {}, "unsupported")
        self.expect(b"", {})
        self.expect(pdf_of(["<< /Type /Catalog /Pages 2 0 R >>", "<< /Type /Pages /Count 0 /Kids [] >>"],
                           "/Encrypt << /Filter /Standard /V 1 /R 2 /P -4 /O (" + "x" * 32 + ") /U (" + "y" * 32 + ") >> /ID [(a) (a)]"),
                    {}, "encrypted")

    def test_content_decides_not_the_name(self):
        self.expect(docx([TEXT]), {0: TEXT}, name="report.pdf", media_type="application/pdf")
        self.expect(TEXT.encode(), {0: TEXT}, name="report.docx")


class Hostile(unittest.TestCase):
    """Each ends within its bounds and is told apart."""

    def run_it(self, content, **options):
        before = time.monotonic()
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        got = Extract(content, **options)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        got.cpu = after.ru_utime + after.ru_stime - usage.ru_utime - usage.ru_stime
        got.wall = time.monotonic() - before
        return got

    def test_billion_laughs(self):
        entities = "".join(f'<!ENTITY l{at} "{f"&l{at - 1};" * 10}">' for at in range(1, 10))
        text = f'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY l0 "lol">{entities}]><w:document {documents.WORD}><w:t>&l9;</w:t></w:document>'
        got = self.run_it(documents.archive({"word/document.xml": text}))
        self.assertEqual((got.outcome, got.pages), ("damaged", {}), got)

    def test_outside_entities_are_not_read(self):
        text = f'<!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/passwd">]><w:document {documents.WORD}><w:t>&f;</w:t></w:document>'
        got = self.run_it(documents.archive({"word/document.xml": text}))
        self.assertEqual((got.outcome, got.pages), ("damaged", {}), got)

    def test_a_gigabyte_of_nothing(self):
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as target:
            with target.open("word/document.xml", "w", force_zip64=True) as part:
                part.write(f"<w:document {documents.WORD}><w:body><w:t>始</w:t>".encode())
                for _ in range(1024):
                    part.write(b" " * (1 << 20))
        got = self.run_it(out.getvalue())
        self.assertEqual((got.outcome, got.pages), ("bomb", {}), got)
        self.assertLess(got.cpu, 10)
        got = self.run_it(pdf_of(["<< /Type /Catalog /Pages 2 0 R >>", "<< /Type /Pages /Count 1 /Kids [3 0 R] >>",
                                  "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 9 9] /Contents 4 0 R >>",
                                  stream(zlib.compress(bytes(300 << 20)), "/Filter /FlateDecode")]), seconds=5)
        self.assertIn(got.outcome, ("done", "damaged", "no end"), got)
        self.assertLess(got.wall, 40)

    def test_many_parts(self):
        got = self.run_it(documents.archive({f"word/x{at}.xml": "" for at in range(21000)} | {"word/document.xml": "<x/>"}, zipfile.ZIP_STORED))
        self.assertEqual(got.outcome, "bomb", got)

    def test_deep_nesting(self):
        deep = "<w:p>" * 100000 + "</w:p>" * 100000
        self.assertEqual(self.run_it(docx(body=deep)).outcome, "damaged")
        got = self.run_it(("<html>" + "<div>" * 200000 + "深い").encode(), name="a.html")
        self.assertIn(got.outcome, ("done", "no end"), got)
        kids = ["<< /Type /Catalog /Pages 2 0 R >>", "<< /Type /Pages /Count 1000000000 /Kids [2 0 R 2 0 R 2 0 R] >>"]
        got = self.run_it(pdf_of(kids))
        self.assertEqual(got.pages, {}, got)

    def test_shared_strings_that_multiply(self):
        shared = "<sst><si><t>" + "あ" * 10000 + "</t></si></sst>"
        rows = "<row>" + '<c t="s"><v>0</v></c>' * 200000 + "</row>"
        book = documents.archive({"xl/workbook.xml": f'<workbook {documents.RELATED}><sheets><sheet name="s" r:id="a"/></sheets></workbook>',
                                  "xl/_rels/workbook.xml.rels": documents.relationships({"a": "worksheets/sheet1.xml"}),
                                  "xl/sharedStrings.xml": shared, "xl/worksheets/sheet1.xml": f"<worksheet>{rows}</worksheet>"})
        got = self.run_it(book)
        self.assertEqual(got.outcome, "cut", got)
        self.assertLessEqual(len(got.pages[1].encode()), 4 << 20)

    def test_text_is_bounded(self):
        got = self.run_it(("行が続く。\n" * 500000).encode())
        self.assertEqual(got.outcome, "cut")
        self.assertNotIn("\ufffd", got.pages[0])
        self.assertTrue((4 << 20) - 70000 < len(got.pages[0].encode()) <= 4 << 20)
        got = self.run_it(bytes(100), size_max=99)
        self.assertEqual(got.outcome, "too-large")

    def test_pages_are_bounded(self):
        kids = " ".join(f"{at + 3} 0 R" for at in range(5001))
        got = self.run_it(pdf_of(["<< /Type /Catalog /Pages 2 0 R >>", f"<< /Type /Pages /Count 5001 /Kids [{kids}] >>",
                                  *["<< /Type /Page /Parent 2 0 R /MediaBox [0 0 9 9] >>"] * 5001]))
        self.assertEqual(got.outcome, "cut", got)

    def test_processor_time_is_bounded(self):
        """A form that draws itself twice, thirty times over: 2^30 pages' worth of operators."""
        forms = [stream(f"/F{at + 1} Do " * 2, f"/Type /XObject /Subtype /Form /BBox [0 0 9 9] /Resources << /XObject << /F{at + 1} {at + 6} 0 R >> >>")
                 for at in range(30)]
        content = pdf_of(["<< /Type /Catalog /Pages 2 0 R >>", "<< /Type /Pages /Count 1 /Kids [3 0 R] >>",
                          "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 9 9] /Contents 4 0 R /Resources << /XObject << /F0 5 0 R >> >> >>",
                          stream("/F0 Do"), *forms, stream("", "/Type /XObject /Subtype /Form /BBox [0 0 9 9]")])
        got = self.run_it(content, seconds=1)
        self.assertEqual((got.killed_by, got.outcome), ("SIGXCPU", "no end"), got)
        self.assertLess(got.cpu, 4)

    def test_memory_is_bounded(self):
        got = self.run_it(bytes(40 << 20), memory=80 << 20)
        self.assertEqual((got.outcome, got.killed_by), ("no end", "SIGABRT"), got)

    def test_names_are_no_paths(self):
        parts = {"../../../../tmp/mirai-extract-escaped": "x", "/tmp/mirai-extract-escaped": "x", "..\\..\\x": "x",
                 "word/document.xml": f"<w:document {documents.WORD}><w:p><w:t>良</w:t></w:p></w:document>"}
        got = self.run_it(documents.archive(parts))
        self.assertEqual((got.outcome, got.pages), ("done", {0: "良"}), got)
        self.assertFalse(os.path.exists("/tmp/mirai-extract-escaped"))

    def test_broken_files(self):
        """Truncated and with flipped bits: an outcome each time, or an end by a signal that the caller is prepared for."""
        dice = random.Random(20261125)
        crashed = 0
        for content in (pdf("頁一", LINE), docx(["一", TEXT], ["二"]), xlsx({"表": [["値", 1]]}), pptx([("題", "覚")]),
                        open_document("text", f"<text:p>{TEXT}</text:p>"), TEXT.encode("cp932")):
            for at in range(12):
                broken = bytearray(content)
                if at % 3 == 0:
                    broken = broken[:dice.randrange(1, len(broken))]
                for _ in range(1 + at):
                    broken[dice.randrange(len(broken))] ^= 1 << dice.randrange(8)
                got = self.run_it(bytes(broken), seconds=5)
                self.assertTrue(got.status == 0 and got.outcome in documents.OUTCOMES or got.killed_by, got)
                self.assertNotEqual(got.killed_by, "SIGSYS", got)
                crashed += bool(got.killed_by)
        measured("broken files that ended mirai-extract by a signal", f"{crashed} of 72")


class Program(unittest.TestCase):
    def test_options(self):
        program = BIN / "mirai-extract"
        for option, status in (("--version", 0), ("--help", 0), ("--memory=0", 2), ("--seconds=x", 2), ("file.pdf", 2)):
            done = subprocess.run([program, option], input=b"", capture_output=True, timeout=10)
            self.assertEqual(done.returncode, status, option)

    def test_a_large_log_is_read_in_a_moment(self):
        got_in = time.monotonic()
        got = Extract(b"2026-11-25T09:00:00Z INFO request served in 12 ms\n" * 1_200_000)
        self.assertEqual(got.outcome, "cut")
        measured("60 MB of log", f"{time.monotonic() - got_in:.2f} s")


if __name__ == "__main__":
    unittest.main()
