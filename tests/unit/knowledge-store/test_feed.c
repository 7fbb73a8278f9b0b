#include "tests/unit/knowledge-store/fixture.h"

#include "libcommon/pubsub.h"
#include "services/knowledge-store/feed.h"

static struct mirai_changes since(struct fixture *f, const char *epoch, int64_t seq, int64_t limit)
{
    struct mirai_changes_since params = {0};
    struct mirai_changes page;
    mirai_set(changes_since, &params, epoch, mirai_str(epoch));
    mirai_set(changes_since, &params, seq, seq);
    if (limit > 0) {
        mirai_set(changes_since, &params, limit, limit);
    }
    assert_int_equal(CALL(f, &daemon_, changes_since, &params, &page), 0);
    return page;
}

static void carries_the_newest_state_once(void **state)
{
    struct fixture *f = *state;
    struct mirai_article a = create(f, &editor, "a"), b = create(f, &editor, "b");
    assert_int_equal(patch_title(f, &editor, a.id, MIRAI_STR("*"), "a2", NULL), 0);
    assert_int_equal(delete_article(f, &editor, b.id), 0);
    struct mirai_changes page = since(f, f->store.epoch, 0, 0);
    const struct mirai_change *items = MIRAI_ITEMS(change, &page.items);
    assert_false(page.reset);
    assert_int_equal(page.last_seq, 4);
    assert_int_equal(page.items.count, 4);
    assert_false(mirai_has(change, &items[0], article));
    assert_false(mirai_has(change, &items[1], article));
    assert_int_equal(items[2].id, a.id);
    assert_text(items[2].article.title, "a2");
    assert_text(items[2].article.body, "# Text\n\nbody\n");
    assert_int_equal(items[3].kind, MIRAI_CHANGE_ARTICLE_GONE);
    assert_int_equal(items[3].id, b.id);
    assert_int_equal(since(f, f->store.epoch, 4, 0).items.count, 0);
}

/* Page by page every article ends in its newest state, wherever the pages are cut. */
static void pages_lose_nothing(void **state)
{
    struct fixture *f = *state;
    int64_t ids[4];
    for (int i = 0; i < 4; i++) {
        ids[i] = create(f, &editor, "paged").id;
    }
    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < 4; i++) {
            char title[16];
            snprintf(title, sizeof(title), "round %d", round);
            assert_int_equal(patch_title(f, &editor, ids[i], MIRAI_STR("*"), title, NULL), 0);
        }
    }
    for (int64_t limit = 1; limit < 8; limit++) {
        int newest[4] = {0};
        int64_t seq = 0;
        for (;;) {
            struct mirai_changes page = since(f, f->store.epoch, seq, limit);
            const struct mirai_change *items = MIRAI_ITEMS(change, &page.items);
            if (page.items.count == 0) {
                break;
            }
            for (size_t i = 0; i < page.items.count; i++) {
                assert_int_equal(items[i].seq, seq + 1);
                seq = items[i].seq;
                for (int k = 0; k < 4; k++) {
                    if (items[i].id == ids[k] && mirai_has(change, &items[i], article)) {
                        newest[k] = (int)items[i].article.version;
                    }
                }
            }
        }
        for (int k = 0; k < 4; k++) {
            assert_int_equal(newest[k], 6);
        }
    }
}

static void positions_that_do_not_fit_are_reset(void **state)
{
    struct fixture *f = *state;
    create(f, &editor, "a");
    assert_true(since(f, "", 0, 0).reset);
    assert_true(since(f, "0123456789ab", 1, 0).reset);
    assert_true(since(f, f->store.epoch, 99, 0).reset);
    assert_false(since(f, f->store.epoch, 1, 0).reset);
}

static void expired_positions_are_reset(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 5; i++) {
        create(f, &editor, "old");
    }
    fixture_stop(f);
    assert_int_equal(store_open(&f->store, f->dir), 0);
    assert_int_equal(feed_expire(f->store.writer.db, mirai_now_ms() + INT64_C(40) * 86400000, 1000), 0);
    store_close(&f->store);
    memset(&f->store, 0, sizeof(f->store));
    fixture_start(f);
    assert_true(since(f, f->store.epoch, 0, 0).reset);
    assert_true(since(f, f->store.epoch, 3, 0).reset);
    assert_false(since(f, f->store.epoch, 4, 0).reset); /* the newest row stays */
    assert_int_equal(since(f, f->store.epoch, 5, 0).last_seq, 5);
}

static void export_walks_all_articles(void **state)
{
    struct fixture *f = *state;
    struct mirai_article_export params = {0};
    struct mirai_article_export_page page;
    for (int i = 0; i < 10; i++) {
        create(f, &editor, "exported");
    }
    assert_int_equal(delete_article(f, &editor, 5), 0);
    int64_t after = 0;
    size_t seen = 0;
    mirai_set(article_export, &params, limit, 4);
    do {
        mirai_set(article_export, &params, after_id, after);
        assert_int_equal(CALL(f, &daemon_, article_export, &params, &page), 0);
        assert_int_equal(page.seq, 11);
        assert_text(page.epoch, f->store.epoch);
        for (size_t i = 0; i < page.items.count; i++, seen++) {
            const struct mirai_article *article = &MIRAI_ITEMS(article, &page.items)[i];
            assert_true(article->id > after && article->id != 5);
            assert_true(article->body.len > 0);
            after = article->id;
        }
    } while (page.items.count > 0);
    assert_int_equal(seen, 9);
    assert_int_equal(CALL(f, &admin, article_export, &params, NULL), MIRAI_E_FORBIDDEN);
}

