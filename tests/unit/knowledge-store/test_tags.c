#include "tests/unit/knowledge-store/fixture.h"

static struct mirai_by_id by_id(int64_t id)
{
    struct mirai_by_id params = {0};
    mirai_set(by_id, &params, id, id);
    return params;
}

static struct mirai_article tagged(struct fixture *f, const char *title, int visibility, const char *first,
                                   const char *second, const char *third)
{
    struct mirai_str names[] = {mirai_str(first), mirai_str(second), mirai_str(third)};
    struct mirai_article_create params = new_article(title);
    struct mirai_article article;
    mirai_set(article_create, &params, tags,
              ((struct mirai_strs){names, second == NULL  ? 1
                                          : third == NULL ? 2
                                                          : 3}));
    mirai_set(article_create, &params, visibility, visibility);
    assert_int_equal(CALL(f, &editor, article_create, &params, &article), 0);
    return article;
}

static struct mirai_tag find_tag(struct fixture *f, const struct mirai_principal *who, const char *name)
{
    struct mirai_tag_page page;
    assert_int_equal(CALL(f, who, tag_list, NULL, &page), 0);
    for (size_t i = 0; i < page.items.count; i++) {
        if (mirai_str_eq(MIRAI_ITEMS(tag, &page.items)[i].name, mirai_str(name))) {
            return MIRAI_ITEMS(tag, &page.items)[i];
        }
    }
    return (struct mirai_tag){0};
}

static void tags_have_colours(void **state)
{
    struct fixture *f = *state;
    struct mirai_tag_create params = {0};
    struct mirai_tag_patch patch = {0};
    struct mirai_tag tag;
    mirai_set(tag_create, &params, name, MIRAI_STR("認証"));
    mirai_set(tag_create, &params, color, MIRAI_STR("#1a2B3c"));
    assert_int_equal(CALL(f, &viewer, tag_create, &params, NULL), MIRAI_E_FORBIDDEN);
    assert_int_equal(CALL(f, &editor, tag_create, &params, &tag), 0);
    assert_text(tag.color, "#1a2B3c");
    assert_int_equal(tag.article_count, 0);
    assert_int_equal(CALL(f, &editor, tag_create, &params, NULL), MIRAI_E_CONFLICT);
    mirai_set(tag_create, &params, name, MIRAI_STR("other"));
    mirai_set(tag_create, &params, color, MIRAI_STR("#12345g"));
    assert_int_equal(CALL(f, &editor, tag_create, &params, NULL), MIRAI_E_UNPROCESSABLE);
    mirai_set(tag_create, &params, color, MIRAI_STR("#123456"));
    mirai_set(tag_create, &params, name, MIRAI_STR("two\nlines"));
    assert_int_equal(CALL(f, &editor, tag_create, &params, NULL), MIRAI_E_UNPROCESSABLE);

    mirai_set(tag_patch, &patch, id, tag.id);
    mirai_set(tag_patch, &patch, category, MIRAI_STR("security"));
    mirai_mark(tag_patch, &patch, color); /* null: no colour */
    assert_int_equal(CALL(f, &editor, tag_patch, &patch, NULL), MIRAI_E_FORBIDDEN);
    assert_int_equal(CALL(f, &admin, tag_patch, &patch, &tag), 0);
    assert_false(mirai_has(tag, &tag, color));
    assert_text(tag.category, "security");
}

static void counts_tell_nothing_of_hidden_articles(void **state)
{
    struct fixture *f = *state;
    tagged(f, "open", MIRAI_VISIBILITY_SPACE, "vpn", NULL, NULL);
    struct mirai_article hidden = tagged(f, "private", MIRAI_VISIBILITY_PRIVATE, "vpn", NULL, NULL);
    assert_int_equal(find_tag(f, &editor, "vpn").article_count, 2);
    assert_int_equal(find_tag(f, &viewer, "vpn").article_count, 1);
    assert_int_equal(find_tag(f, &admin, "vpn").article_count, 2);
    assert_int_equal(delete_article(f, &editor, hidden.id), 0);
    assert_int_equal(find_tag(f, &editor, "vpn").article_count, 1);
}

static bool lists(struct fixture *f, const struct mirai_principal *who, const char *name)
{
    return find_tag(f, who, name).id != 0;
}

static void names_tell_nothing_of_hidden_articles(void **state)
{
    struct fixture *f = *state;
    struct mirai_tag_create params = {0};
    mirai_set(tag_create, &params, name, MIRAI_STR("unused"));
    assert_int_equal(CALL(f, &editor, tag_create, &params, NULL), 0);
    tagged(f, "private", MIRAI_VISIBILITY_PRIVATE, "project-x", NULL, NULL);
    struct mirai_article open = tagged(f, "open", MIRAI_VISIBILITY_SPACE, "open", NULL, NULL);
    assert_true(lists(f, &editor, "project-x"));
    assert_true(lists(f, &admin, "project-x"));
    assert_false(lists(f, &viewer, "project-x"));
    assert_false(lists(f, &member, "project-x"));
    assert_true(lists(f, &viewer, "open"));
    assert_true(lists(f, &viewer, "unused")); /* tells of no article */
    assert_int_equal(delete_article(f, &editor, open.id), 0);
    assert_false(lists(f, &viewer, "open"));
    assert_true(lists(f, &admin, "open"));
}

