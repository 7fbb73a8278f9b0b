#include "services/gateway/h2_frames.h"

#include "tests/unit/gateway/test.h"

#include <string.h>

#define RESETS              20
#define CONTROL             100
#define AT_ONCE(per_second) ((per_second)*H2_BUDGET_SECONDS)

static uint8_t bytes[H2_FRAME_HEAD + H2_FRAME_MAX];

static int fresh(void **state)
{
    static struct h2_frames frames;
    h2_frames_init(&frames, RESETS, CONTROL, 1000);
    *state = &frames;
    return 0;
}

static enum h2_verdict count(struct h2_frames *frames, uint8_t type, uint8_t flags, const void *payload,
                             size_t length, uint64_t now_ms)
{
    const uint8_t head[H2_FRAME_HEAD] = {
        (uint8_t)(length >> 16), (uint8_t)(length >> 8), (uint8_t)length, type, flags, 0, 0, 0, 1};
    memcpy(bytes, head, sizeof(head));
    memcpy(bytes + sizeof(head), payload, length);
    return h2_frames_count(frames, bytes, h2_frame_length(bytes), now_ms);
}

/* How many frames of a kind pass in a row, at one instant. */
static int passed(struct h2_frames *frames, uint8_t type, uint8_t flags, const void *payload, size_t length,
                  uint64_t now_ms)
{
    int n = 0;
    while (n < 100000 && count(frames, type, flags, payload, length, now_ms) == H2_FINE) {
        n++;
    }
    return n;
}

static void cancelling_is_bounded_and_comes_back(void **state)
{
    struct h2_frames *frames = *state;
    assert_int_equal(passed(frames, H2_RST_STREAM, 0, "\0\0\0\x08", 4, 1000), AT_ONCE(RESETS));
    assert_int_equal(count(frames, H2_RST_STREAM, 0, "\0\0\0\x08", 4, 1000), H2_RESETS);
    h2_frames_init(frames, RESETS, CONTROL, 1000);
    for (int i = 0; i < AT_ONCE(RESETS); i++) {
        assert_int_equal(count(frames, H2_RST_STREAM, 0, "\0\0\0\x08", 4, 1000), H2_FINE);
    }
    assert_int_equal(passed(frames, H2_RST_STREAM, 0, "\0\0\0\x08", 4, 2000), RESETS);
}

/* The clock is looked at when nothing is left: after a rest the budget is there twice, never more. */
static void time_fills_no_more_than_the_budget(void **state)
{
    struct h2_frames *frames = *state;
    uint64_t now = UINT64_MAX / 2;
    assert_int_equal(passed(frames, H2_RST_STREAM, 0, "\0\0\0\x08", 4, now), 2 * AT_ONCE(RESETS));
    assert_int_equal(count(frames, H2_RST_STREAM, 0, "\0\0\0\x08", 4, now), H2_RESETS);
}

static void requests_earn_resets(void **state)
{
    struct h2_frames *frames = *state;
    uint64_t now = 1000;
    for (int i = 0; i < 10000; i++) { /* one in eight is cancelled, however fast */
        assert_int_equal(count(frames, H2_HEADERS, 0x5, "\x82\x87\x84", 3, now), H2_FINE);
        if (i % 8 == 7) {
            assert_int_equal(count(frames, H2_RST_STREAM, 0, "\0\0\0\x08", 4, now), H2_FINE);
        }
    }
    int pairs = 0; /* each is cancelled: rapid reset */
    while (count(frames, H2_HEADERS, 0x5, "\x82\x87\x84", 3, now) == H2_FINE &&
           count(frames, H2_RST_STREAM, 0, "\0\0\0\x08", 4, now) == H2_FINE) {
        pairs++;
    }
    assert_in_range(pairs, AT_ONCE(RESETS), AT_ONCE(RESETS) * 8 / 7 + 1);
}

static void resets_that_the_server_is_made_to_send_count(void **state)
{
    struct h2_frames *frames = *state;
    for (int i = 0; i < AT_ONCE(RESETS); i++) {
        assert_int_equal(h2_frames_made_reset(frames, true, 1000), H2_FINE);
    }
    assert_int_equal(h2_frames_made_reset(frames, true, 1000), H2_RESETS);
    for (int i = 0; i < AT_ONCE(CONTROL); i++) {
        assert_int_equal(h2_frames_made_reset(frames, false, 1000), H2_FINE);
    }
    assert_int_equal(h2_frames_made_reset(frames, false, 1000), H2_CONTROL);
}

