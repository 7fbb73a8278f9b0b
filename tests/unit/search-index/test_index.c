#include "tests/unit/search-index/fixture.h"

#include <fcntl.h>
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
    };
    return cmocka_run_group_tests_name("search index", tests, NULL, NULL);
}