/* As many as a list can hold, however they are made. */
static void tags_are_bounded(void **state)
{
    struct fixture *f = *state;
    struct mirai_str names[] = {MIRAI_STR("one more")};
    struct mirai_article_create params = new_article("tagged");
    struct mirai_tag_create tag = {0};
    fixture_stop(f);
    assert_int_equal(store_open(&f->store, f->dir), 0);
    assert_int_equal(
        db_run_script(f->store.writer.db,
                      "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000) "
                      "INSERT INTO tags (name, created_at) SELECT 'tag' || i, 0 FROM n"),
        0);
    store_close(&f->store);
    memset(&f->store, 0, sizeof(f->store));
    fixture_start(f);
    mirai_set(article_create, &params, tags, ((struct mirai_strs){names, 1}));
    assert_int_equal(CALL(f, &editor, article_create, &params, NULL), MIRAI_E_CONFLICT);
    mirai_set(tag_create, &tag, name, MIRAI_STR("one more"));
    assert_int_equal(CALL(f, &editor, tag_create, &tag, NULL), MIRAI_E_CONFLICT);
    names[0] = MIRAI_STR("tag7");
    assert_int_equal(CALL(f, &editor, article_create, &params, NULL), 0);
}

static void renaming_reaches_all_articles(void **state)
{
    struct fixture *f = *state;
    struct mirai_article only = tagged(f, "only", MIRAI_VISIBILITY_SPACE, "vpn", NULL, NULL);
    struct mirai_article first = tagged(f, "first", MIRAI_VISIBILITY_SPACE, "vpn", "vpn-client", NULL);
    struct mirai_article middle = tagged(f, "middle", MIRAI_VISIBILITY_PRIVATE, "a", "vpn", "z");
    struct mirai_article last = tagged(f, "last", MIRAI_VISIBILITY_SPACE, "my vpn", "vpn", NULL);
    struct mirai_tag_patch patch = {0};
    struct mirai_tag vpn = find_tag(f, &editor, "vpn");
    int64_t seq = f->store.feed_seq;
    assert_int_equal(get(f, &viewer, only.id, &only), 0); /* into the cache */
    mirai_set(tag_patch, &patch, id, vpn.id);
    mirai_set(tag_patch, &patch, name, MIRAI_STR("遠隔接続"));
    assert_int_equal(CALL(f, &admin, tag_patch, &patch, &vpn), 0);
    assert_int_equal(vpn.article_count, 4);
    assert_int_equal(get(f, &viewer, only.id, &only), 0);
    assert_int_equal(only.tags.count, 1);
    assert_text(only.tags.items[0], "遠隔接続");
    assert_int_equal(get(f, &viewer, first.id, &first), 0);
    assert_text(first.tags.items[0], "遠隔接続");
    assert_text(first.tags.items[1], "vpn-client");
    assert_int_equal(get(f, &editor, middle.id, &middle), 0);
    assert_int_equal(middle.tags.count, 3);
    assert_text(middle.tags.items[1], "遠隔接続");
    assert_int_equal(get(f, &viewer, last.id, &last), 0);
    assert_text(last.tags.items[0], "my vpn");
    assert_text(last.tags.items[1], "遠隔接続");

    struct mirai_changes_since since = {0};
    struct mirai_changes changes;
    mirai_set(changes_since, &since, epoch, mirai_str(f->store.epoch));
    mirai_set(changes_since, &since, seq, seq);
    assert_int_equal(CALL(f, &daemon_, changes_since, &since, &changes), 0);
    assert_int_equal(changes.items.count, 5); /* four articles and the tag */
    assert_int_equal(MIRAI_ITEMS(change, &changes.items)[4].kind, MIRAI_CHANGE_TAG);
    mirai_set(tag_patch, &patch, name, MIRAI_STR("MY vpn"));
    assert_int_equal(CALL(f, &admin, tag_patch, &patch, NULL), MIRAI_E_CONFLICT);
}

static struct mirai_revision newest_revision(struct fixture *f, const struct mirai_article *article)
{
    struct mirai_revision_get params = {0};
    struct mirai_revision revision;
    mirai_set(revision_get, &params, id, article->id);
    mirai_set(revision_get, &params, version, article->version);
    assert_int_equal(CALL(f, &editor, revision_get, &params, &revision), 0);
    return revision;
}