static void frames_beside_requests_are_bounded(void **state)
{
    struct h2_frames *frames = *state;
    static const struct {
        uint8_t type, flags;
        const char *payload;
        size_t length;
    } costly[] = {
        {H2_PING, 0, "12345678", 8},
        {H2_PING, 1, "12345678", 8},
        {H2_SETTINGS, 0, "", 0},
        {H2_SETTINGS, 1, "", 0},
        {H2_PRIORITY, 0, "\0\0\0\0\x10", 5},
        {H2_DATA, 0, "", 0},
        {H2_DATA, 0x8, "\x03\0\0\0", 4}, /* padding alone */
        {H2_WINDOW_UPDATE, 0, "\0\0\0\x01", 4},
        {H2_WINDOW_UPDATE, 0, "\0\0\0", 3},
        {H2_GOAWAY, 0, "\0\0\0\0\0\0\0\0", 8},
        {H2_PUSH_PROMISE, 0, "\0\0\0\x02", 4},
        {0x10, 0, "u=1", 3}, /* PRIORITY_UPDATE (RFC 9218), which h2o does not know */
        {0xff, 0xff, "", 0},
    };
    for (size_t i = 0; i < sizeof(costly) / sizeof(costly[0]); i++) {
        fresh(state);
        assert_int_equal(
            passed(frames, costly[i].type, costly[i].flags, costly[i].payload, costly[i].length, 1000),
            AT_ONCE(CONTROL));
        assert_int_equal(
            count(frames, costly[i].type, costly[i].flags, costly[i].payload, costly[i].length, 1000),
            H2_CONTROL);
    }
}

static void bodies_and_windows_are_free(void **state)
{
    struct h2_frames *frames = *state;
    for (int i = 0; i < 100000; i++) {
        assert_int_equal(count(frames, H2_DATA, 0, "x", 1, 1000), H2_FINE);
        assert_int_equal(count(frames, H2_DATA, 1, "", 0, 1000), H2_FINE);
        assert_int_equal(count(frames, H2_WINDOW_UPDATE, 0, "\0\0\x04\0", 4, 1000), H2_FINE);
    }
}

/* As clients do that give back the window of each small answer. */
static void each_request_earns_frames(void **state)
{
    struct h2_frames *frames = *state;
    for (int i = 0; i < 100000; i++) {
        assert_int_equal(count(frames, H2_HEADERS, 0x5, "\x82\x87\x84", 3, 1000), H2_FINE);
        assert_int_equal(count(frames, H2_WINDOW_UPDATE, 0, "\0\0\0\x50", 4, 1000), H2_FINE);
        assert_int_equal(count(frames, H2_WINDOW_UPDATE, 0, "\0\0\0\x50", 4, 1000), H2_FINE);
    }
}

/* ------------------------------------------------------------------ header blocks */

static size_t fields(uint8_t *block, unsigned count)
{
    static const uint8_t kinds[][10] = {
        {1, 0x82},                                    /* indexed */
        {4, 0x44, 2, '/', 'a'},                       /* indexing, indexed name */
        {5, 0x40, 1, 'x', 1, 'y'},                    /* indexing, literal name */
        {5, 0x00, 1, 'x', 1, 'y'},                    /* without indexing */
        {5, 0x10, 0x81, 0xff, 1, 'y'},                /* never indexed, Huffman */
        {4, 0x0f, 0x10, 1, '1'},                      /* an index of two bytes */
        {8, 0x00, 1, 'x', 4, 0x82, 0x82, 0x82, 0x82}, /* what looks like fields is a value */
    };
    size_t len = 0;
    for (unsigned i = 0; i < count; i++) {
        const uint8_t *kind = kinds[i % (sizeof(kinds) / sizeof(kinds[0]))];
        memcpy(block + len, kind + 1, kind[0]);
        len += kind[0];
    }
    return len;
}

/* In parts of every size; what the last one says. */
static enum h2_verdict in_parts(struct h2_frames *frames, const uint8_t *block, size_t len, size_t part)
{
    enum h2_verdict verdict = H2_FINE;
    for (size_t at = 0; at < len && verdict == H2_FINE; at += part) {
        size_t now = len - at < part ? len - at : part;
        uint8_t flags = at + now == len ? 0x4 : 0;
        verdict = count(frames, at == 0 ? H2_HEADERS : H2_CONTINUATION, flags, block + at, now, 1000);
        assert_int_equal(frames->in_block, verdict == H2_FINE ? flags == 0 : frames->in_block);
    }
    return verdict;
}

static void fields_are_counted_however_they_are_cut(void **state)
{
    struct h2_frames *frames = *state;
    uint8_t block[8 * (H2_FIELDS_MAX + 1)];
    size_t most = fields(block, H2_FIELDS_MAX);
    for (size_t part = most / H2_BLOCK_PARTS + 1; part <= most; part++) {
        assert_int_equal(in_parts(frames, block, most, part), H2_FINE);
        assert_int_equal(frames->block.fields, H2_FIELDS_MAX);
    }
    size_t more = fields(block, H2_FIELDS_MAX + 1);
    for (size_t part = more / H2_BLOCK_PARTS + 1; part <= more; part++) {
        fresh(state);
        assert_int_equal(in_parts(frames, block, more, part), H2_BLOCK);
    }
    size_t few = fields(block, 7);
    for (size_t part = 2; part < few; part++) {
        fresh(state);
        assert_int_equal(in_parts(frames, block, few, part), H2_FINE);
        assert_int_equal(frames->block.fields, 7);
    }
}

