/* The writer and the reader against msgpack-c (the oracle), and the reader against bytes that lie. */
#include "libcommon/mp.h"

#include "libcommon/error.h"
#include "tests/unit/libcommon/test.h"

#include <math.h>
#include <msgpack.h>

static const int64_t integers[] = {
    0,  1,   127, 128,  255,  256,    65535,  65536,     UINT32_MAX,           INT64_C(4294967296), INT64_MAX,
    -1, -32, -33, -128, -129, -32768, -32769, INT32_MIN, INT64_C(-2147483649), INT64_MIN,
};

static const size_t lengths[] = {0, 1, 15, 16, 31, 32, 255, 256, 65535, 65536, 100000};

/* ------------------------------------------------------------------ writer, read by msgpack-c */

static msgpack_object oracle_read(const struct mirai_buf *buf, msgpack_unpacked *unpacked)
{
    size_t offset = 0;
    msgpack_unpacked_init(unpacked);
    assert_int_equal(msgpack_unpack_next(unpacked, buf->data, buf->len, &offset), MSGPACK_UNPACK_SUCCESS);
    assert_int_equal(offset, buf->len);
    return unpacked->data;
}

static void test_written_integers(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(integers); i++) {
        struct mirai_buf buf = {0};
        msgpack_unpacked unpacked;
        mirai_mp_write_int(&buf, integers[i]);
        msgpack_object object = oracle_read(&buf, &unpacked);
        assert_int_equal(object.via.i64, integers[i]);
        assert_int_equal(object.type,
                         integers[i] < 0 ? MSGPACK_OBJECT_NEGATIVE_INTEGER : MSGPACK_OBJECT_POSITIVE_INTEGER);
        msgpack_unpacked_destroy(&unpacked);
        mirai_buf_free(&buf);
    }
}

static void test_written_text_and_bytes(void **state)
{
    (void)state;
    char *text = malloc(100000);
    memset(text, 'x', 100000);
    for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
        struct mirai_buf buf = {0};
        msgpack_unpacked unpacked;
        mirai_mp_write_str(&buf, (struct mirai_str){text, lengths[i]});
        msgpack_object object = oracle_read(&buf, &unpacked);
        assert_int_equal(object.type, MSGPACK_OBJECT_STR);
        assert_int_equal(object.via.str.size, lengths[i]);
        assert_memory_equal(object.via.str.ptr, text, lengths[i]);
        msgpack_unpacked_destroy(&unpacked);
        buf.len = 0;
        mirai_mp_write_bin(&buf, (struct mirai_str){text, lengths[i]});
        object = oracle_read(&buf, &unpacked);
        assert_int_equal(object.type, MSGPACK_OBJECT_BIN);
        assert_int_equal(object.via.bin.size, lengths[i]);
        msgpack_unpacked_destroy(&unpacked);
        mirai_buf_free(&buf);
    }
    free(text);
}

static void test_written_containers(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
        struct mirai_buf buf = {0};
        msgpack_unpacked unpacked;
        size_t outer = mirai_mp_begin_array(&buf);
        mirai_mp_write_array(&buf, lengths[i]);
        for (size_t k = 0; k < lengths[i]; k++) {
            mirai_mp_write_bool(&buf, k % 2 == 0);
        }
        size_t map = mirai_mp_begin_map(&buf);
        for (size_t k = 0; k < lengths[i]; k++) {
            mirai_mp_write_int(&buf, (int64_t)k);
            mirai_mp_write_nil(&buf);
        }
        mirai_mp_end(&buf, map, lengths[i]);
        mirai_mp_write_map(&buf, 1);
        mirai_mp_write_cstr(&buf, "half");
        mirai_mp_write_double(&buf, 0.5);
        mirai_mp_end(&buf, outer, 3);

        msgpack_object object = oracle_read(&buf, &unpacked);
        assert_int_equal(object.via.array.size, 3);
        const msgpack_object *members = object.via.array.ptr;
        assert_int_equal(members[0].via.array.size, lengths[i]);
        assert_int_equal(members[1].type, MSGPACK_OBJECT_MAP);
        assert_int_equal(members[1].via.map.size, lengths[i]);
        assert_true(members[2].via.map.ptr[0].val.via.f64 == 0.5);
        msgpack_unpacked_destroy(&unpacked);
        mirai_buf_free(&buf);
    }
}