static const struct mirai_attachment *file_at(const struct mirai_article *article, size_t i)
{
    assert_true(mirai_has(article, article, attachments));
    assert_true(i < article->attachments.count);
    return &MIRAI_ITEMS(attachment, &article->attachments)[i];
}

static struct mirai_article exported(struct fixture *f, int64_t id)
{
    struct mirai_article_export params = {0};
    struct mirai_article_export_page page;
    mirai_set(article_export, &params, after_id, id - 1);
    assert_int_equal(CALL(f, &daemon_, article_export, &params, &page), 0);
    return MIRAI_ITEMS(article, &page.items)[0];
}

static void files_of_an_article_are_told_to_followers_only(void **state)
{
    struct fixture *f = *state;
    struct mirai_article article = create(f, &editor, "with files"), seen;
    struct mirai_attachment first = attach(f, article.id, "one"), second = attach(f, article.id, "two");
    struct mirai_changes page = since(f, f->store.epoch, 1, 0);
    const struct mirai_change *items = MIRAI_ITEMS(change, &page.items);
    assert_int_equal(page.items.count,
                     2); /* each file is a change of its article, and the last one carries both */
    assert_int_equal(items[1].id, article.id);
    assert_int_equal(items[1].article.version, article.version);
    assert_int_equal(items[1].article.attachments.count, 2);
    assert_int_equal(file_at(&items[1].article, 0)->id, first.id);
    assert_true(mirai_str_eq(file_at(&items[1].article, 1)->sha256, second.sha256));

    struct mirai_attachment_ref gone = {0};
    mirai_set(attachment_ref, &gone, id, article.id);
    mirai_set(attachment_ref, &gone, attachment_id, first.id);
    assert_int_equal(CALL(f, &editor, attachment_delete, &gone, NULL), 0);
    page = since(f, f->store.epoch, 3, 0);
    items = MIRAI_ITEMS(change, &page.items);
    assert_int_equal(page.items.count, 1);
    assert_int_equal(items[0].article.attachments.count, 1);
    seen = exported(f, article.id);
    assert_int_equal(seen.attachments.count, 1);
    assert_int_equal(file_at(&seen, 0)->id, second.id);
    struct mirai_article bare = create(f, &editor, "without");
    seen = exported(f, bare.id);
    assert_true(mirai_has(article, &seen, attachments));
    assert_int_equal(seen.attachments.count, 0);

    /* People are told by attachment.list: CALL would find the member unknown, also in what is kept in memory. */
    assert_int_equal(get(f, &viewer, article.id, &seen), 0);
    assert_false(mirai_has(article, &seen, attachments));
    assert_int_equal(get(f, &viewer, article.id, &seen), 0);
}

struct hints {
    size_t connected;
    int64_t seq;
};

static void on_hint(void *data, struct mirai_str message)
{
    struct hints *hints = data;
    struct mirai_feed_hint hint;
    struct mirai_arena arena = {0};
    if (message.len == 0) {
        hints->connected++;
        return;
    }
    assert_int_equal(mirai_message_decode(&mirai_message_feed_hint, message, MIRAI_EDGE, &arena, &hint, NULL),
                     0);
    hints->seq = hint.seq;
    mirai_arena_free(&arena);
}

static void on_tick(uv_timer_t *timer)
{
    (void)timer;
}

static void commits_are_published(void **state)
{
    struct fixture *f = *state;
    struct hints hints = {0};
    struct mirai_subscriber *subscriber =
        mirai_subscriber_new(&f->loop, "knowledge-store", f->dir, "", NULL, on_hint, &hints);
    uint64_t deadline = mirai_monotonic_ms() + 5000;
    static uv_timer_t tick; /* so that the loop comes back; closed with the fixture */
    uv_timer_init(&f->loop, &tick);
    uv_timer_start(&tick, on_tick, 20, 20);
    while (hints.connected == 0 && mirai_monotonic_ms() < deadline) {
        uv_run(&f->loop, UV_RUN_ONCE);
    }
    assert_true(hints.connected > 0);
    create(f, &editor, "hinted");
    while (hints.seq == 0 && mirai_monotonic_ms() < deadline) {
        uv_run(&f->loop, UV_RUN_ONCE);
    }
    assert_int_equal(hints.seq, 1);
    uv_close((uv_handle_t *)&tick, NULL);
    mirai_subscriber_free(subscriber);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_open, fixture_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(carries_the_newest_state_once),
        TEST(pages_lose_nothing),
        TEST(positions_that_do_not_fit_are_reset),
        TEST(expired_positions_are_reset),
        TEST(export_walks_all_articles),
        TEST(files_of_an_article_are_told_to_followers_only),
        TEST(commits_are_published),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