static void padding_and_priority_are_no_fields(void **state)
{
    struct h2_frames *frames = *state;
    uint8_t payload[6 + H2_FIELDS_MAX + 1 + 3] = {3, 0x80, 0, 0, 0, 0xff};
    memset(payload + 6, 0x82, H2_FIELDS_MAX + 1);
    assert_int_equal(count(frames, H2_HEADERS, 0x2d, payload, sizeof(payload), 1000), H2_BLOCK);
    assert_int_equal(count(frames, H2_HEADERS, 0x2d, payload, sizeof(payload) - 1, 1000), H2_FINE);
    memmove(payload + 1, payload + 6, H2_FIELDS_MAX + 1 + 3);
    assert_int_equal(count(frames, H2_HEADERS, 0xd, payload, sizeof(payload) - 5, 1000), H2_BLOCK);
    assert_int_equal(count(frames, H2_HEADERS, 0xd, "\xff\x82", 2, 1000), H2_FINE); /* h2o's to refuse */
    assert_int_equal(count(frames, H2_HEADERS, 0xd, "", 0, 1000), H2_FINE);
    assert_int_equal(count(frames, H2_HEADERS, 0x25, "\0\0\0\0", 4, 1000), H2_FINE);
}

static void bombs_are_refused(void **state)
{
    struct h2_frames *frames = *state;
    static uint8_t indexed[H2_FRAME_MAX];
    memset(indexed, 0xbe, sizeof(indexed)); /* the newest entry of the table, 4 KiB of it, again and again */
    assert_int_equal(count(frames, H2_HEADERS, 0x5, indexed, sizeof(indexed), 1000), H2_BLOCK);
    fresh(state);
    memset(indexed, 0x20, sizeof(indexed)); /* the table's size, set again and again */
    assert_int_equal(count(frames, H2_HEADERS, 0x5, indexed, sizeof(indexed), 1000), H2_BLOCK);
    fresh(state);
    memset(indexed, 0xff, sizeof(indexed)); /* an index without end */
    assert_int_equal(count(frames, H2_HEADERS, 0x5, indexed, sizeof(indexed), 1000), H2_BLOCK);
}

static void long_blocks_are_refused(void **state)
{
    struct h2_frames *frames = *state;
    uint8_t value[H2_FRAME_MAX] = {0x00, 0x01, 'x', 0x7f, 0xff, 0xff, 0x7f}; /* one field of 2 MiB */
    size_t sent = sizeof(value);
    assert_int_equal(count(frames, H2_HEADERS, 0x1, value, sizeof(value), 1000), H2_FINE);
    for (; sent + H2_FRAME_MAX <= H2_BLOCK_MAX; sent += H2_FRAME_MAX) {
        assert_int_equal(count(frames, H2_CONTINUATION, 0, value, H2_FRAME_MAX, 1000), H2_FINE);
    }
    assert_int_equal(count(frames, H2_CONTINUATION, 0, value, 1, 1000), H2_BLOCK);
}

/* A head of n × 4 KiB costs n frames and earns two. */
static void large_heads_use_up_the_budget(void **state)
{
    struct h2_frames *frames = *state;
    static const uint8_t start[] = {0x00, 0x01, 'x', 0x7f,
                                    0xff, 0xff, 0x7f}; /* one field, longer than the head */
    uint8_t head[12288] = {0};
    memcpy(head, start, sizeof(start));
    for (int i = 0; i < 10000; i++) {
        assert_int_equal(count(frames, H2_HEADERS, 0x5, head, 8192, 1000), H2_FINE);
    }
    assert_in_range(passed(frames, H2_HEADERS, 0x5, head, sizeof(head), 1000), AT_ONCE(CONTROL) - 3,
                    AT_ONCE(CONTROL));
}

static void parts_without_end_are_refused(void **state)
{
    struct h2_frames *frames = *state;
    assert_int_equal(count(frames, H2_HEADERS, 0x1, "\x82", 1, 1000), H2_FINE);
    assert_int_equal(passed(frames, H2_CONTINUATION, 0, "", 0, 1000), H2_BLOCK_PARTS - 1);
    assert_int_equal(count(frames, H2_CONTINUATION, 0x4, "", 0, 1000), H2_BLOCK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(cancelling_is_bounded_and_comes_back, fresh),
        cmocka_unit_test_setup(time_fills_no_more_than_the_budget, fresh),
        cmocka_unit_test_setup(requests_earn_resets, fresh),
        cmocka_unit_test_setup(resets_that_the_server_is_made_to_send_count, fresh),
        cmocka_unit_test_setup(frames_beside_requests_are_bounded, fresh),
        cmocka_unit_test_setup(bodies_and_windows_are_free, fresh),
        cmocka_unit_test_setup(each_request_earns_frames, fresh),
        cmocka_unit_test_setup(fields_are_counted_however_they_are_cut, fresh),
        cmocka_unit_test_setup(padding_and_priority_are_no_fields, fresh),
        cmocka_unit_test_setup(bombs_are_refused, fresh),
        cmocka_unit_test_setup(long_blocks_are_refused, fresh),
        cmocka_unit_test_setup(large_heads_use_up_the_budget, fresh),
        cmocka_unit_test_setup(parts_without_end_are_refused, fresh),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