/* ------------------------------------------------------------------ reader, fed by msgpack-c */

/* One random value, nested at most `depth` deep. */
static void oracle_write(msgpack_packer *pk, uint64_t *random, int depth)
{
    static const char text[300] = "text";
    uint64_t r = test_random(random);
    size_t len = r >> 32 & 0xff;
    switch (r % (depth > 0 ? 12 : 10)) {
    case 0:
        msgpack_pack_nil(pk);
        break;
    case 1:
        r & 16 ? msgpack_pack_true(pk) : msgpack_pack_false(pk);
        break;
    case 2:
        msgpack_pack_int64(pk, (int64_t)test_random(random) >> (r >> 8 & 63));
        break;
    case 3:
        msgpack_pack_uint64(pk, test_random(random));
        break;
    case 4:
        msgpack_pack_float(pk, (float)len);
        break;
    case 5:
        msgpack_pack_double(pk, (double)r);
        break;
    case 6:
    case 7:
        msgpack_pack_str_with_body(pk, text, len);
        break;
    case 8:
        msgpack_pack_bin_with_body(pk, text, len);
        break;
    case 9:
        msgpack_pack_ext_with_body(pk, text, len, 5);
        break;
    case 10:
        msgpack_pack_array(pk, len % 8);
        for (size_t i = 0; i < len % 8; i++) {
            oracle_write(pk, random, depth - 1);
        }
        break;
    default:
        msgpack_pack_map(pk, len % 8);
        for (size_t i = 0; i < 2 * (len % 8); i++) {
            oracle_write(pk, random, depth - 1);
        }
    }
}

/* Read one value with mirai_mp and compare it with what msgpack-c read. */
static void assert_same(struct mirai_mp *mp, const msgpack_object *object)
{
    struct mirai_mp_value value;
    assert_int_equal(mirai_mp_read(mp, &value), 0);
    switch (object->type) {
    case MSGPACK_OBJECT_NIL:
        assert_int_equal(value.type, MIRAI_MP_NIL);
        break;
    case MSGPACK_OBJECT_BOOLEAN:
        assert_int_equal(value.type, MIRAI_MP_BOOL);
        assert_int_equal(value.boolean, object->via.boolean);
        break;
    case MSGPACK_OBJECT_POSITIVE_INTEGER:
        assert_int_equal(value.type, object->via.u64 > INT64_MAX ? MIRAI_MP_UINT : MIRAI_MP_INT);
        assert_int_equal(value.uinteger, object->via.u64);
        break;
    case MSGPACK_OBJECT_NEGATIVE_INTEGER:
        assert_int_equal(value.type, MIRAI_MP_INT);
        assert_int_equal(value.integer, object->via.i64);
        break;
    case MSGPACK_OBJECT_FLOAT32:
    case MSGPACK_OBJECT_FLOAT64:
        assert_int_equal(value.type, MIRAI_MP_FLOAT);
        assert_true(value.real == object->via.f64);
        break;
    case MSGPACK_OBJECT_STR:
        assert_int_equal(value.type, MIRAI_MP_STR);
        assert_int_equal(value.str.len, object->via.str.size);
        assert_memory_equal(value.str.data, object->via.str.ptr, value.str.len);
        break;
    case MSGPACK_OBJECT_BIN:
        assert_int_equal(value.type, MIRAI_MP_BIN);
        assert_int_equal(value.str.len, object->via.bin.size);
        assert_memory_equal(value.str.data, object->via.bin.ptr, value.str.len);
        break;
    case MSGPACK_OBJECT_EXT: /* the payload begins with the type's byte */
        assert_int_equal(value.type, MIRAI_MP_EXT);
        assert_int_equal(value.str.len, object->via.ext.size + 1);
        assert_int_equal(value.str.data[0], object->via.ext.type);
        break;
    case MSGPACK_OBJECT_ARRAY:
        assert_int_equal(value.type, MIRAI_MP_ARRAY);
        assert_int_equal(value.count, object->via.array.size);
        for (uint32_t i = 0; i < value.count; i++) {
            assert_same(mp, &object->via.array.ptr[i]);
        }
        break;
    case MSGPACK_OBJECT_MAP:
        assert_int_equal(value.type, MIRAI_MP_MAP);
        assert_int_equal(value.count, object->via.map.size);
        for (uint32_t i = 0; i < value.count; i++) {
            assert_same(mp, &object->via.map.ptr[i].key);
            assert_same(mp, &object->via.map.ptr[i].val);
        }
        break;
    }
}

