/* Similar articles, duplicates and tags out of an index; nobody learns of articles that they may not see. */
#include "fixture.h"
#include "services/search-index/insight/insight.h"

#define VPN_BODY                                                                                                                              \
    "## 影響\n\n在宅勤務の利用者 180 名が VPN に接続できなかった。\n\n"                                                 \
    "## 原因\n\nVPN ゲートウェイの証明書が期限切れになっていた。更新の通知が退職者に届いていた。\n\n" \
    "## 対応\n\n新しい証明書をゲートウェイに適用して再起動し、接続できることを確認した。\n"

static struct source source_for(struct fixture *f, const struct mirai_principal *principal)
{
    return (struct source){f->reader, f->workspace, f->analyzer, principal, mirai_monotonic_us() + 10000000,
                           &f->arena};
}

static void put_tagged(struct fixture *f, int64_t id, const char *title, const char *body, const char *tag,
                       bool own)
{
    struct mirai_article article = article_make(id, title, body);
    struct mirai_str tags[] = {mirai_str(tag)};
    article_tag(&article, tags, 1);
    mirai_set(article, &article, visibility, MIRAI_VISIBILITY_SPACE);
    if (own) {
        mirai_set(article, &article, visibility, MIRAI_VISIBILITY_PRIVATE);
        mirai_set(article, &article, owner_id, 99);
    }
    put(f, &article);
}

static void put_all(struct fixture *f)
{
    put_tagged(f, 1, "VPN に接続できない", VPN_BODY, "リモートアクセス", false);
    put_tagged(f, 2, "プリンターの紙詰まり", "トレイのローラーを清掃し、用紙を入れ直す。", "プリンター",
               false);
    put_tagged(f, 3, "VPN に接続できない（社外秘）", VPN_BODY "追記あり。", "極秘案件", true);
    put_tagged(f, 4, "VPN クライアントの設定", "ゲートウェイの名前を入れ、証明書を選んで接続する。",
               "リモートアクセス", false);
    for (int64_t id = 10; id < 30; id++) {
        put_tagged(f, id, "会議室の予約", "会議室は予約画面で予約する。", "総務", false);
    }
}

static const int64_t spaces[] = {1};
static const struct mirai_principal colleague = {
    .user_id = 7, .role = MIRAI_ROLE_EDITOR, .spaces = spaces, .spaces_len = 1};
static const struct mirai_principal owner = {
    .user_id = 99, .role = MIRAI_ROLE_EDITOR, .spaces = spaces, .spaces_len = 1};

static int similar_to(struct fixture *f, int64_t id, const struct mirai_principal *principal,
                      struct mirai_similar_result *result)
{
    struct insight_workspace *workspace = insight_workspace_new();
    struct source source = source_for(f, principal);
    struct mirai_similar_query query = {0};
    *result = (struct mirai_similar_result){0};
    mirai_set(similar_query, &query, id, id);
    int err = insight_similar(workspace, &source, &query, result);
    insight_workspace_free(workspace);
    return err;
}

static struct mirai_draft_report check(struct fixture *f, int64_t id, const char *title, const char *body,
                                       const struct mirai_principal *principal)
{
    struct insight_workspace *workspace = insight_workspace_new();
    struct source source = source_for(f, principal);
    struct mirai_draft draft = {0};
    struct mirai_draft_report report = {0};
    mirai_set(draft, &draft, title, mirai_str(title));
    mirai_set(draft, &draft, body, mirai_str(body));
    if (id != 0) {
        mirai_set(draft, &draft, id, id);
    }
    assert_int_equal(insight_check(workspace, &source, &draft, MIRAI_LOCALE_JA, &report), 0);
    insight_workspace_free(workspace);
    return report;
}

static const struct mirai_similar_hit *hit_of(const struct mirai_objects *hits, int64_t id)
{
    for (size_t i = 0; i < hits->count; i++) {
        if (MIRAI_ITEMS(similar_hit, hits)[i].id == id) {
            return &MIRAI_ITEMS(similar_hit, hits)[i];
        }
    }
    return NULL;
}

static bool proposes(const struct mirai_draft_report *report, const char *tag)
{
    for (size_t i = 0; i < report->tags.count; i++) {
        if (mirai_str_eq(MIRAI_ITEMS(tag_proposal, &report->tags)[i].name, mirai_str(tag))) {
            return true;
        }
    }
    return false;
}

static void similar_articles_are_found(void **state)
{
    struct fixture *f = *state;
    struct mirai_similar_result result;
    put_all(f);
    assert_int_equal(similar_to(f, 1, &colleague, &result), 0);
    assert_null(hit_of(&result.items, 1));
    const struct mirai_similar_hit *found = hit_of(&result.items, 4);
    assert_non_null(found);
    assert_true(found->similarity < 0.85 && found->shared.count > 0);
    assert_null(hit_of(&result.items, 10));
    for (size_t i = 1; i < result.items.count; i++) {
        assert_true(MIRAI_ITEMS(similar_hit, &result.items)[i - 1].similarity >=
                    MIRAI_ITEMS(similar_hit, &result.items)[i].similarity);
    }
}

