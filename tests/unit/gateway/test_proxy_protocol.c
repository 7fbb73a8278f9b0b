#include "services/gateway/proxy_protocol.h"

#include "libcommon/error.h"
#include "tests/unit/gateway/test.h"

#define READ(literal) read_bytes(literal, sizeof(literal) - 1)
#define SIGNATURE     "\r\n\r\n\0\r\nQUIT\n"

static struct address client;
static char text[ADDRESS_TEXT_MAX];

static int read_bytes(const char *bytes, size_t len)
{
    int size = proxy_protocol_read((struct mirai_str){bytes, len}, &client);
    address_print(&client, text);
    return size;
}

/* haproxy, doc/proxy-protocol.txt §2.1 */
static void the_lines_of_the_specification(void **state)
{
    (void)state;
    assert_int_equal(READ("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n"), 56);
    assert_string_equal(text, "255.255.255.255");
    assert_int_equal(READ("PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
                          "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"),
                     104);
    assert_string_equal(text, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
    assert_int_equal(READ("PROXY UNKNOWN\r\n"), 15);
    assert_string_equal(text, "");
    assert_int_equal(READ("PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
                          "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"),
                     107);
    assert_string_equal(text, "");
    assert_int_equal(READ("PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\nGET / HTTP/1.1\r\n"), 47);
    assert_string_equal(text, "192.168.0.1");
}

static void a_line_is_taken_exactly(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "GET / HTTP/1.1\r\n",
        "PROXX TCP4",
        "proxy TCP4 192.0.2.1 192.0.2.2 1 2\r\n",
        "PROXY  TCP4 192.0.2.1 192.0.2.2 1 2\r\n",
        "PROXY TCP5 192.0.2.1 192.0.2.2 1 2\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 1 2 3\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 1 2 \r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 1\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 1 65536\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 01 2\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 -1 2\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 +1 2\r\n",
        "PROXY TCP4 192.0.2 192.0.2.2 1 2\r\n",
        "PROXY TCP4 192.0.2.256 192.0.2.2 1 2\r\n",
        "PROXY TCP4 2001:db8::1 192.0.2.2 1 2\r\n",
        "PROXY TCP6 192.0.2.1 2001:db8::2 1 2\r\n",
        "PROXY TCP6 2001:db8::1%lo 2001:db8::2 1 2\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\rX",
        "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\n",
        "PROXY UNKNOWNX\r\n",
        "PROXY \r\n",
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        int size = read_bytes(wrong[i], strlen(wrong[i]));
        if (strchr(wrong[i], '\r') == NULL && size == 0) {
            continue; /* a bare LF is part of a line that has not ended */
        }
        assert_int_equal(size, MIRAI_E_INVALID);
    }
    char endless[200];
    memset(endless, 'x', sizeof(endless));
    memcpy(endless, "PROXY UNKNOWN ", 14);
    assert_int_equal(read_bytes(endless, 105), 0);
    assert_int_equal(read_bytes(endless, 107), MIRAI_E_INVALID);
    assert_int_equal(read_bytes(endless, sizeof(endless)), MIRAI_E_INVALID);
}

/* §2.2 */
static void version_2_over_both_families(void **state)
{
    (void)state;
    assert_int_equal(
        READ(SIGNATURE "\x21\x11\x00\x0c\xc0\x00\x02\x01\xc0\x00\x02\x02\x12\x34\x01\xbb\x16\x03"), 28);
    assert_string_equal(text, "192.0.2.1");
    assert_int_equal(READ(SIGNATURE "\x21\x21\x00\x24"
                                    "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x07"
                                    "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x08\x12\x34\x01\xbb"),
                     52);
    assert_string_equal(text, "2001:db8::7");
    /* TLVs (§2.2.1..2.2.8) are skipped: here PP2_TYPE_NOOP of 2 bytes, and one of an unknown type that lies about its
     * length, which nobody looks at */
    assert_int_equal(READ(SIGNATURE "\x21\x11\x00\x14\xc0\x00\x02\x01\xc0\x00\x02\x02\x12\x34\x01\xbb"
                                    "\x04\x00\x02\xaa\xbb\xee\xff\xff"),
                     36);
    assert_string_equal(text, "192.0.2.1");
}

static void version_2_where_the_proxy_speaks_for_itself(void **state)
{
    (void)state;
    assert_int_equal(READ(SIGNATURE "\x20\x00\x00\x00"), 16);
    assert_string_equal(text, "");
    /* LOCAL: whatever addresses are given are not used */
    assert_int_equal(READ(SIGNATURE "\x20\x11\x00\x0c\xc0\x00\x02\x01\xc0\x00\x02\x02\x12\x34\x01\xbb"), 28);
    assert_string_equal(text, "");
    assert_int_equal(READ(SIGNATURE "\x21\x00\x00\x03\x04\x00\x00"), 19);
    assert_string_equal(text, "");
    char from_unix[16 + 216] = SIGNATURE "\x21\x31\x00\xd8";
    assert_int_equal(read_bytes(from_unix, sizeof(from_unix)), (int)sizeof(from_unix));
    assert_string_equal(text, "");
}

static void version_2_that_is_refused(void **state)
{
    (void)state;
    assert_int_equal(READ(SIGNATURE "\x11\x11\x00\x0c"), MIRAI_E_INVALID); /* version 1 in binary */
    assert_int_equal(READ(SIGNATURE "\x22\x11\x00\x0c"), MIRAI_E_INVALID); /* unknown command */
    assert_int_equal(READ(SIGNATURE "\x21\x11\x00\x0b\xc0\x00\x02\x01\xc0\x00\x02\x02\x12\x34\x01"),
                     MIRAI_E_INVALID); /* too short for its family */
    assert_int_equal(READ(SIGNATURE "\x21\x12\x00\x0c\xc0\x00\x02\x01\xc0\x00\x02\x02\x12\x34\x01\xbb"),
                     MIRAI_E_INVALID);                                     /* UDP */
    assert_int_equal(READ(SIGNATURE "\x21\x11\x02\x09"), MIRAI_E_INVALID); /* 537 bytes */
    assert_int_equal(READ(SIGNATURE "\x21\x11\xff\xff"), MIRAI_E_INVALID);
    assert_int_equal(READ(SIGNATURE "\x21\x11\x02\x08"), 0); /* 536 bytes may come */
    assert_int_equal(READ("\r\n\r\n\0\r\nQUIX"), MIRAI_E_INVALID);
}

/* Bytes come in whatever pieces: a beginning is never a fault, and never complete. */
static void every_beginning_waits_for_more(void **state)
{
    (void)state;
    static const char v1[] = "PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\n";
    static const char v2[] =
        SIGNATURE "\x21\x11\x00\x0f\xc0\x00\x02\x01\xc0\x00\x02\x02\x12\x34\x01\xbb\x04\x00\x00";
    for (size_t len = 0; len < sizeof(v1) - 1; len++) {
        assert_int_equal(read_bytes(v1, len), 0);
    }
    for (size_t len = 0; len < sizeof(v2) - 1; len++) {
        assert_int_equal(read_bytes(v2, len), 0);
    }
    assert_int_equal(READ(v1), sizeof(v1) - 1);
    assert_int_equal(READ(v2), sizeof(v2) - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_lines_of_the_specification),
        cmocka_unit_test(a_line_is_taken_exactly),
        cmocka_unit_test(version_2_over_both_families),
        cmocka_unit_test(version_2_where_the_proxy_speaks_for_itself),
        cmocka_unit_test(version_2_that_is_refused),
        cmocka_unit_test(every_beginning_waits_for_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
