#include "tests/unit/knowledge-store/fixture.h"

static void creates_and_reads_back(void **state)
{
    struct fixture *f = *state;
    static struct mirai_str tag_names[] = {MIRAI_STR("vpn"), MIRAI_STR(" ネットワーク "), MIRAI_STR("vpn")};
    struct mirai_article_create params = new_article("VPN 接続障害 (Tokyo)");
    struct mirai_article made, read;
    mirai_set(article_create, &params, tags, ((struct mirai_strs){tag_names, 3}));
    mirai_set(article_create, &params, summary_technical, MIRAI_STR("IKE の失敗"));
    mirai_set(article_create, &params, language, MIRAI_LOCALE_JA);
    mirai_set(article_create, &params, review_by, MIRAI_STR("2027-01-31"));
    mirai_set(article_create, &params, status, MIRAI_ARTICLE_STATUS_PUBLISHED);
    assert_int_equal(CALL(f, &editor, article_create, &params, &made), 0);
    assert_text(made.slug, "vpn-接続障害-tokyo");
    assert_int_equal(made.version, 1);
    assert_int_equal(made.owner_id, 2);
    assert_text(made.owner, "editor");
    assert_text(made.created_by, "editor");
    assert_int_equal(made.space_id, 1);
    assert_int_equal(made.tags.count, 2);
    assert_text(made.tags.items[1], "ネットワーク");

    assert_int_equal(get(f, &viewer, made.id, &read), 0);
    assert_text(read.title, "VPN 接続障害 (Tokyo)");
    assert_text(read.body, "# Text\n\nbody\n");
    assert_text(read.review_by, "2027-01-31");
    assert_int_equal(read.language, MIRAI_LOCALE_JA);
    assert_int_equal(read.status, MIRAI_ARTICLE_STATUS_PUBLISHED);
    assert_true(mirai_str_eq(read.etag, made.etag));

    struct mirai_article_get by_slug = {0};
    mirai_set(article_get, &by_slug, slug, made.slug);
    assert_int_equal(CALL(f, &viewer, article_get, &by_slug, &read), 0);
    assert_int_equal(read.id, made.id);
}

static void viewers_do_not_write(void **state)
{
    struct mirai_article_create params = new_article("mine");
    assert_int_equal(CALL(*state, &viewer, article_create, &params, NULL), MIRAI_E_FORBIDDEN);
}

static void slugs_are_unique(void **state)
{
    struct fixture *f = *state;
    struct mirai_article_create params = new_article("Again");
    for (int i = 0; i < 9; i++) {
        create(f, &editor, "Meeting");
    }
    struct mirai_article second = create(f, &editor, "Again");
    assert_text(second.slug, "again");
    assert_text(create(f, &editor, "Again").slug, "again-2");
    mirai_set(article_create, &params, slug, MIRAI_STR("again"));
    assert_int_equal(CALL(f, &editor, article_create, &params, NULL), MIRAI_E_CONFLICT);
    mirai_set(article_create, &params, slug, MIRAI_STR("no/slash"));
    assert_int_equal(CALL(f, &editor, article_create, &params, NULL), MIRAI_E_UNPROCESSABLE);
    mirai_set(article_create, &params, slug, MIRAI_STR("42"));
    assert_int_equal(CALL(f, &editor, article_create, &params, NULL), MIRAI_E_UNPROCESSABLE);
}

static void patch_needs_the_newest_etag(void **state)
{
    struct fixture *f = *state;
    struct mirai_article made = create(f, &editor, "First"), patched;
    assert_int_equal(patch_title(f, &editor, made.id, MIRAI_STR(""), "x", NULL),
                     MIRAI_E_PRECONDITION_REQUIRED);
    assert_int_equal(patch_title(f, &editor, made.id, MIRAI_STR("0-1"), "x", NULL), MIRAI_E_PRECONDITION);
    assert_int_equal(patch_title(f, &editor, made.id, made.etag, "Second", &patched), 0);
    assert_int_equal(patched.version, 2);
    assert_text(patched.title, "Second");
    assert_text(patched.body, "# Text\n\nbody\n");
    assert_text(patched.slug, "first");
    assert_int_equal(patch_title(f, &editor, made.id, made.etag, "Third", NULL), MIRAI_E_PRECONDITION);
    assert_int_equal(patch_title(f, &editor, made.id, MIRAI_STR("*"), "Third", &patched), 0);
    assert_int_equal(patched.version, 3);
    /* Nothing differs: nothing is saved. */
    assert_int_equal(patch_title(f, &editor, made.id, MIRAI_STR("*"), "Third", &patched), 0);
    assert_int_equal(patched.version, 3);
}

