/* Any bytes as a part of a package: the first byte says which; the rest is put into a stored ZIP file with the other parts
 * that lead to it. Beginning with "PK", the input is the file itself. */
#include "tests/fuzz/search-index/extract_check.h"

#include <zlib.h>

static const struct {
    const char *part; /* what the input becomes */
    const char *others[4][2];
} kinds[] = {
    {"word/document.xml", {{NULL, NULL}}},
    {"word/comments.xml", {{"word/document.xml", "<w:document xmlns:w='w'/>"}}},
    {"xl/worksheets/sheet1.xml",
     {{"xl/workbook.xml", "<workbook xmlns:r='r'><sheets><sheet name='s' r:id='a'/></sheets></workbook>"},
      {"xl/_rels/workbook.xml.rels",
       "<Relationships><Relationship Id='a' Target='worksheets/sheet1.xml'/></Relationships>"},
      {"xl/sharedStrings.xml", "<sst><si><t>one</t></si><si><t>two</t></si></sst>"}}},
    {"xl/sharedStrings.xml",
     {{"xl/workbook.xml", "<workbook xmlns:r='r'><sheets><sheet name='s' r:id='a'/></sheets></workbook>"},
      {"xl/_rels/workbook.xml.rels",
       "<Relationships><Relationship Id='a' Target='worksheets/sheet1.xml'/></Relationships>"},
      {"xl/worksheets/sheet1.xml", "<worksheet><c t='s'><v>0</v></c><c t='s'><v>1</v></c></worksheet>"}}},
    {"xl/workbook.xml",
     {{"xl/_rels/workbook.xml.rels",
       "<Relationships><Relationship Id='a' Target='worksheets/sheet1.xml'/></Relationships>"},
      {"xl/worksheets/sheet1.xml", "<worksheet><c><v>1</v></c></worksheet>"}}},
    {"ppt/_rels/presentation.xml.rels",
     {{"ppt/presentation.xml", "<p xmlns:r='r'><sldId r:id='rId1'/><sldId r:id='rId2'/></p>"},
      {"ppt/slides/slide1.xml", "<p xmlns:a='a'><a:t>text</a:t></p>"}}},
    {"ppt/slides/_rels/slide1.xml.rels",
     {{"ppt/presentation.xml", "<p xmlns:r='r'><sldId r:id='rId1'/></p>"},
      {"ppt/_rels/presentation.xml.rels",
       "<Relationships><Relationship Id='rId1' Target='slides/slide1.xml'/></Relationships>"},
      {"ppt/slides/slide1.xml", "<p xmlns:a='a'><a:t>text</a:t></p>"}}},
    {"content.xml", {{"mimetype", "application/vnd.oasis.opendocument.text"}}},
    {"content.xml", {{"mimetype", "application/vnd.oasis.opendocument.spreadsheet"}}},
    {"content.xml", {{"mimetype", "application/vnd.oasis.opendocument.presentation"}}},
};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

static void put(struct mirai_buf *out, uint32_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++) {
        mirai_buf_append_char(out, (char)(value >> (8 * i)));
    }
}

/* What local and central headers share (APPNOTE.TXT 4.3.7): from "version needed" to the name's length. */
static void put_common(struct mirai_buf *out, const char *name, struct mirai_str content)
{
    uint32_t crc = (uint32_t)crc32(0, (const unsigned char *)content.data, (unsigned)content.len);
    put(out, 20, 2);
    put(out, 0, 2);
    put(out, 0, 2); /* stored */
    put(out, 0, 4);
    put(out, crc, 4);
    put(out, (uint32_t)content.len, 4);
    put(out, (uint32_t)content.len, 4);
    put(out, (uint32_t)strlen(name), 2);
    put(out, 0, 2);
}

static void add_part(struct mirai_buf *zip, struct mirai_buf *central, unsigned *count, const char *name,
                     struct mirai_str content)
{
    uint32_t at = (uint32_t)zip->len;
    mirai_buf_append_str(zip, MIRAI_STR("PK\3\4"));
    put_common(zip, name, content);
    mirai_buf_append_str(zip, mirai_str(name));
    mirai_buf_append_str(zip, content);
    mirai_buf_append_str(central, MIRAI_STR("PK\1\2"));
    put(central, 20, 2);
    put_common(central, name, content);
    put(central, 0, 2);
    put(central, 0, 2);
    put(central, 0, 2);
    put(central, 0, 4);
    put(central, at, 4);
    mirai_buf_append_str(central, mirai_str(name));
    ++*count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mirai_buf zip = {0};
    struct mirai_buf central = {0};
    unsigned count = 0;
    if (size < 2 || size > 1 << 20) {
        return 0;
    }
    if (data[0] == 'P' && data[1] == 'K') {
        check_file((struct mirai_str){(const char *)data, size}, "");
        return 0;
    }
    unsigned kind = data[0] % KINDS;
    for (unsigned i = 0; i < 4 && kinds[kind].others[i][0] != NULL; i++) {
        add_part(&zip, &central, &count, kinds[kind].others[i][0], mirai_str(kinds[kind].others[i][1]));
    }
    add_part(&zip, &central, &count, kinds[kind].part, (struct mirai_str){(const char *)data + 1, size - 1});
    uint32_t at = (uint32_t)zip.len;
    mirai_buf_append_str(&zip, mirai_buf_str(&central));
    mirai_buf_append_str(&zip, MIRAI_STR("PK\5\6"));
    put(&zip, 0, 4);
    put(&zip, count, 2);
    put(&zip, count, 2);
    put(&zip, (uint32_t)central.len, 4);
    put(&zip, at, 4);
    put(&zip, 0, 2);
    check_file(mirai_buf_str(&zip), "");
    mirai_buf_free(&zip);
    mirai_buf_free(&central);
    return 0;
}