static void test_reads_what_msgpack_c_writes(void **state)
{
    (void)state;
    uint64_t random = 3;
    for (int round = 0; round < 3000; round++) {
        msgpack_sbuffer buffer;
        msgpack_packer pk;
        msgpack_unpacked unpacked;
        size_t offset = 0;
        msgpack_sbuffer_init(&buffer);
        msgpack_packer_init(&pk, &buffer, msgpack_sbuffer_write);
        oracle_write(&pk, &random, 5);
        msgpack_unpacked_init(&unpacked);
        assert_int_equal(msgpack_unpack_next(&unpacked, buffer.data, buffer.size, &offset),
                         MSGPACK_UNPACK_SUCCESS);

        struct mirai_str bytes = test_exact_copy(buffer.data, buffer.size);
        struct mirai_mp mp = mirai_mp(bytes);
        assert_same(&mp, &unpacked.data);
        assert_ptr_equal(mp.at, mp.end);

        struct mirai_str raw;
        mp = mirai_mp(bytes);
        assert_int_equal(mirai_mp_raw(&mp, &raw), 0);
        assert_int_equal(raw.len, bytes.len);

        free((void *)bytes.data);
        msgpack_unpacked_destroy(&unpacked);
        msgpack_sbuffer_destroy(&buffer);
    }
}

static void test_every_truncation_is_refused(void **state)
{
    (void)state;
    uint64_t random = 5;
    for (int round = 0; round < 300; round++) {
        msgpack_sbuffer buffer;
        msgpack_packer pk;
        msgpack_sbuffer_init(&buffer);
        msgpack_packer_init(&pk, &buffer, msgpack_sbuffer_write);
        oracle_write(&pk, &random, 3);
        for (size_t len = 0; len < buffer.size; len += 1 + buffer.size / 200) {
            struct mirai_str bytes = test_exact_copy(buffer.data, len);
            struct mirai_mp mp = mirai_mp(bytes);
            assert_int_equal(mirai_mp_skip(&mp), MIRAI_E_INVALID);
            free((void *)bytes.data);
        }
        msgpack_sbuffer_destroy(&buffer);
    }
}

/* ------------------------------------------------------------------ hostile bytes */

static void test_random_bytes_agree_with_msgpack_c(void **state)
{
    (void)state;
    uint64_t random = 11;
    size_t accepted = 0;
    for (int round = 0; round < 100000; round++) {
        unsigned char noise[24];
        size_t len = 1 + test_random(&random) % sizeof(noise);
        for (size_t i = 0; i < len; i++) {
            noise[i] = (unsigned char)test_random(&random);
        }
        struct mirai_str bytes = test_exact_copy(noise, len);
        struct mirai_mp mp = mirai_mp(bytes);
        if (mirai_mp_skip(&mp) == 0) { /* what we take, msgpack-c takes, and ends at the same byte */
            msgpack_unpacked unpacked;
            size_t offset = 0;
            msgpack_unpacked_init(&unpacked);
            assert_int_equal(msgpack_unpack_next(&unpacked, bytes.data, len, &offset),
                             MSGPACK_UNPACK_SUCCESS);
            assert_int_equal(offset, (const char *)mp.at - bytes.data);
            msgpack_unpacked_destroy(&unpacked);
            accepted++;
        }
        free((void *)bytes.data);
    }
    assert_in_range(accepted, 1000, 99000);
}