static void a_failed_precondition_tells_the_etag(void **state)
{
    struct fixture *f = *state;
    struct mirai_article made = create(f, &editor, "First");
    struct mirai_article_delete params = {0};
    struct mirai_str raw, etag;
    mirai_set(article_delete, &params, id, made.id);
    mirai_set(article_delete, &params, if_match, MIRAI_STR("\"x-1\", \"y-2\""));
    struct answer answer = call_keyed(f, &editor, "", MIRAI_METHOD_ID_article_delete, &params);
    assert_int_equal(answer.status, MIRAI_E_PRECONDITION);
    assert_int_equal(mirai_mp_find(answer.error, "etag", &raw), 0);
    struct mirai_mp mp = mirai_mp(raw);
    assert_int_equal(mirai_mp_read_str(&mp, &etag), 0);
    assert_true(mirai_str_eq(etag, made.etag));
}

static void null_clears_in_a_patch(void **state)
{
    struct fixture *f = *state;
    struct mirai_article_create params = new_article("Reviewed");
    struct mirai_article made, patched;
    mirai_set(article_create, &params, review_by, MIRAI_STR("2026-01-01"));
    mirai_set(article_create, &params, summary_non_technical, MIRAI_STR("for all"));
    assert_int_equal(CALL(f, &editor, article_create, &params, &made), 0);
    struct mirai_article_patch patch = {0};
    mirai_set(article_patch, &patch, id, made.id);
    mirai_set(article_patch, &patch, if_match, made.etag);
    mirai_mark(article_patch, &patch, review_by);
    mirai_mark(article_patch, &patch, summary_non_technical);
    assert_int_equal(CALL(f, &editor, article_patch, &patch, &patched), 0);
    assert_false(mirai_has(article, &patched, review_by));
    assert_false(mirai_has(article, &patched, summary_non_technical));
}

static void replace_does_not_publish_what_is_private(void **state)
{
    struct fixture *f = *state;
    struct mirai_article_create params = new_article("Secret");
    struct mirai_article made, replaced;
    mirai_set(article_create, &params, visibility, MIRAI_VISIBILITY_PRIVATE);
    mirai_set(article_create, &params, summary_technical, MIRAI_STR("gone after PUT"));
    assert_int_equal(CALL(f, &editor, article_create, &params, &made), 0);
    struct mirai_article_replace put = {0};
    mirai_set(article_replace, &put, id, made.id);
    mirai_set(article_replace, &put, if_match, made.etag);
    mirai_set(article_replace, &put, title, MIRAI_STR("Secret 2"));
    mirai_set(article_replace, &put, type, MIRAI_ITSM_TYPE_OTHER);
    mirai_set(article_replace, &put, body, MIRAI_STR("new"));
    assert_int_equal(CALL(f, &editor, article_replace, &put, &replaced), 0);
    assert_int_equal(replaced.visibility, MIRAI_VISIBILITY_PRIVATE);
    assert_text(replaced.body, "new");
    assert_false(mirai_has(article, &replaced, summary_technical));
    assert_int_equal(get(f, &viewer, made.id, NULL), MIRAI_E_NOT_FOUND);
}

/* ------------------------------------------------------------------ visibility */

static int64_t create_for(struct fixture *f, const struct mirai_principal *who, int visibility, int64_t group,
                          int64_t space)
{
    struct mirai_article_create params = new_article("hidden");
    struct mirai_article made;
    mirai_set(article_create, &params, visibility, visibility);
    mirai_set(article_create, &params, space_id, space);
    if (group != 0) {
        mirai_set(article_create, &params, group_id, group);
    }
    assert_int_equal(CALL(f, who, article_create, &params, &made), 0);
    return made.id;
}

static size_t count_list(struct fixture *f, const struct mirai_principal *who)
{
    struct mirai_article_list params = {0};
    struct mirai_article_page page;
    mirai_set(article_list, &params, limit, 200);
    assert_int_equal(CALL(f, who, article_list, &params, &page), 0);
    return page.items.count;
}

