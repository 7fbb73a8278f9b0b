"""Small real files of every kind that text is read from, made in memory, and a client of mirai-extract."""

import io
import signal
import struct
import subprocess
import zipfile

from stack import BIN

OUTCOMES = ("done", "cut", "unsupported", "legacy", "encrypted", "damaged", "bomb", "too-large", "timeout", "crashed", "protocol")


def archive(parts, compression=zipfile.ZIP_DEFLATED):
    """A ZIP file of {name: text or bytes}, in this order."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as target:
        for name, content in parts.items():
            target.writestr(name, content)
    return out.getvalue()


def escape(text):
    return text.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")


XML = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
WORD = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
DRAWING = 'xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main"'
RELATED = 'xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"'
PACKAGE = "http://schemas.openxmlformats.org/package/2006/relationships"


def relationships(rows):
    inner = "".join(f'<Relationship Id="{name}" Type="x" Target="{target}"/>' for name, target in rows.items())
    return f'{XML}<Relationships xmlns="{PACKAGE}">{inner}</Relationships>'


def docx(*pages, body=None, parts=None):
    """Pages are lists of paragraphs; between them stands what Word writes where its layout breaks."""
    if body is None:
        runs = []
        for number, paragraphs in enumerate(pages):
            for at, paragraph in enumerate(paragraphs):
                broken = "<w:lastRenderedPageBreak/>" if number and not at else ""
                runs.append(f"<w:p><w:r>{broken}<w:t>{escape(paragraph)}</w:t></w:r></w:p>")
        body = "".join(runs)
    return archive({"[Content_Types].xml": XML + "<Types/>",
                    "word/document.xml": f"{XML}<w:document {WORD}><w:body>{body}</w:body></w:document>"} | (parts or {}))


def xlsx(sheets):
    """{name: rows of cells}; texts are shared strings, as Excel writes them."""
    texts = []
    parts = {"[Content_Types].xml": XML + "<Types/>"}
    rows = {}
    for number, (name, cells) in enumerate(sheets.items(), 1):
        lines = []
        for row in cells:
            inner = ""
            for cell in row:
                if isinstance(cell, str):
                    texts.append(cell)
                    inner += f'<c t="s"><v>{len(texts) - 1}</v></c>'
                else:
                    inner += f"<c><v>{cell}</v></c>"
            lines.append(f"<row>{inner}</row>")
        # Files are numbered the other way round: only the relationships say which sheet is which.
        rows[f"rId{number}"] = f"worksheets/sheet{len(sheets) + 1 - number}.xml"
        parts["xl/" + rows[f"rId{number}"]] = f"{XML}<worksheet><sheetData>{''.join(lines)}</sheetData></worksheet>"
    names = "".join(f'<sheet name="{escape(name)}" sheetId="{at}" r:id="rId{at}"/>' for at, name in enumerate(sheets, 1))
    parts["xl/workbook.xml"] = f"{XML}<workbook {RELATED}><sheets>{names}</sheets></workbook>"
    parts["xl/_rels/workbook.xml.rels"] = relationships(rows)
    shared = "".join(f"<si><t>{escape(text)}</t><rPh><t>ヨミ</t></rPh></si>" for text in texts)
    parts["xl/sharedStrings.xml"] = f"{XML}<sst>{shared}</sst>"
    return archive(parts)


def pptx(slides):
    """[(text, notes)]; the parts stand in the opposite order."""
    parts = {"[Content_Types].xml": XML + "<Types/>"}
    count = len(slides)
    for at, (text, notes) in enumerate(slides, 1):
        number = count + 1 - at
        frame = '<p:sld xmlns:p="http://schemas.openxmlformats.org/presentationml/2006/main" %s><a:p><a:r><a:t>%s</a:t></a:r></a:p></p:sld>'
        parts[f"ppt/notesSlides/notesSlide{at}.xml"] = XML + frame % (DRAWING, escape(notes))
        parts[f"ppt/slides/slide{number}.xml"] = XML + frame % (DRAWING, escape(text))
        parts[f"ppt/slides/_rels/slide{number}.xml.rels"] = relationships({"rId1": f"../notesSlides/notesSlide{at}.xml"})
    order = "".join(f'<p:sldId id="{255 + at}" r:id="rId{at}"/>' for at in range(1, count + 1))
    parts["ppt/presentation.xml"] = (f'{XML}<p:presentation xmlns:p="http://schemas.openxmlformats.org/presentationml/2006/main" {RELATED}>'
                                     f"<p:sldIdLst>{order}</p:sldIdLst></p:presentation>")
    parts["ppt/_rels/presentation.xml.rels"] = relationships({f"rId{at}": f"slides/slide{count + 1 - at}.xml" for at in range(1, count + 1)})
    return archive(parts)


def open_document(kind, content):
    """kind: text, spreadsheet, presentation; content: inside of office:body."""
    names = " ".join(f'xmlns:{name}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"' for name in ("office", "text", "table"))
    names += ' xmlns:draw="urn:oasis:names:tc:opendocument:xmlns:drawing:1.0"'
    return archive({"mimetype": f"application/vnd.oasis.opendocument.{kind}",
                    "content.xml": f"{XML}<office:document-content {names}><office:body>{content}</office:body></office:document-content>",
                    "META-INF/manifest.xml": XML + "<manifest/>"})


def pdf_of(objects, trailer=""):
    """A PDF file of numbered objects, the first of which is the catalogue."""
    out = bytearray(b"%PDF-1.5\n%\xe2\xe3\xcf\xd3\n")
    places = []
    for number, content in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n" % number + (content if isinstance(content, bytes) else content.encode()) + b"\nendobj\n"
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(places) + 1)
    out += b"".join(b"%010d 00000 n \n" % place for place in places)
    out += f"trailer\n<< /Size {len(places) + 1} /Root 1 0 R {trailer} >>\nstartxref\n{start}\n%%EOF\n".encode()
    return bytes(out)


def stream(data, extra=""):
    data = data if isinstance(data, bytes) else data.encode()
    return f"<< /Length {len(data)} {extra} >>\nstream\n".encode() + data + b"\nendstream"


def pdf(*pages):
    """A PDF with one line of text on each page, in a font that is not in the file, with a map to Unicode."""
    characters = sorted(set("".join(pages)))
    codes = {character: at for at, character in enumerate(characters, 1)}
    rows = "".join(f"<{code:04x}> <{character.encode('utf-16-be').hex()}>\n" for character, code in codes.items())
    cmap = ("/CIDInit /ProcSet findresource begin 12 dict begin begincmap /CMapName /X def /CMapType 2 def\n"
            f"1 begincodespacerange <0000> <ffff> endcodespacerange\n{len(codes)} beginbfchar\n{rows}endbfchar\n"
            "endcmap CMapName currentdict /CMap defineresource pop end end")
    first = 7  # object of the first page
    objects = ["<< /Type /Catalog /Pages 2 0 R >>",
               f"<< /Type /Pages /Count {len(pages)} /Kids [{' '.join(f'{first + 2 * at} 0 R' for at in range(len(pages)))}] >>",
               "<< /Type /Font /Subtype /Type0 /BaseFont /X /Encoding /Identity-H /DescendantFonts [4 0 R] /ToUnicode 6 0 R >>",
               "<< /Type /Font /Subtype /CIDFontType2 /BaseFont /X /CIDSystemInfo << /Registry (Adobe) /Ordering (Identity) /Supplement 0 >>"
               " /FontDescriptor 5 0 R /DW 1000 >>",
               "<< /Type /FontDescriptor /FontName /X /Flags 4 /FontBBox [0 0 1000 1000] /ItalicAngle 0 /Ascent 800 /Descent -200"
               " /CapHeight 700 /StemV 80 >>",
               stream(cmap)]
    for at, text in enumerate(pages):
        code = "".join(f"{codes[character]:04x}" for character in text)
        objects.append(f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Resources << /Font << /F 3 0 R >> >>"
                       f" /Contents {first + 2 * at + 1} 0 R >>")
        objects.append(stream(f"BT /F 12 Tf 40 700 Td <{code}> Tj ET"))
    return pdf_of(objects)


def pdf_of_old_encoding(text):
    """A PDF as Japanese programs wrote them for decades: Shift_JIS codes, a font of the printer, no map to Unicode."""
    return pdf_of(["<< /Type /Catalog /Pages 2 0 R >>", "<< /Type /Pages /Count 1 /Kids [6 0 R] >>",
                   "<< /Type /Font /Subtype /Type0 /BaseFont /Ryumin-Light-90ms-RKSJ-H /Encoding /90ms-RKSJ-H /DescendantFonts [4 0 R] >>",
                   "<< /Type /Font /Subtype /CIDFontType0 /BaseFont /Ryumin-Light /CIDSystemInfo << /Registry (Adobe) /Ordering (Japan1)"
                   " /Supplement 2 >> /FontDescriptor 5 0 R /DW 1000 >>",
                   "<< /Type /FontDescriptor /FontName /Ryumin-Light /Flags 4 /FontBBox [0 0 1000 1000] /ItalicAngle 0 /Ascent 800"
                   " /Descent -200 /CapHeight 700 /StemV 80 >>",
                   "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Resources << /Font << /F 3 0 R >> >> /Contents 7 0 R >>",
                   stream(f"BT /F 12 Tf 40 700 Td <{text.encode('cp932').hex()}> Tj ET")])


class Extract:
    """What one run of mirai-extract said: its outcome and {page: text}."""

    def __init__(self, content, name="", media_type="", seconds=30, memory=512 << 20, size_max=64 << 20, wall=60):
        command = [BIN / "mirai-extract", "--name", name, "--type", media_type, "--seconds", str(seconds), "--memory", str(memory),
                   "--size-max", str(size_max)]
        done = subprocess.run(command, input=content, capture_output=True, timeout=wall)
        self.status = done.returncode
        self.errors = done.stderr
        self.pages = {}
        self.outcome = "no end"
        at = 0
        while at + 9 <= len(done.stdout):
            kind, value, size = struct.unpack_from("<cII", done.stdout, at)
            text = done.stdout[at + 9:at + 9 + size]
            at += 9 + size
            if kind == b"E":
                self.outcome = OUTCOMES[value]
                assert at == len(done.stdout), "bytes behind the end"
            else:
                self.pages[value] = self.pages.get(value, "") + text.decode()

    @property
    def killed_by(self):
        return signal.Signals(-self.status).name if self.status < 0 else None

    def __repr__(self):
        return f"<{self.outcome} {self.status} {str(self.pages)[:300]} {self.errors[-300:]}>"