static void test_lies_are_refused(void **state)
{
    (void)state;
    static const struct mirai_str cases[] = {
        MIRAI_STR(""),
        MIRAI_STR("\xc1"),                     /* reserved */
        MIRAI_STR("\xdd\xff\xff\xff\xff\xc0"), /* array of 4 G members in one byte */
        MIRAI_STR("\xdf\xff\xff\xff\xff\xc0"),
        MIRAI_STR("\xdf\x80\x00\x00\x00\xc0"), /* 2 × pairs overflows 32 bits */
        MIRAI_STR("\xdb\xff\xff\xff\xff"
                  "abc"),
        MIRAI_STR("\xc6\xff\xff\xff\xff"
                  "abc"),
        MIRAI_STR("\xc9\xff\xff\xff\xff"
                  "abc"),
        MIRAI_STR("\xd9\x04"
                  "abc"),
        MIRAI_STR("\xa4"
                  "abc"),
        MIRAI_STR("\x91"),
        MIRAI_STR("\x81\xc0"),
        MIRAI_STR("\x82\xc0\xc0\xc0"),
        MIRAI_STR("\xd8"
                  "0123456789abcdef"), /* fixext 16 without its last byte */
        MIRAI_STR("\xcf"
                  "1234567"),
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct mirai_str bytes = test_exact_copy(cases[i].data, cases[i].len);
        struct mirai_mp mp = mirai_mp(bytes);
        struct mirai_str raw;
        assert_int_equal(mirai_mp_raw(&mp, &raw), MIRAI_E_INVALID);
        assert_int_equal(raw.len, 0);
        free((void *)bytes.data);
    }
}

static void test_depth_is_limited(void **state)
{
    (void)state;
    char nested[MIRAI_MP_DEPTH_MAX + 2];
    memset(nested, '\x91', sizeof(nested));
    nested[MIRAI_MP_DEPTH_MAX] = '\xc0';
    struct mirai_mp mp = mirai_mp((struct mirai_str){nested, MIRAI_MP_DEPTH_MAX + 1});
    assert_int_equal(mirai_mp_skip(&mp), 0);
    nested[MIRAI_MP_DEPTH_MAX] = '\x91';
    nested[MIRAI_MP_DEPTH_MAX + 1] = '\xc0';
    mp = mirai_mp((struct mirai_str){nested, MIRAI_MP_DEPTH_MAX + 2});
    assert_int_equal(mirai_mp_skip(&mp), MIRAI_E_INVALID);

    size_t len = 1 << 20;
    char *bomb = malloc(len);
    memset(bomb, '\x91', len);
    mp = mirai_mp((struct mirai_str){bomb, len});
    assert_int_equal(mirai_mp_skip(&mp), MIRAI_E_INVALID);
    free(bomb);
}

/* ------------------------------------------------------------------ shortcuts */