static void visibility_holds_for_reading_listing_and_writing(void **state)
{
    struct fixture *f = *state;
    int64_t of_space = create_for(f, &editor, MIRAI_VISIBILITY_SPACE, 0, 1);
    int64_t of_other_space = create_for(f, &admin, MIRAI_VISIBILITY_SPACE, 0, 2);
    int64_t of_group = create_for(f, &member, MIRAI_VISIBILITY_GROUP, 2, 1);
    int64_t private = create_for(f, &editor, MIRAI_VISIBILITY_PRIVATE, 0, 1);
    const struct {
        const struct mirai_principal *who;
        int64_t id;
        bool sees;
    } rows[] = {
        {&viewer, of_space, true},  {&viewer, of_other_space, false}, {&viewer, of_group, false},
        {&viewer, private, false},  {&member, of_group, true},        {&member, private, false},
        {&editor, of_group, false}, {&editor, private, true},         {&admin, of_other_space, true},
        {&admin, private, true},    {&admin, of_group, true},         {&daemon_, private, true},
    };
    for (int round = 0; round < 2; round++) { /* the second from memory */
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
            assert_int_equal(get(f, rows[i].who, rows[i].id, NULL), rows[i].sees ? 0 : MIRAI_E_NOT_FOUND);
        }
    }
    assert_int_equal(count_list(f, &admin), 4);
    assert_int_equal(count_list(f, &editor), 2);
    assert_int_equal(count_list(f, &member), 2);
    assert_int_equal(count_list(f, &viewer), 1);
    assert_int_equal(patch_title(f, &editor, of_group, MIRAI_STR("*"), "taken", NULL), MIRAI_E_NOT_FOUND);
    assert_int_equal(patch_title(f, &member, of_space, MIRAI_STR("*"), "by a colleague", NULL), 0);
}

static void places_are_checked(void **state)
{
    struct fixture *f = *state;
    struct mirai_article_create params = new_article("placed");
    mirai_set(article_create, &params, space_id, 2);
    assert_int_equal(CALL(f, &editor, article_create, &params, NULL), MIRAI_E_UNPROCESSABLE);
    params = new_article("placed");
    mirai_set(article_create, &params, visibility, MIRAI_VISIBILITY_GROUP);
    assert_int_equal(CALL(f, &editor, article_create, &params, NULL), MIRAI_E_UNPROCESSABLE);
    mirai_set(article_create, &params, group_id, 2);
    assert_int_equal(CALL(f, &editor, article_create, &params, NULL), MIRAI_E_FORBIDDEN);
    params = new_article("placed");
    mirai_set(article_create, &params, owner_id, 99);
    assert_int_equal(CALL(f, &editor, article_create, &params, NULL), MIRAI_E_UNPROCESSABLE);
    /* Hiding a colleague's article from oneself. */
    struct mirai_article made = create(f, &member, "open");
    struct mirai_article_patch patch = {0};
    mirai_set(article_patch, &patch, id, made.id);
    mirai_set(article_patch, &patch, if_match, made.etag);
    mirai_set(article_patch, &patch, visibility, MIRAI_VISIBILITY_PRIVATE);
    assert_int_equal(CALL(f, &editor, article_patch, &patch, NULL), MIRAI_E_FORBIDDEN);
    assert_int_equal(CALL(f, &member, article_patch, &patch, NULL), 0);
}

static int give(struct fixture *f, const struct mirai_principal *who, int64_t article, int64_t owner,
                int visibility)
{
    struct mirai_article_patch patch = {0};
    mirai_set(article_patch, &patch, id, article);
    mirai_set(article_patch, &patch, if_match, MIRAI_STR("*"));
    mirai_set(article_patch, &patch, owner_id, owner);
    mirai_set(article_patch, &patch, visibility, visibility);
    return CALL(f, who, article_patch, &patch, NULL);
}

