#include "tests/unit/search-index/fixture.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>

static void reopen(struct fixture *f)
{
    char path[128];
    snprintf(path, sizeof(path), "%s", index_path(f->index));
    index_reader_close(f->reader);
    index_close(f->index);
    assert_int_equal(index_open(path, f->model, &f->index), 0);
    assert_int_equal(index_reader_open(f->index, &f->reader), 0);
}

static void test_update_and_delete(void **state)
{
    struct fixture *f = *state;
    struct mirai_article article = article_make(7, "電源の確認", "古い本文");
    put(f, &article);
    assert_int_equal(first_id(f, "電源"), 7);
    article = article_make(7, "回線の確認", "新しい本文");
    put(f, &article);
    assert_int_equal(search(f, "電源").total, 0);
    assert_int_equal(first_id(f, "回線"), 7);
    assert_int_equal(search(f, "").total, 1);
    drop(f, 7);
    assert_int_equal(search(f, "回線").total, 0);
    assert_int_equal(search(f, "").total, 0);
    drop(f, 7); /* gone already, and never known */
    drop(f, 8);
}

static void test_the_bin_is_not_searched(void **state)
{
    struct fixture *f = *state;
    struct mirai_article article = article_make(1, "電源", "");
    put(f, &article);
    mirai_set(article, &article, deleted_at, 5000);
    put(f, &article);
    assert_int_equal(search(f, "電源").total, 0);
    mirai_clear(article, &article, deleted_at);
    put(f, &article);
    assert_int_equal(search(f, "電源").total, 1);
}

static void test_batches_keep_the_last_state(void **state)
{
    struct fixture *f = *state;
    struct mirai_article old = article_make(1, "電源", "");
    struct mirai_article new = article_make(1, "回線", "");
    struct mirai_article other = article_make(2, "電源", "");
    const struct index_change changes[] = {{.id = 1, .article = &old},
                                           {.id = 2, .article = &other},
                                           {.id = 1, .article = &new},
                                           {.id = 3},
                                           {.id = 2}};
    const struct index_position position = {"epoch", 5};
    assert_int_equal(index_apply(f->index, changes, ARRAY_LEN(changes), &position), 0);
    assert_int_equal(search(f, "").total, 1);
    assert_int_equal(first_id(f, "回線"), 1);
    assert_int_equal(search(f, "電源").total, 0);
}

static void test_position_is_kept_with_the_documents(void **state)
{
    struct fixture *f = *state;
    assert_string_equal(index_position(f->index).epoch, "");
    struct mirai_article article = article_make(1, "電源", "本文");
    struct mirai_str tags[] = {MIRAI_STR("赤"), MIRAI_STR("青")};
    article_tag(&article, tags, 2);
    mirai_set(article, &article, visibility, MIRAI_VISIBILITY_GROUP);
    mirai_set(article, &article, group_id, 12);
    mirai_set(article, &article, owner_id, 13);
    mirai_set(article, &article, type, MIRAI_ITSM_TYPE_PROBLEM);
    put(f, &article);
    reopen(f);
    assert_string_equal(index_position(f->index).epoch, "epoch");
    assert_int_equal(index_position(f->index).seq, 1);
    const struct catalog_entry *entry =
        catalog_get(index_catalog(f->index), catalog_slot(index_catalog(f->index), 1));
    assert_non_null(entry);
    assert_int_equal(entry->group_id, 12);
    assert_int_equal(entry->owner_id, 13);
    assert_int_equal(entry->type, MIRAI_ITSM_TYPE_PROBLEM);
    assert_int_equal(entry->visibility, MIRAI_VISIBILITY_GROUP);
    assert_int_equal(entry->updated_at, 1001);
    assert_int_equal(search(f, "電源 tag:青 tag:赤").total, 1);
    assert_int_equal(search(f, "電源 tag:緑").total, 0);
}

/* Numbers of documents are used again, also after a restart with gaps. */
static void test_documents_come_and_go(void **state)
{
    struct fixture *f = *state;
    for (int round = 0; round < 3; round++) {
        for (int64_t id = 1; id <= 60; id++) {
            struct mirai_article article = article_make(id * 1000000007, "電源", "本文");
            put(f, &article);
        }
        for (int64_t id = 1; id <= 60; id += 2) {
            drop(f, id * 1000000007);
        }
        assert_int_equal(search(f, "電源").total, 30);
        reopen(f);
        assert_int_equal(search(f, "電源").total, 30);
        assert_true(catalog_limit(index_catalog(f->index)) <= 61);
    }
}