static void test_typed_reads(void **state)
{
    (void)state;
    struct mirai_buf buf = {0};
    int64_t integer;
    struct mirai_str text;
    uint32_t count;
    mirai_mp_write_int(&buf, -5);
    mirai_mp_write_cstr(&buf, "名前");
    mirai_mp_write_bin(&buf, MIRAI_STR("\xff"));
    mirai_mp_write_array(&buf, 1);
    mirai_mp_write_map(&buf, 0);
    struct mirai_mp mp = mirai_mp(mirai_buf_str(&buf));
    assert_int_equal(mirai_mp_read_int(&mp, &integer), 0);
    assert_int_equal(integer, -5);
    assert_int_equal(mirai_mp_read_str(&mp, &text), 0);
    assert_str(text, "名前");
    assert_int_equal(mirai_mp_read_str(&mp, &text), 0);
    assert_str(text, "\xff");
    assert_int_equal(mirai_mp_read_array(&mp, &count), 0);
    assert_int_equal(count, 1);
    assert_int_equal(mirai_mp_read_map(&mp, &count), 0);
    assert_int_equal(count, 0);
    assert_int_equal(mirai_mp_read_int(&mp, &integer), MIRAI_E_INVALID);

    mp = mirai_mp(mirai_buf_str(&buf));
    assert_int_equal(mirai_mp_read_str(&mp, &text), MIRAI_E_INVALID);
    mp = mirai_mp(mirai_buf_str(&buf));
    assert_int_equal(mirai_mp_read_map(&mp, &count), MIRAI_E_INVALID);
    mirai_buf_free(&buf);

    mp = mirai_mp(MIRAI_STR("\xcf\xff\xff\xff\xff\xff\xff\xff\xff")); /* above INT64_MAX */
    assert_int_equal(mirai_mp_read_int(&mp, &integer), MIRAI_E_INVALID);
}

static void test_find(void **state)
{
    (void)state;
    struct mirai_buf buf = {0};
    struct mirai_str raw;
    mirai_mp_write_map(&buf, 3);
    mirai_mp_write_cstr(&buf, "a");
    mirai_mp_write_map(&buf, 1);
    mirai_mp_write_cstr(&buf, "b");
    mirai_mp_write_int(&buf, 1);
    mirai_mp_write_cstr(&buf, "b");
    mirai_mp_write_int(&buf, 2);
    mirai_mp_write_cstr(&buf, "");
    mirai_mp_write_nil(&buf);
    assert_int_equal(mirai_mp_find(mirai_buf_str(&buf), "b", &raw), 0);
    assert_str(raw, "\x02");
    assert_int_equal(mirai_mp_find(mirai_buf_str(&buf), "", &raw), 0);
    assert_str(raw, "\xc0");
    assert_int_equal(mirai_mp_find(mirai_buf_str(&buf), "c", &raw), MIRAI_E_NOT_FOUND);
    assert_int_equal(mirai_mp_find(MIRAI_STR("\xc0"), "a", &raw), MIRAI_E_INVALID);
    assert_int_equal(mirai_mp_find(MIRAI_STR("\x81\x01\x02"), "a", &raw), MIRAI_E_INVALID);
    assert_int_equal(mirai_mp_find((struct mirai_str){buf.data, buf.len - 1}, "c", &raw), MIRAI_E_INVALID);
    mirai_buf_free(&buf);
}

static void test_floats(void **state)
{
    (void)state;
    struct mirai_mp_value value;
    static const double reals[] = {0.0, -0.0, 1.5, 1e308, 5e-324, (double)INFINITY};
    for (size_t i = 0; i < ARRAY_LEN(reals); i++) {
        struct mirai_buf buf = {0};
        mirai_mp_write_double(&buf, reals[i]);
        struct mirai_mp mp = mirai_mp(mirai_buf_str(&buf));
        assert_int_equal(mirai_mp_read(&mp, &value), 0);
        assert_memory_equal(&value.real, &reals[i], sizeof(double));
        mirai_buf_free(&buf);
    }
    struct mirai_mp mp = mirai_mp(MIRAI_STR("\xcb\x7f\xf8\0\0\0\0\0\0"));
    assert_int_equal(mirai_mp_read(&mp, &value), 0);
    assert_true(isnan(value.real));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_written_integers),
        cmocka_unit_test(test_written_text_and_bytes),
        cmocka_unit_test(test_written_containers),
        cmocka_unit_test(test_reads_what_msgpack_c_writes),
        cmocka_unit_test(test_every_truncation_is_refused),
        cmocka_unit_test(test_random_bytes_agree_with_msgpack_c),
        cmocka_unit_test(test_lies_are_refused),
        cmocka_unit_test(test_depth_is_limited),
        cmocka_unit_test(test_typed_reads),
        cmocka_unit_test(test_find),
        cmocka_unit_test(test_floats),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