/* Editors write each other's articles, but do not take them over: else one could own and hide them all. */
static void an_owner_is_changed_by_the_owner(void **state)
{
    struct fixture *f = *state;
    int64_t id = create(f, &editor, "open").id;
    struct mirai_article_patch clear = {0};
    assert_int_equal(give(f, &member, id, 4, MIRAI_VISIBILITY_PRIVATE), MIRAI_E_FORBIDDEN);
    assert_int_equal(give(f, &member, id, 4, MIRAI_VISIBILITY_SPACE), MIRAI_E_FORBIDDEN);
    assert_int_equal(give(f, &member, id, 1, MIRAI_VISIBILITY_SPACE), MIRAI_E_FORBIDDEN);
    assert_int_equal(give(f, &member, id, 2, MIRAI_VISIBILITY_PRIVATE), MIRAI_E_FORBIDDEN);
    assert_int_equal(give(f, &member, id, 2, MIRAI_VISIBILITY_SPACE), 0); /* as it is */
    assert_int_equal(patch_title(f, &member, id, MIRAI_STR("*"), "better", NULL), 0);

    struct mirai_article_import import = {0};
    mirai_set(article_import, &import, slug, MIRAI_STR("open"));
    mirai_set(article_import, &import, title, MIRAI_STR("taken"));
    mirai_set(article_import, &import, type, MIRAI_ITSM_TYPE_INCIDENT);
    mirai_set(article_import, &import, body, MIRAI_STR("x"));
    mirai_set(article_import, &import, owner_id, 4);
    assert_int_equal(CALL(f, &member, article_import, &import, NULL), MIRAI_E_FORBIDDEN);

    assert_int_equal(give(f, &editor, id, 4, MIRAI_VISIBILITY_SPACE), 0); /* given away */
    assert_int_equal(give(f, &editor, id, 2, MIRAI_VISIBILITY_SPACE), MIRAI_E_FORBIDDEN);
    assert_int_equal(give(f, &admin, id, 2, MIRAI_VISIBILITY_SPACE), 0);
    mirai_set(article_patch, &clear, id, id);
    mirai_set(article_patch, &clear, if_match, MIRAI_STR("*"));
    mirai_mark(article_patch, &clear, owner_id);
    assert_int_equal(CALL(f, &editor, article_patch, &clear, NULL), 0);
    assert_int_equal(give(f, &member, id, 4, MIRAI_VISIBILITY_PRIVATE), MIRAI_E_FORBIDDEN); /* nobody's */
    assert_int_equal(give(f, &admin, id, 4, MIRAI_VISIBILITY_SPACE), 0);
    assert_int_equal(give(f, &member, id, 4, MIRAI_VISIBILITY_PRIVATE), 0); /* one's own */
}

/* ------------------------------------------------------------------ lists */

static void lists_page_by_page_in_every_order(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 25; i++) {
        create(f, &editor, "listed");
    }
    for (int sort = MIRAI_SORT_UPDATED_DESC; sort <= MIRAI_SORT_ID_ASC; sort++) {
        struct mirai_article_list params = {0};
        struct mirai_article_page page;
        int64_t last = sort % 2 == 0 ? INT64_MAX : 0; /* descending orders are the even ones */
        size_t seen = 0;
        mirai_set(article_list, &params, limit, 7);
        mirai_set(article_list, &params, sort, sort);
        do {
            assert_int_equal(CALL(f, &viewer, article_list, &params, &page), 0);
            for (size_t i = 0; i < page.items.count; i++, seen++) {
                int64_t id = MIRAI_ITEMS(article, &page.items)[i].id;
                assert_true(sort % 2 == 0 ? id < last : id > last);
                assert_false(mirai_has(article, &MIRAI_ITEMS(article, &page.items)[i], body));
                last = id;
            }
            mirai_set(article_list, &params, cursor, page.next_cursor);
        } while (mirai_has(article_page, &page, next_cursor));
        assert_int_equal(seen, 25);
    }
}

static void lists_filter(void **state)
{
    struct fixture *f = *state;
    static struct mirai_str tag_names[] = {MIRAI_STR("backup")};
    struct mirai_article_create params = new_article("tagged");
    struct mirai_article_page page;
    mirai_set(article_create, &params, tags, ((struct mirai_strs){tag_names, 1}));
    mirai_set(article_create, &params, type, MIRAI_ITSM_TYPE_CHANGE);
    mirai_set(article_create, &params, review_by, MIRAI_STR("2020-01-01"));
    assert_int_equal(CALL(f, &editor, article_create, &params, NULL), 0);
    create(f, &member, "other");
    struct mirai_article_list filters[6] = {0};
    mirai_set(article_list, &filters[0], tag, MIRAI_STR("backup"));
    mirai_set(article_list, &filters[1], type, MIRAI_ITSM_TYPE_CHANGE);
    mirai_set(article_list, &filters[2], review_due, true);
    mirai_set(article_list, &filters[3], owner_id, 2);
    mirai_set(article_list, &filters[4], tag, MIRAI_STR("backup"));
    mirai_set(article_list, &filters[4], status, MIRAI_ARTICLE_STATUS_DRAFT);
    mirai_set(article_list, &filters[4], space_id, 1);
    mirai_set(article_list, &filters[5], status, MIRAI_ARTICLE_STATUS_ARCHIVED);
    for (size_t i = 0; i < 6; i++) {
        assert_int_equal(CALL(f, &viewer, article_list, &filters[i], &page), 0);
        assert_int_equal(page.items.count, i < 5 ? 1 : 0);
    }
}