static void test_only_metadata_changes(void **state)
{
    struct fixture *f = *state;
    struct mirai_article article = article_make(1, "電源", "本文");
    put(f, &article);
    mirai_set(article, &article, status, MIRAI_ARTICLE_STATUS_ARCHIVED);
    put(f, &article);
    assert_int_equal(search(f, "電源 status:archived").total, 1);
    assert_int_equal(search(f, "電源 status:published").total, 0);
    drop(f, 1);
    assert_int_equal(search(f, "電源").total, 0);
}

static int open_path(struct fixture *f, const char *path)
{
    struct index *index = NULL;
    int err = index_open(path, f->model, &index);
    if (err == 0) {
        index_close(index);
    }
    return err;
}

static void test_damaged_files_are_refused(void **state)
{
    struct fixture *f = *state;
    char path[128];
    char bytes[8192];
    snprintf(path, sizeof(path), "%s/bad.db", f->dir);
    assert_int_equal(open_path(f, path), MIRAI_E_INVALID); /* missing */

    int fd = open(path, O_CREAT | O_RDWR, 0600);
    memset(bytes, 'x', sizeof(bytes));
    assert_int_equal(write(fd, bytes, sizeof(bytes)), sizeof(bytes));
    assert_int_equal(open_path(f, path), MIRAI_E_INVALID); /* not a database */

    struct index *index = index_make(f, "bad.db");
    struct mirai_article article = article_make(1, "電源", "本文");
    const struct index_change change = {.id = 1, .article = &article};
    const struct index_position position = {"epoch", 1};
    assert_int_equal(index_apply(index, &change, 1, &position), 0);
    index_close(index);
    assert_int_equal(open_path(f, path), 0);
    close(fd);

    fd = open(path, O_RDWR);
    struct stat info;
    assert_int_equal(fstat(fd, &info), 0);
    for (off_t at = 4096; at < info.st_size; at += 4096) { /* all but the first page */
        assert_int_equal(pwrite(fd, bytes, 4096, at), 4096);
    }
    close(fd);
    assert_int_equal(open_path(f, path), MIRAI_E_INVALID);

    index = index_make(f, "bad.db");
    index_close(index);
    sqlite3 *db;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "PRAGMA user_version=1", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    assert_int_equal(open_path(f, path), MIRAI_E_INVALID); /* of another version */
}

/* What was committed is there after the process is gone without closing the file. */
static void test_survives_an_abrupt_end(void **state)
{
    struct fixture *f = *state;
    char path[128];
    char copy[160];
    char command[700];
    for (int64_t id = 1; id <= 20; id++) {
        struct mirai_article article = article_make(id, "電源", "本文");
        put(f, &article);
    }
    snprintf(path, sizeof(path), "%s", index_path(f->index));
    snprintf(copy, sizeof(copy), "%s/copy.db", f->dir);
    snprintf(command, sizeof(command), "cp '%s' '%s' && cp '%s-wal' '%s-wal'", path, copy, path, copy);
    assert_int_equal(system(command), 0);
    struct index *index = NULL;
    assert_int_equal(index_open(copy, f->model, &index), 0);
    assert_int_equal(index_position(index).seq, 20);
    assert_int_equal(catalog_count(index_catalog(index)), 20);
    index_close(index);
}

static void test_odd_articles(void **state)
{
    struct fixture *f = *state;
    char *body = mirai_alloc((1u << 20) + 1);
    memset(body, 'a', 1u << 20);
    struct mirai_article article = article_make(1, "", body);
    put(f, &article);
    memset(body, '\n', 1u << 20);
    article = article_make(2, "\n", body);
    put(f, &article);
    article = article_make(3, "######", "# \n#\n####### x\n# 見出し");
    put(f, &article);
    article = (struct mirai_article){0};
    mirai_set(article, &article, id, 4);
    put(f, &article);
    assert_int_equal(search(f, "").total, 4);
    assert_int_equal(first_id(f, "見出し"), 3);
    for (int64_t id = 1; id <= 4; id++) {
        drop(f, id);
    }
    assert_int_equal(search(f, "見出し").total, 0);
    free(body);
}

/* Run until nothing is left to merge or check; fails after 20 s. */
static void tidy(struct fixture *f)
{
    uint64_t until = mirai_monotonic_ms() + 20000;
    while (index_tidy(f->index)) {
        assert_true(mirai_monotonic_ms() < until);
        usleep(1000);
    }
}

static void put_many(struct fixture *f, int64_t from, int64_t to, const char *title)
{
    struct mirai_article articles[100];
    struct index_change changes[100];
    while (from < to) {
        size_t count = 0;
        for (; from < to && count < 100; from++, count++) {
            articles[count] = article_make(from, title, "本文");
            changes[count] = (struct index_change){.id = from, .article = &articles[count]};
        }
        struct index_position position = {"epoch", ++f->seq};
        assert_int_equal(index_apply(f->index, changes, count, &position), 0);
    }
}