/* A page that was opened before must not save the old list of tags over the new one. */
static void a_changed_tag_makes_a_new_version(void **state)
{
    struct fixture *f = *state;
    struct mirai_article before = tagged(f, "both", MIRAI_VISIBILITY_SPACE, "vpn", "z", NULL), after;
    struct mirai_article binned = tagged(f, "binned", MIRAI_VISIBILITY_SPACE, "vpn", NULL, NULL);
    struct mirai_tag_patch patch = {0};
    struct mirai_by_id id = by_id(binned.id), tag;
    assert_int_equal(delete_article(f, &editor, binned.id), 0);
    mirai_set(tag_patch, &patch, id, find_tag(f, &admin, "vpn").id);
    mirai_set(tag_patch, &patch, color, MIRAI_STR("#123456"));
    mirai_set(tag_patch, &patch, name, MIRAI_STR("vpn")); /* as it is */
    assert_int_equal(CALL(f, &admin, tag_patch, &patch, NULL), 0);
    assert_int_equal(get(f, &editor, before.id, &after), 0);
    assert_true(mirai_str_eq(before.etag, after.etag));

    mirai_set(tag_patch, &patch, name, MIRAI_STR("remote"));
    assert_int_equal(CALL(f, &admin, tag_patch, &patch, NULL), 0);
    assert_int_equal(patch_title(f, &editor, before.id, before.etag, "old page", NULL), MIRAI_E_PRECONDITION);
    assert_int_equal(get(f, &editor, before.id, &after), 0);
    assert_int_equal(after.version, before.version + 1);
    assert_true(after.updated_at >= before.updated_at);
    assert_text(after.updated_by, "admin");
    assert_text(after.body, "# Text\n\nbody\n");
    struct mirai_revision revision = newest_revision(f, &after);
    assert_text(revision.reason, "tag renamed");
    assert_text(revision.created_by, "admin");
    assert_text(revision.title, "both");
    assert_text(revision.tags.items[0], "remote");
    assert_text(revision.body, "# Text\n\nbody\n");

    tag = by_id(patch.id);
    assert_int_equal(CALL(f, &admin, tag_delete, &tag, NULL), 0);
    assert_int_equal(get(f, &editor, before.id, &after), 0);
    assert_int_equal(after.version, before.version + 2);
    revision = newest_revision(f, &after);
    assert_text(revision.reason, "tag removed");
    assert_int_equal(revision.tags.count, 1);
    assert_int_equal(CALL(f, &editor, article_restore, &id, &after), 0);
    assert_int_equal(after.version, binned.version + 2);
    assert_int_equal(after.tags.count, 0);
    assert_text(after.body, "# Text\n\nbody\n");
}

static void deleting_takes_it_from_all_articles(void **state)
{
    struct fixture *f = *state;
    struct mirai_article only = tagged(f, "only", MIRAI_VISIBILITY_SPACE, "vpn", NULL, NULL);
    struct mirai_article middle = tagged(f, "middle", MIRAI_VISIBILITY_SPACE, "a", "vpn", "z");
    struct mirai_by_id id = by_id(find_tag(f, &editor, "vpn").id);
    assert_int_equal(CALL(f, &editor, tag_delete, &id, NULL), MIRAI_E_FORBIDDEN);
    assert_int_equal(CALL(f, &admin, tag_delete, &id, NULL), 0);
    assert_int_equal(CALL(f, &admin, tag_delete, &id, NULL), MIRAI_E_NOT_FOUND);
    assert_int_equal(get(f, &viewer, only.id, &only), 0);
    assert_int_equal(only.tags.count, 0);
    assert_int_equal(get(f, &viewer, middle.id, &middle), 0);
    assert_int_equal(middle.tags.count, 2);
    assert_text(middle.tags.items[1], "z");
}

static void templates_are_there_and_can_be_set(void **state)
{
    struct fixture *f = *state;
    struct mirai_template_page page;
    struct mirai_article_template params = {0};
    assert_int_equal(CALL(f, &viewer, template_list, NULL, &page), 0);
    assert_int_equal(page.items.count, 12);
    mirai_set(article_template, &params, type, MIRAI_ITSM_TYPE_PROBLEM);
    mirai_set(article_template, &params, language, MIRAI_LOCALE_JA);
    mirai_set(article_template, &params, title, MIRAI_STR("【問題】"));
    mirai_set(article_template, &params, body, MIRAI_STR("## 原因\n"));
    assert_int_equal(CALL(f, &editor, template_put, &params, NULL), MIRAI_E_FORBIDDEN);
    assert_int_equal(CALL(f, &admin, template_put, &params, NULL), 0);
    assert_int_equal(CALL(f, &viewer, template_list, NULL, &page), 0);
    assert_int_equal(page.items.count, 12);
    assert_text(MIRAI_ITEMS(article_template, &page.items)[2].body, "## 原因\n");
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, fixture_open, fixture_close)
    const struct CMUnitTest tests[] = {
        TEST(tags_have_colours),
        TEST(counts_tell_nothing_of_hidden_articles),
        TEST(names_tell_nothing_of_hidden_articles),
        TEST(tags_are_bounded),
        TEST(renaming_reaches_all_articles),
        TEST(a_changed_tag_makes_a_new_version),
        TEST(deleting_takes_it_from_all_articles),
        TEST(templates_are_there_and_can_be_set),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