static void bad_cursors_are_refused(void **state)
{
    static const char *const cursors[] = {
        "x", "0.1", "0.1.2.3", "1.0.0", "0.zz.1", "99999999999.1.1", "0.11111111111111111.1"};
    for (size_t i = 0; i < sizeof(cursors) / sizeof(cursors[0]); i++) {
        struct mirai_article_list params = {0};
        mirai_set(article_list, &params, cursor, mirai_str(cursors[i]));
        assert_int_equal(CALL(*state, &viewer, article_list, &params, NULL), MIRAI_E_UNPROCESSABLE);
    }
}

/* ------------------------------------------------------------------ bin, import, views */

static void bin_restore_purge(void **state)
{
    struct fixture *f = *state;
    struct mirai_article made = create(f, &editor, "binned");
    struct mirai_by_id by_id = {0};
    struct mirai_article_list bin = {0};
    struct mirai_article_get binned = {0};
    struct mirai_article_page page;
    mirai_set(by_id, &by_id, id, made.id);
    mirai_set(article_list, &bin, deleted, true);
    mirai_set(article_get, &binned, id, made.id);
    mirai_set(article_get, &binned, deleted, true);
    assert_int_equal(get(f, &viewer, made.id, NULL), 0);
    assert_int_equal(delete_article(f, &editor, made.id), 0);
    assert_int_equal(delete_article(f, &editor, made.id), MIRAI_E_NOT_FOUND);
    assert_int_equal(get(f, &viewer, made.id, NULL), MIRAI_E_NOT_FOUND);
    assert_int_equal(get(f, &editor, made.id, NULL), MIRAI_E_NOT_FOUND);
    assert_int_equal(CALL(f, &editor, article_get, &binned, NULL), 0);
    assert_int_equal(CALL(f, &viewer, article_get, &binned, NULL), MIRAI_E_FORBIDDEN);
    assert_int_equal(CALL(f, &viewer, article_list, &bin, NULL), MIRAI_E_FORBIDDEN);
    assert_int_equal(CALL(f, &editor, article_list, &bin, &page), 0);
    assert_int_equal(page.items.count, 1);
    assert_int_equal(f->store.articles, 0);
    assert_int_equal(CALL(f, &editor, article_restore, &by_id, NULL), 0);
    assert_int_equal(CALL(f, &editor, article_restore, &by_id, NULL), MIRAI_E_CONFLICT);
    assert_int_equal(get(f, &viewer, made.id, NULL), 0);
    assert_int_equal(CALL(f, &editor, article_get, &binned, NULL), MIRAI_E_NOT_FOUND);
    assert_int_equal(CALL(f, &admin, article_purge, &by_id, NULL), MIRAI_E_CONFLICT);
    assert_int_equal(delete_article(f, &editor, made.id), 0);
    assert_int_equal(CALL(f, &editor, article_purge, &by_id, NULL), MIRAI_E_FORBIDDEN);
    assert_int_equal(CALL(f, &admin, article_purge, &by_id, NULL), 0);
    assert_int_equal(get(f, &admin, made.id, NULL), MIRAI_E_NOT_FOUND);
    assert_true(create(f, &editor, "next").id > made.id);
}