static size_t count_files(struct fixture *f)
{
    const struct index_view *view = index_view_enter(f->reader);
    size_t count = view->count;
    index_view_leave(f->reader);
    return count;
}

/* More than what stays in memory becomes a file; what was replaced is found no more, before and after a restart. */
static void test_memory_becomes_files(void **state)
{
    struct fixture *f = *state;
    put_many(f, 1, 2501, "電源");
    tidy(f);
    put_many(f, 1, 1001, "回線");
    for (int round = 0; round < 2; round++) {
        assert_int_equal(search(f, "電源").total, 1500);
        assert_int_equal(search(f, "回線").total, 1000);
        assert_in_range(count_files(f), 1, 12);
        assert_false(index_damaged(f->index));
        reopen(f);
    }
}

/* As the files are when the process dies at this moment. */
static void check_copy(struct fixture *f, int64_t documents)
{
    char command[700];
    char path[160];
    snprintf(command, sizeof(command), "rm -rf '%s/copy' && mkdir '%s/copy' && cp '%s'* '%s/copy/'", f->dir,
             f->dir, index_path(f->index), f->dir);
    assert_int_equal(system(command), 0);
    snprintf(path, sizeof(path), "%s/copy/index-1.db", f->dir);
    struct index *kept = f->index;
    struct index_reader *reader = f->reader;
    assert_int_equal(index_open(path, f->model, &f->index), 0);
    assert_int_equal(index_position(f->index).seq, f->seq);
    assert_int_equal(index_reader_open(f->index, &f->reader), 0);
    assert_int_equal(search(f, "電源").total, documents);
    index_reader_close(f->reader);
    index_close(f->index);
    f->index = kept;
    f->reader = reader;
}

static void test_survives_an_end_at_any_moment(void **state)
{
    struct fixture *f = *state;
    for (int64_t from = 1; from < 4000; from += 500) {
        put_many(f, from, from + 500, "電源");
        check_copy(f, from + 499); /* a merge may be running */
        index_tidy(f->index);
        check_copy(f, from + 499);
    }
    tidy(f);
    check_copy(f, 4000);
}

static void test_damaged_segments_are_noticed(void **state)
{
    struct fixture *f = *state;
    char path[160];
    char bytes[64];
    put_many(f, 1, 2501, "電源");
    tidy(f);
    snprintf(path, sizeof(path), "%s-seg-1", index_path(f->index));
    int fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, bytes, sizeof(bytes), 200), sizeof(bytes)); /* in the lists */
    bytes[7] = (char)~bytes[7];
    assert_int_equal(pwrite(fd, bytes, sizeof(bytes), 200), sizeof(bytes));
    reopen(f); /* large sections are not read at once */
    while (index_tidy(f->index)) {
    }
    assert_true(index_damaged(f->index));
    const struct index_change change = {.id = 1};
    const struct index_position position = {"epoch", 99};
    assert_int_equal(index_apply(f->index, &change, 1, &position), MIRAI_E_INVALID);
    assert_int_equal(ftruncate(fd, 3000), 0);
    close(fd);
    snprintf(path, sizeof(path), "%s", index_path(f->index));
    index_reader_close(f->reader);
    index_close(f->index);
    assert_int_equal(index_open(path, f->model, &f->index), MIRAI_E_INVALID);
    f->index = index_make(f, "index-9.db");
    assert_int_equal(index_reader_open(f->index, &f->reader), 0);
}