static void what_may_not_be_seen_is_not_similar(void **state)
{
    struct fixture *f = *state;
    struct mirai_similar_result result;
    put_all(f);
    assert_int_equal(similar_to(f, 1, &colleague, &result), 0);
    assert_null(hit_of(&result.items, 3));
    assert_int_equal(similar_to(f, 3, &colleague, &result), MIRAI_E_NOT_FOUND);
    assert_int_equal(similar_to(f, 12345, &colleague, &result), MIRAI_E_NOT_FOUND);
    assert_int_equal(similar_to(f, 1, &owner, &result), 0);
    assert_non_null(hit_of(&result.items, 3));
    assert_true(hit_of(&result.items, 3)->similarity >= 0.85);
}

static void duplicates_are_told(void **state)
{
    struct fixture *f = *state;
    put_all(f);
    struct mirai_draft_report report = check(f, 0, "VPN に接続できません", VPN_BODY "以上。", &colleague);
    assert_true(report.duplicate);
    assert_non_null(hit_of(&report.duplicates, 1));
    assert_null(hit_of(&report.duplicates, 3));
    report = check(f, 1, "VPN に接続できない", VPN_BODY, &colleague);
    assert_false(report.duplicate);
    assert_null(hit_of(&report.duplicates, 1));
    report = check(f, 0, "まったく別の話", "社員食堂の献立を毎週月曜に更新する。", &colleague);
    assert_false(report.duplicate);
    assert_int_equal(report.duplicates.count, 0);
}

static void tags_are_those_of_visible_articles(void **state)
{
    struct fixture *f = *state;
    put_all(f);
    struct mirai_draft_report report = check(f, 0, "VPN に接続できない 極秘案件", VPN_BODY, &colleague);
    assert_true(proposes(&report, "リモートアクセス"));
    for (size_t i = 0; i < report.tags.count; i++) {
        const struct mirai_tag_proposal *tag = &MIRAI_ITEMS(tag_proposal, &report.tags)[i];
        assert_true(tag->confidence > 0 && tag->confidence <= 1 && tag->reason.len > 0);
        if (mirai_str_eq(tag->name, MIRAI_STR("極秘案件"))) {
            assert_false(
                tag->exists); /* it is in the draft, so it may be proposed, but not as one that is known */
        }
    }
    report = check(f, 0, "VPN に接続できない", VPN_BODY, &colleague);
    assert_false(proposes(&report, "極秘案件"));
    report = check(f, 0, "VPN に接続できない", VPN_BODY, &owner);
    assert_true(proposes(&report, "極秘案件"));
}

static void the_whole_report_is_there(void **state)
{
    struct fixture *f = *state;
    put_all(f);
    struct mirai_draft_report report = check(f, 0, "VPN に接続できない", VPN_BODY, &colleague);
    assert_int_equal(MIRAI_ITEMS(type_proposal, &report.types)[0].type, MIRAI_ITSM_TYPE_INCIDENT);
    assert_true(report.summary_technical.len > 0 && report.summary_non_technical.len > 0);
    assert_true(report.deviations.count > 0); /* there is no time in it */
    struct mirai_buf encoded = {0};
    struct mirai_draft_report again;
    mirai_message_encode(&mirai_message_draft_report, &report, &encoded);
    assert_int_equal(mirai_message_decode(&mirai_message_draft_report, mirai_buf_str(&encoded), MIRAI_EDGE,
                                          &f->arena, &again, NULL),
                     0);
    mirai_buf_free(&encoded);
}

static void odd_drafts_are_answered(void **state)
{
    struct fixture *f = *state;
    struct mirai_buf huge = {0};
    struct insight_workspace *workspace = insight_workspace_new();
    struct source source = source_for(f, &colleague);
    struct mirai_draft nothing = {0};
    struct mirai_draft_report report = {0};
    put_all(f);
    assert_int_equal(insight_check(workspace, &source, &nothing, MIRAI_LOCALE_EN, &report), 0);
    assert_int_equal(report.types.count, 6);
    insight_workspace_free(workspace);
    (void)check(f, 0, "", "", &colleague);
    (void)check(f, 0, "-VPN \"or\" tag:x type:change OR ((", "🍣🍣🍣 \xE3\x82\x99\xE3\x82\x99", &colleague);
    while (huge.len < (1u << 20)) {
        mirai_buf_append_str(&huge, MIRAI_STR("](影響 password: `| **"));
    }
    mirai_buf_append_char(&huge, '\0');
    (void)check(f, 0, "長い", huge.data, &colleague);
    mirai_buf_free(&huge);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SEARCH_TEST(similar_articles_are_found), SEARCH_TEST(what_may_not_be_seen_is_not_similar),
        SEARCH_TEST(duplicates_are_told),        SEARCH_TEST(tags_are_those_of_visible_articles),
        SEARCH_TEST(the_whole_report_is_there),  SEARCH_TEST(odd_drafts_are_answered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
