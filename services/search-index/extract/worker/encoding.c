#include "services/search-index/extract/worker/encoding.h"

#include <unicode/ucnv.h>
#include <unicode/ucsdet.h>
#include <unicode/utf8.h>

#define SAMPLE_MAX     (64u << 10)
#define PIECE          (16u << 10)
#define CONTROLS_RATIO 50  /* one control character in so many bytes is still text: terminal logs have some */
#define SHORT_TEXT     256 /* bytes below which the detector's statistics say little */

static bool begins(struct mirai_str bytes, const char *prefix, size_t len)
{
    return bytes.len >= len && memcmp(bytes.data, prefix, len) == 0;
}

static const char *by_mark(struct mirai_str bytes)
{
    if (begins(bytes, "\xef\xbb\xbf", 3)) {
        return "UTF-8";
    }
    if (begins(bytes, "\xff\xfe\0\0", 4)) {
        return "UTF-32LE";
    }
    if (begins(bytes, "\xff\xfe", 2)) {
        return "UTF-16LE";
    }
    return begins(bytes, "\xfe\xff", 2) ? "UTF-16BE" : NULL;
}

/* UTF-16 without a mark: most texts have ASCII in them, whose other half is 0, always on the same side. */
static const char *by_zeros(struct mirai_str sample)
{
    size_t zeros[2] = {0, 0};
    for (size_t i = 0; i < sample.len; i++) {
        zeros[i % 2] += sample.data[i] == '\0';
    }
    size_t enough = sample.len / 20;
    if (zeros[1] > enough && zeros[0] * 50 < zeros[1]) {
        return "UTF-16LE";
    }
    return zeros[0] > enough && zeros[1] * 50 < zeros[0] ? "UTF-16BE" : NULL;
}

/* ESC $ @, ESC $ B, ESC ( J (RFC 1468), and nothing beyond 7 bits. */
static bool is_iso_2022_jp(struct mirai_str sample)
{
    bool escapes = false;
    for (size_t i = 0; i < sample.len; i++) {
        if ((unsigned char)sample.data[i] >= 0x80) {
            return false;
        }
        escapes |= sample.data[i] == 0x1b && sample.len - i >= 3 &&
                   (memcmp(sample.data + i + 1, "$B", 2) == 0 || memcmp(sample.data + i + 1, "$@", 2) == 0);
    }
    return escapes;
}

/* Control characters that no text has; ESC is in the logs of terminals. */
static bool is_binary(struct mirai_str sample)
{
    size_t controls = 0;
    for (size_t i = 0; i < sample.len; i++) {
        unsigned char c = (unsigned char)sample.data[i];
        if (c == 0) {
            return true;
        }
        controls += (c < 0x20 && strchr("\t\n\v\f\r\x1b", c) == NULL) || c == 0x7f;
    }
    return controls * CONTROLS_RATIO > sample.len;
}

/* Decodes without one fault, but for a character that the sample's end cuts. *japanese: characters of kana and kanji
 * that are in daily use, in 1/1000 of all that are not ASCII; half-width kana do not count, as nearly any bytes are such in
 * Shift_JIS. */
static bool decodes(const char *encoding, struct mirai_str sample, unsigned *japanese)
{
    UErrorCode status = U_ZERO_ERROR;
    UConverter *converter = ucnv_open(encoding, &status);
    size_t others = 0;
    size_t good = 0;
    if (U_FAILURE(status)) {
        return false;
    }
    ucnv_setToUCallBack(converter, UCNV_TO_U_CALLBACK_STOP, NULL, NULL, NULL, &status);
    const char *at = sample.data;
    const char *end = sample.data + sample.len;
    while (U_SUCCESS(status)) {
        UChar room[1024] = {0};
        UChar *out = room;
        ucnv_toUnicode(converter, &out, room + 1024, &at, end, NULL, false, &status);
        for (const UChar *c = room; c < out; c++) {
            others += *c >= 0x80;
            good += (*c >= 0x3000 && *c <= 0x30ff) || (*c >= 0x4e00 && *c <= 0x9fa0) ||
                    (*c >= 0xff01 && *c <= 0xff5e);
        }
        if (status != U_BUFFER_OVERFLOW_ERROR) {
            break;
        }
        status = U_ZERO_ERROR;
    }
    ucnv_close(converter);
    *japanese = others > 0 ? (unsigned)(good * 1000 / others) : 0;
    return U_SUCCESS(status);
}