/* Parts of files are units of their own; they come, stay and go with their article. */
static void test_files_of_an_article(void **state)
{
    struct fixture *f = *state;
    struct mirai_article article = article_make(1, "電源", "本文");
    const struct index_page pages[] = {{1, MIRAI_STR("一枚目")}, {2, MIRAI_STR("二枚目の回線")}};
    const struct index_file file = {.id = 7, .name = MIRAI_STR("手順.pdf"), .pages = pages, .pages_len = 2};
    struct index_change change = {
        .id = 1, .article = &article, .has_files = true, .files = &file, .files_len = 1};
    struct index_position position = {"epoch", ++f->seq};
    struct catalog *catalog = index_catalog(f->index);
    assert_int_equal(index_apply(f->index, &change, 1, &position), 0);
    assert_int_equal(catalog_units(catalog), 3);
    assert_int_equal(catalog_count(catalog), 1);
    put(f, &article); /* nothing is known of the files: they stay */
    assert_int_equal(catalog_units(catalog), 3);
    reopen(f);
    catalog = index_catalog(f->index);
    assert_int_equal(catalog_units(catalog), 3);
    bool seen = false;
    for (uint32_t slot = 1; slot < catalog_limit(catalog); slot++) {
        const struct catalog_entry *entry = catalog_get(catalog, slot);
        struct index_text text;
        if (entry != NULL && entry->page == 2) {
            seen = true;
            assert_int_equal(entry->attachment_id, 7);
            assert_int_equal(catalog_article(catalog, entry)->id, 1);
            assert_int_equal(index_text(f->reader, slot, entry->version, &text), 0);
            assert_true(mirai_str_eq(text.body, pages[1].text));
            assert_true(mirai_str_eq(text.title, file.name));
            assert_int_equal(index_text(f->reader, slot, entry->version + 1, &text), MIRAI_E_NOT_FOUND);
        }
    }
    assert_true(seen);
    change = (struct index_change){.id = 1, .article = &article, .has_files = true};
    position.seq = ++f->seq;
    assert_int_equal(index_apply(f->index, &change, 1, &position), 0);
    assert_int_equal(catalog_units(catalog), 1);
    change.files = &file;
    change.files_len = 1;
    assert_int_equal(index_apply(f->index, &change, 1, &position), 0);
    assert_int_equal(catalog_units(catalog), 3);
    drop(f, 1);
    assert_int_equal(catalog_units(catalog), 0);
}

struct readers {
    struct fixture *f;
    atomic_bool stop;
    atomic_size_t rounds;
};

/* Articles 1 to 50 are there at all times, others come and go. */
static void *read_on(void *data)
{
    struct readers *readers = data;
    struct index_reader *reader = NULL;
    struct catalog *catalog = index_catalog(readers->f->index);
    assert_int_equal(index_reader_open(readers->f->index, &reader), 0);
    while (!atomic_load(&readers->stop)) {
        const struct index_view *view = index_view_enter(reader);
        size_t live = 0;
        for (size_t i = 0; i < view->count; i++) {
            struct segment_term term;
            if (segment_find(view->segments[i], MIRAI_STR("電源"), &term)) {
                struct segment_cursor cursor;
                segment_cursor_open(&cursor, view->segments[i], &term);
                segment_cursor_decode(&cursor);
                live += cursor.len;
            }
        }
        for (int64_t id = 1; id <= 50; id++) {
            const struct catalog_entry *entry = catalog_get(catalog, catalog_find(catalog, id));
            assert_non_null(entry);
            assert_int_equal(entry->id, id);
            assert_true(entry->tags_len == 1 && catalog_tag_name(catalog, entry->tags[0]).len > 0);
        }
        assert_true(live > 0);
        index_view_leave(reader);
        atomic_fetch_add(&readers->rounds, 1);
    }
    index_reader_close(reader);
    return NULL;
}

static void test_readers_beside_the_writer(void **state)
{
    struct fixture *f = *state;
    struct readers readers = {.f = f};
    pthread_t threads[2];
    char name[32];
    for (int round = 0; round < 6 || atomic_load(&readers.rounds) < 20; round++) {
        for (int64_t id = 1; id <= 80; id++) {
            snprintf(name, sizeof(name), "札%lld-%d", (long long)id, round);
            struct mirai_str tag = mirai_str(name);
            struct mirai_article article = article_make(id, "電源", name);
            article_tag(&article, &tag, 1);
            mirai_set(article, &article, owner_id, id);
            mirai_set(article, &article, owner, tag);
            if (id > 50 && round % 2 == 1) {
                drop(f, id);
            } else {
                put(f, &article);
            }
        }
        for (size_t i = 0; round == 0 && i < 2; i++) {
            assert_int_equal(pthread_create(&threads[i], NULL, read_on, &readers), 0);
        }
    }
    atomic_store(&readers.stop, true);
    for (size_t i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SEARCH_TEST(test_update_and_delete),
        SEARCH_TEST(test_the_bin_is_not_searched),
        SEARCH_TEST(test_batches_keep_the_last_state),
        SEARCH_TEST(test_position_is_kept_with_the_documents),
        SEARCH_TEST(test_documents_come_and_go),
        SEARCH_TEST(test_only_metadata_changes),
        SEARCH_TEST(test_damaged_files_are_refused),
        SEARCH_TEST(test_survives_an_abrupt_end),
        SEARCH_TEST(test_odd_articles),
        SEARCH_TEST(test_memory_becomes_files),
        SEARCH_TEST(test_survives_an_end_at_any_moment),
        SEARCH_TEST(test_damaged_segments_are_noticed),
        SEARCH_TEST(test_files_of_an_article),
        SEARCH_TEST(test_readers_beside_the_writer),
    };
    return cmocka_run_group_tests_name("search index", tests, NULL, NULL);
}