static void import_is_idempotent(void **state)
{
    struct fixture *f = *state;
    struct mirai_article_import params = {0};
    struct mirai_article_import_result result;
    struct mirai_article article;
    mirai_set(article_import, &params, title, MIRAI_STR("Imported  "));
    mirai_set(article_import, &params, body, MIRAI_STR("text"));
    mirai_set(article_import, &params, slug, MIRAI_STR("imported"));
    mirai_set(article_import, &params, reason, MIRAI_STR("first import"));
    mirai_set(article_import, &params, created_at, INT64_C(1600000000000));
    mirai_set(article_import, &params, updated_at, INT64_C(1600000001000));
    assert_int_equal(CALL(f, &admin, article_import, &params, &result), 0);
    assert_int_equal(result.outcome, MIRAI_IMPORT_CREATED);
    assert_int_equal(CALL(f, &admin, article_import, &params, &result), 0);
    assert_int_equal(result.outcome, MIRAI_IMPORT_UNCHANGED);
    assert_int_equal(result.version, 1);
    mirai_set(article_import, &params, body, MIRAI_STR("text 2"));
    assert_int_equal(CALL(f, &admin, article_import, &params, &result), 0);
    assert_int_equal(result.outcome, MIRAI_IMPORT_UPDATED);
    assert_int_equal(result.version, 2);
    assert_int_equal(get(f, &viewer, result.id, &article), 0);
    assert_int_equal(article.created_at, INT64_C(1600000000000));
    assert_int_equal(article.updated_at, INT64_C(1600000001000));
    assert_text(article.title, "Imported");
    assert_int_equal(delete_article(f, &admin, result.id), 0);
    assert_int_equal(CALL(f, &admin, article_import, &params, NULL), MIRAI_E_CONFLICT);
}

static void views_reach_the_database_at_stop(void **state)
{
    struct fixture *f = *state;
    struct mirai_article made = create(f, &editor, "viewed");
    struct mirai_article_get params = {0};
    struct mirai_by_id by_id = {0};
    struct mirai_article_stats stats;
    mirai_set(article_get, &params, id, made.id);
    mirai_set(article_get, &params, count_view, true);
    mirai_set(by_id, &by_id, id, made.id);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(CALL(f, &viewer, article_get, &params, NULL), 0);
    }
    restart(f);
    assert_int_equal(CALL(f, &viewer, article_stats, &by_id, &stats), 0);
    assert_int_equal(stats.views, 100);
    assert_int_equal(stats.views_30_days, 100);
}

/* ------------------------------------------------------------------ cache */

static void memory_never_answers_with_an_old_state(void **state)
{
    struct fixture *f = *state;
    struct mirai_article made = create(f, &editor, "v1"), read;
    struct mirai_article_get params = {0};
    mirai_set(article_get, &params, id, made.id);
    for (int version = 2; version < 40; version++) {
        char title[16];
        struct answer reads[8], write;
        struct mirai_article_patch patch = {0};
        snprintf(title, sizeof(title), "v%d", version);
        mirai_set(article_patch, &patch, id, made.id);
        mirai_set(article_patch, &patch, if_match, MIRAI_STR("*"));
        mirai_set(article_patch, &patch, title, mirai_str(title));
        /* Reads before and beside the write bring old states to memory, or try to. */
        for (size_t i = 0; i < 8; i++) {
            send_call(f, &viewer, "", MIRAI_METHOD_ID_article_get, &params, &reads[i]);
            if (i == 3) {
                send_call(f, &editor, "", MIRAI_METHOD_ID_article_patch, &patch, &write);
            }
        }
        wait_for(f, &write);
        assert_int_equal(write.status, 0);
        assert_int_equal(get(f, &viewer, made.id, &read), 0);
        assert_int_equal(read.version, version);
        for (size_t i = 0; i < 8; i++) {
            wait_for(f, &reads[i]);
        }
        assert_int_equal(get(f, &viewer, made.id, &read), 0);
        assert_text(read.title, title);
    }
}

static void articles_survive_a_restart(void **state)
{
    struct fixture *f = *state;
    struct mirai_article made = create(f, &editor, "kept"), read;
    restart(f);
    assert_int_equal(get(f, &viewer, made.id, &read), 0);
    assert_true(mirai_str_eq(read.etag, made.etag));
    assert_int_equal(f->store.articles, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_open, fixture_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(creates_and_reads_back),
        TEST(viewers_do_not_write),
        TEST(slugs_are_unique),
        TEST(patch_needs_the_newest_etag),
        TEST(a_failed_precondition_tells_the_etag),
        TEST(null_clears_in_a_patch),
        TEST(replace_does_not_publish_what_is_private),
        TEST(visibility_holds_for_reading_listing_and_writing),
        TEST(places_are_checked),
        TEST(an_owner_is_changed_by_the_owner),
        TEST(lists_page_by_page_in_every_order),
        TEST(lists_filter),
        TEST(bad_cursors_are_refused),
        TEST(bin_restore_purge),
        TEST(import_is_idempotent),
        TEST(views_reach_the_database_at_stop),
        TEST(memory_never_answers_with_an_old_state),
        TEST(articles_survive_a_restart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