/* The statistics of ICU, which are good on long texts; NULL: not one of these. */
static const char *by_statistics(struct mirai_str sample)
{
    static const char *const known[] = {"Shift_JIS", "EUC-JP",     "GB18030",      "Big5",
                                        "EUC-KR",    "ISO-8859-1", "windows-1251", "KOI8-R"};
    UErrorCode status = U_ZERO_ERROR;
    UCharsetDetector *detector = ucsdet_open(&status);
    const char *found = NULL;
    if (U_FAILURE(status)) {
        return NULL;
    }
    ucsdet_setText(detector, sample.data, (int32_t)sample.len, &status);
    const UCharsetMatch *match = ucsdet_detect(detector, &status);
    const char *name = match != NULL && U_SUCCESS(status) ? ucsdet_getName(match, &status) : NULL;
    for (size_t i = 0; name != NULL && i < sizeof(known) / sizeof(known[0]); i++) {
        found = strcmp(name, known[i]) == 0 ? known[i] : found;
    }
    ucsdet_close(detector);
    return found;
}

/* Japanese before all: a strict decoder accepts little by chance, and the product is for texts in Japanese. */
static const char *legacy(struct mirai_str sample)
{
    unsigned sjis = 0;
    unsigned euc = 0;
    bool is_sjis = decodes("ibm-943_P15A-2003", sample, &sjis) && sjis >= 500;
    bool is_euc = decodes("euc-jp-2007", sample, &euc) && euc >= 500;
    if (is_sjis != is_euc) {
        return is_sjis ? "ibm-943_P15A-2003" : "euc-jp-2007";
    }
    if (is_sjis) {
        return sjis > euc ? "ibm-943_P15A-2003" : "euc-jp-2007";
    }
    const char *name = sample.len >= SHORT_TEXT ? by_statistics(sample) : NULL;
    if (name != NULL && strcmp(name, "Shift_JIS") == 0) {
        return "ibm-943_P15A-2003";
    }
    return name != NULL && strcmp(name, "ISO-8859-1") != 0 ? name : "windows-1252";
}

const char *encoding_detect(struct mirai_str bytes)
{
    struct mirai_str sample = {bytes.data, bytes.len < SAMPLE_MAX ? bytes.len : SAMPLE_MAX};
    const char *name = by_mark(sample);
    unsigned japanese;
    if (name != NULL || sample.len == 0) {
        return name != NULL ? name : "UTF-8";
    }
    if ((name = by_zeros(sample)) != NULL) {
        return name;
    }
    if (is_binary(sample)) {
        return NULL;
    }
    if (is_iso_2022_jp(sample)) {
        return "ISO-2022-JP";
    }
    return decodes("UTF-8", sample, &japanese) ? "UTF-8" : legacy(sample);
}

const char *encoding_named(struct mirai_str name, char *room)
{
    UErrorCode status = U_ZERO_ERROR;
    if (name.len == 0 || name.len >= 64) {
        return NULL;
    }
    memcpy(room, name.data, name.len);
    room[name.len] = '\0';
    if (ucnv_compareNames(room, "shift_jis") == 0 || ucnv_compareNames(room, "x-sjis") == 0 ||
        ucnv_compareNames(room, "windows-31j") == 0 || ucnv_compareNames(room, "cp932") == 0) {
        return "ibm-943_P15A-2003";
    }
    UConverter *converter = ucnv_open(room, &status);
    if (U_FAILURE(status)) {
        return NULL;
    }
    ucnv_close(converter);
    return room;
}

/* Give what is whole; what is left of a character moves to the front. How much that is. */
static size_t give(char *room, size_t len, bool *more, encoding_take take, void *data)
{
    const uint8_t *s = (const uint8_t *)room;
    size_t whole = len;
    U8_TRUNCATE_IF_INCOMPLETE(s, 0, whole);
    *more = take(data, (struct mirai_str){room, whole}) && *more;
    memmove(room, room + whole, len - whole);
    return len - whole;
}

void encoding_convert(const char *encoding, struct mirai_str bytes, encoding_take take, void *data)
{
    UErrorCode status = U_ZERO_ERROR;
    UConverter *from = ucnv_open(encoding, &status);
    UConverter *to = ucnv_open("UTF-8", &status);
    UChar pivot[1024];
    UChar *pivot_from = pivot;
    UChar *pivot_to = pivot;
    const char *at = bytes.data;
    char room[PIECE];
    size_t left = 0;
    bool more = U_SUCCESS(status) && bytes.len > 0;
    bool first = true;
    while (more) {
        char *out = room + left; /* a full room may cut a character in two */
        status = U_ZERO_ERROR;
        ucnv_convertEx(to, from, &out, room + PIECE, &at, bytes.data + bytes.len, pivot, &pivot_from,
                       &pivot_to, pivot + 1024, first, true, &status);
        first = false;
        more = status == U_BUFFER_OVERFLOW_ERROR;
        left = give(room, (size_t)(out - room), &more, take, data);
    }
    ucnv_close(from);
    ucnv_close(to);
}
