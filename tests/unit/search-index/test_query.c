#include "tests/unit/search-index/fixture.h"

#include <pthread.h>
#include <stdatomic.h>

static void put_text(struct fixture *f, int64_t id, const char *title, const char *body)
{
    struct mirai_article article = article_make(id, title, body);
    put(f, &article);
}

static void put_samples(struct fixture *f)
{
    put_text(f, 1, "パスワードの初期化手順", "# 手順\n管理画面でサーバーに接続し、パスワードを変更する。");
    put_text(f, 2, "プリンターが印刷できない", "電源を確認する。エラー 0x80070005 が出たら再起動。");
    put_text(f, 3, "VPN connection drops",
             "Restart the client. The policies of the server close idle connections.");
    put_text(f, 4, "合鍵の貸し出し", "総務に合鍵を借りる。パスワードは不要。");
    put_text(f, 5, "更新プログラム KB5034441", "回復パーティションが足りないと失敗する。");
}

static void test_finds_the_right_article(void **state)
{
    struct fixture *f = *state;
    put_samples(f);
    assert_int_equal(first_id(f, "パスワードを忘れました。どうすればいいですか？"), 1);
    assert_int_equal(first_id(f, "ﾌﾟﾘﾝﾀの印刷"), 2);
    assert_int_equal(first_id(f, "0x80070005"), 2);
    assert_int_equal(first_id(f, "80070005"), 2);
    assert_int_equal(first_id(f, "ＶＰＮ"), 3);
    assert_int_equal(first_id(f, "policy"), 3);
    assert_int_equal(first_id(f, "サーバ"), 1);
    assert_int_equal(first_id(f, "鍵"), 4);
    assert_int_equal(first_id(f, "5034441"), 5);
    assert_int_equal(first_id(f, "kb5034441"), 5);
    assert_int_equal(first_id(f, "存在しない言葉ゐゑヲ"), 0);
}

static void test_titles_weigh_more(void **state)
{
    struct fixture *f = *state;
    put_text(f, 1, "電源の確認", "本文。");
    put_text(f, 2, "本文の確認", "電源。");
    struct mirai_search_result result = search(f, "電源");
    assert_int_equal(result.total, 2);
    assert_int_equal(hit(&result, 0)->id, 1);
    assert_true(hit(&result, 0)->score > hit(&result, 1)->score);
}

static void test_operators(void **state)
{
    struct fixture *f = *state;
    put_samples(f);
    struct mirai_search_result result = search(f, "パスワード");
    assert_int_equal(result.total, 2);
    result = search(f, "パスワード -鍵");
    assert_int_equal(result.total, 1);
    assert_int_equal(hit(&result, 0)->id, 1);
    result = search(f, "パスワード -\"管理画面\"");
    assert_int_equal(result.total, 1);
    assert_int_equal(hit(&result, 0)->id, 4);
    result = search(f, "\"パスワードを変更\"");
    assert_int_equal(result.total, 1);
    assert_int_equal(hit(&result, 0)->id, 1);
    result = search(f, "\"変更をパスワード\""); /* all words, another order */
    assert_int_equal(result.total, 0);
    result = search(f, "“Restart the client”");
    assert_int_equal(result.total, 1);
    result = search(f, "-パスワード");
    assert_int_equal(result.total, 3);
    assert_int_equal(hit(&result, 0)->id, 5);
}

static void test_filters_and_facets(void **state)
{
    struct fixture *f = *state;
    struct mirai_str tags[] = {MIRAI_STR("ＶＰＮ"), MIRAI_STR("ネットワーク")};
    for (int64_t id = 1; id <= 6; id++) {
        struct mirai_article article = article_make(id, "接続の問題", "接続できない。");
        mirai_set(article, &article, type, id <= 2 ? MIRAI_ITSM_TYPE_INCIDENT : MIRAI_ITSM_TYPE_CHANGE);
        mirai_set(article, &article, status,
                  id == 6 ? MIRAI_ARTICLE_STATUS_DRAFT : MIRAI_ARTICLE_STATUS_PUBLISHED);
        mirai_set(article, &article, owner_id, id);
        mirai_set(article, &article, space_id, id % 2 + 1);
        article_tag(&article, tags, id <= 3 ? 2 : id <= 4 ? 1 : 0);
        put(f, &article);
    }
    assert_int_equal(search(f, "接続 tag:vpn").total, 4);
    assert_int_equal(search(f, "接続 tag:vpn tag:ネットワーク").total, 3);
    assert_int_equal(search(f, "tag:none 接続").total, 0);
    assert_int_equal(search(f, "type:incident").total, 2);
    assert_int_equal(search(f, "type:change status:draft 接続").total, 1);
    assert_int_equal(search(f, "type:nonsense 接続").total, 6); /* words, and the answer says so */

    struct mirai_search_query query = {0};
    struct mirai_search_result result;
    struct mirai_str tag = MIRAI_STR("vpn");
    mirai_set(search_query, &query, q, MIRAI_STR("接続"));
    mirai_set(search_query, &query, tag, ((struct mirai_strs){&tag, 1}));
    mirai_set(search_query, &query, type, MIRAI_ITSM_TYPE_CHANGE);
    assert_int_equal(search_as(f, &query, admin(), &result), 0);
    assert_int_equal(result.total, 2);
    query = (struct mirai_search_query){0};
    mirai_set(search_query, &query, owner_id, 3);
    assert_int_equal(search_as(f, &query, admin(), &result), 0);
    assert_int_equal(result.total, 1);
    assert_int_equal(hit(&result, 0)->id, 3);
    query = (struct mirai_search_query){0};
    mirai_set(search_query, &query, space_id, 1);
    mirai_set(search_query, &query, after, 1002);
    mirai_set(search_query, &query, before, 1006);
    assert_int_equal(search_as(f, &query, admin(), &result), 0);
    assert_int_equal(result.total, 2); /* 2 and 4 */

    result = search(f, "接続");
    const struct mirai_tally *types = result.facets.type.items;
    assert_int_equal(result.facets.type.count, 2);
    assert_memory_equal(types[0].key.data, "incident", 8);
    assert_int_equal(types[0].count, 2);
    assert_int_equal(types[1].count, 4);
    assert_int_equal(result.facets.status.count, 2);
    const struct mirai_tally *names = result.facets.tag.items;
    assert_int_equal(result.facets.tag.count, 2);
    assert_true(mirai_str_eq(names[0].key, MIRAI_STR("ＶＰＮ")));
    assert_int_equal(names[0].count, 4);
    assert_int_equal(names[1].count, 3);
    assert_int_equal(hit(&result, 0)->tags.count + hit(&result, 1)->tags.count + hit(&result, 2)->tags.count,
                     1);
}

static void test_the_most_frequent_tags_are_counted(void **state)
{
    struct fixture *f = *state;
    char names[40][16];
    for (int64_t id = 0; id < 40; id++) {
        struct mirai_str tags[40];
        for (int64_t i = 0; i <= id; i++) {
            snprintf(names[i], sizeof(names[i]), "tag%02d", (int)i);
            tags[i] = mirai_str(names[i]);
        }
        struct mirai_article article = article_make(id + 1, "接続", "");
        article_tag(&article, tags, (size_t)id + 1);
        put(f, &article);
    }
    struct mirai_search_result result = search(f, "接続");
    const struct mirai_tally *tags = result.facets.tag.items;
    assert_int_equal(result.facets.tag.count, 20);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(tags[i].count, 40 - i);
    }
}

/* All pages of `q` together: each article once, best first. */
static void check_pages(struct fixture *f, const char *q, size_t count)
{
    struct mirai_search_query query = {0};
    struct mirai_search_result result;
    bool seen[200] = {false};
    size_t found = 0;
    double last = 1e18;
    mirai_set(search_query, &query, q, mirai_str(q));
    mirai_set(search_query, &query, limit, 7);
    for (int page = 0; page < 100; page++) {
        assert_int_equal(search_as(f, &query, admin(), &result), 0);
        assert_int_equal(result.total, count);
        for (size_t i = 0; i < result.hits.count; i++) {
            const struct mirai_search_hit *one = hit(&result, i);
            assert_false(seen[one->id]);
            seen[one->id] = true;
            assert_true(one->score <= last);
            last = one->score;
            found++;
        }
        if (!mirai_has(search_result, &result, next_cursor)) {
            break;
        }
        assert_int_equal(result.hits.count, 7);
        mirai_set(search_query, &query, cursor, result.next_cursor);
    }
    assert_int_equal(found, count);
}

static void test_pages(void **state)
{
    struct fixture *f = *state;
    for (int64_t id = 1; id <= 98; id++) {
        put_text(f, id, id % 3 == 0 ? "接続と電源" : "電源", id % 5 == 0 ? "電源と電源と電源" : "電源");
    }
    check_pages(f, "電源 接続", 98);
    check_pages(f, "", 98);
}

static void test_bad_cursors(void **state)
{
    struct fixture *f = *state;
    static const char *const cursors[] = {"x",       "r",        "r1",
                                          "r1.",     "r1.1",     "r1.1.",
                                          "r1.1.1 ", "r1.1.1.1", "t1.1.1",
                                          "r.1.1",   "rg.1.1",   "r7ff0000000000000.1.1",
                                          "r-1.1.1", "q1.1.1",   "s1.1.ffffffffffffffffffff"};
    put_samples(f);
    for (size_t i = 0; i < ARRAY_LEN(cursors); i++) {
        struct mirai_search_query query = {0};
        struct mirai_search_result result;
        mirai_set(search_query, &query, q, MIRAI_STR("パスワード"));
        mirai_set(search_query, &query, cursor, mirai_str(cursors[i]));
        assert_int_equal(search_as(f, &query, admin(), &result), MIRAI_E_INVALID);
    }
}

static void test_odd_queries_are_answered(void **state)
{
    struct fixture *f = *state;
    static const char *const odd[] = {
        " ",    "　",   "\"",     "\"\"",     "-",         "--",           "-\"",    "\"-",   "*",
        "(",    ")",    "AND",    "OR NOT",   "NEAR(a b)", "a\"b\"c",      "'",      "';--",  ":",
        "tag:", "x:y",  "🔥",      "\xCC\x81", "の",        "は が を",     "^a",     "{a}:b", "a+b",
        "\\",   "\xFF", "-tag:x", "%",        "~",         "\"\xE3\x82\"", "a\002b", "\x03",  "NULL"};
    put_samples(f);
    for (size_t i = 0; i < ARRAY_LEN(odd); i++) {
        struct mirai_search_result result = search(f, odd[i]);
        assert_true(result.total >= 0 && result.total <= 5);
    }
    size_t len = 100000;
    char *text = mirai_alloc(len + 1);
    for (size_t i = 0; i < len; i++) {
        text[i] = "abcdefg hijk\"-: "[i * 2654435761u >> 7 & 15];
    }
    assert_true(search(f, text).total >= 0);
    for (size_t i = 0; i + 3 <= len; i += 3) {
        text[i] = '\xE4';
        text[i + 1] = (char)(0xB8 + i % 7);
        text[i + 2] = (char)(0x80 + i % 64);
    }
    assert_true(search(f, text).total >= 0);
    free(text);
}

static void test_deadline(void **state)
{
    struct fixture *f = *state;
    struct mirai_search_query query = {0};
    struct mirai_search_result result = {0};
    for (int64_t id = 1; id <= 1200; id++) {
        put_text(f, id, "電源", "");
    }
    mirai_set(search_query, &query, q, MIRAI_STR("電源"));
    assert_int_equal(query_run(f->reader, f->workspace, f->analyzer, &query, admin(), 1, &f->arena, &result),
                     MIRAI_E_DEADLINE);
    assert_int_equal(search(f, "電源").total, 1200); /* nothing of the aborted one is left */
}

/* A few documents take longer than many, when their texts are searched for a phrase. */
static void test_deadline_in_phrases(void **state)
{
    struct fixture *f = *state;
    struct mirai_search_query query = {0};
    struct mirai_search_result result = {0};
    for (int64_t id = 1; id <= 5; id++) {
        put_text(f, id, "電源", "電源を確認する。");
    }
    for (int phrase_only = 0; phrase_only < 2; phrase_only++) {
        mirai_set(search_query, &query, q,
                  phrase_only ? MIRAI_STR("\"電源を確認\"") : MIRAI_STR("電源 \"電源を確認\""));
        assert_int_equal(
            query_run(f->reader, f->workspace, f->analyzer, &query, admin(), 1, &f->arena, &result),
            MIRAI_E_DEADLINE);
        assert_int_equal(search_as(f, &query, admin(), &result), 0);
        assert_int_equal(result.total, 5);
    }
}

/* Listing everything by time scores nothing, so only the ranking itself can look at the clock. */
static void test_deadline_without_words(void **state)
{
    struct fixture *f = *state;
    struct mirai_search_query query = {0};
    struct mirai_search_result result = {0};
    for (int64_t id = 1; id <= 1200; id++) {
        put_text(f, id, "電源", "");
    }
    assert_int_equal(query_run(f->reader, f->workspace, f->analyzer, &query, admin(), 1, &f->arena, &result),
                     MIRAI_E_DEADLINE);
    assert_int_equal(search_as(f, &query, admin(), &result), 0);
    assert_int_equal(result.total, 1200);
}

/* Where positions do not suffice, as with words that are not indexed, texts decide, however many there are. */
static void test_phrases_are_looked_up_in_texts(void **state)
{
    struct fixture *f = *state;
    for (int64_t id = 1; id <= 300; id++) {
        put_text(f, id, "x", id <= 5 ? "restart  the\nclient" : "restart our client");
    }
    struct mirai_search_result result = search(f, "\"restart the client\"");
    assert_int_equal(result.total, 5);
    assert_true(result.total_exact);
    assert_int_equal(hit(&result, 0)->id, 5);
    result = search(f, "client -\"restart our client\"");
    assert_int_equal(result.total, 5);
}

/* Only for the total, not every text is read; then it says so. */
static void test_texts_for_the_total_have_a_budget(void **state)
{
    struct fixture *f = *state;
    for (int64_t id = 300; id > 0; id--) { /* the best ones first */
        put_text(f, id, "x", "restart the client");
    }
    struct mirai_search_result result = search(f, "\"restart the client\"");
    assert_in_range(result.total, 100, 299);
    assert_false(result.total_exact);
    assert_int_equal(hit(&result, 0)->id, 300);
}

static void set_boosts(struct fixture *f, struct query_boosts boosts)
{
    query_workspace_boost(f->workspace, &boosts);
}

/* The parts that are told are all there is to a score. */
static void test_explains_scores(void **state)
{
    struct fixture *f = *state;
    struct mirai_search_query query = {0};
    struct mirai_search_result result;
    put_samples(f);
    set_boosts(f, (struct query_boosts){10, 365, 10, 10, 20, 100});
    mirai_set(search_query, &query, q, MIRAI_STR("パスワードの初期化手順"));
    mirai_set(search_query, &query, explain, true);
    assert_int_equal(search_as(f, &query, admin(), &result), 0);
    assert_int_equal(hit(&result, 0)->id, 1);
    bool title = false;
    bool proximity = false;
    for (size_t i = 0; i < result.hits.count; i++) {
        const struct mirai_score_part *parts = hit(&result, i)->explain.items;
        double sum = 0;
        for (size_t j = 0; j < hit(&result, i)->explain.count; j++) {
            sum += parts[j].value;
            title |= i == 0 && mirai_str_eq(parts[j].name, MIRAI_STR("title"));
            proximity |= i == 0 && mirai_str_eq(parts[j].name, MIRAI_STR("proximity"));
        }
        assert_true(sum == hit(&result, i)->score);
    }
    assert_true(title && proximity);
    mirai_set(search_query, &query, boosts, false);
    double before = hit(&result, 0)->score;
    assert_int_equal(search_as(f, &query, admin(), &result), 0);
    assert_true(hit(&result, 0)->score < before);
}

/* Like texts: the one that was saved later is first; never before a better one. */
static void test_fresh_articles_are_before_like_ones(void **state)
{
    struct fixture *f = *state;
    struct mirai_buf body = {0};
    mirai_buf_append_str(&body, MIRAI_STR("電源。"));
    for (int i = 0; i < 100; i++) {
        mirai_buf_append_str(&body, MIRAI_STR("長い説明が続く。"));
    }
    mirai_buf_append_char(&body, '\0');
    for (int64_t id = 1; id <= 4; id++) {
        struct mirai_article article =
            article_make(id, id < 4 ? "電源" : "回線", id < 4 ? "確認" : body.data);
        mirai_set(article, &article, updated_at, mirai_now_ms() - (id % 4) * 400 * INT64_C(86400000));
        put(f, &article);
    }
    mirai_buf_free(&body);
    set_boosts(f, (struct query_boosts){.freshness = 10, .half_life_days = 300});
    struct mirai_search_result result = search(f, "電源");
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(hit(&result, i)->id, i + 1);
    }
}

static void test_words_that_stand_together_count_more(void **state)
{
    struct fixture *f = *state;
    static const char filler[] =
        "別の話がここに長く続き、それから先もまだ終わらない説明がずっと並んでいる。"
        "さらに別の話がここに長く続き、それから先もまだ終わらない説明がずっと並んでいる。";
    char apart[600];
    char together[600];
    snprintf(apart, sizeof(apart), "回線。%s障害。", filler);
    snprintf(together, sizeof(together), "%s回線の障害。", filler);
    put_text(f, 1, "x", together);
    put_text(f, 2, "x", apart);
    set_boosts(f, (struct query_boosts){.proximity = 100});
    struct mirai_search_result result = search(f, "回線 障害");
    assert_int_equal(result.total, 2);
    assert_int_equal(hit(&result, 0)->id, 1);
    assert_true(hit(&result, 0)->score > hit(&result, 1)->score);
}

/* An article is a hit once, by its best text: its own, or a page of a file. */
static void test_files_are_found_as_their_article(void **state)
{
    struct fixture *f = *state;
    put_samples(f);
    struct mirai_article article = article_make(9, "複合機の設定", "本文。");
    const struct index_page pages[] = {
        {1, MIRAI_STR("表紙")}, {2, MIRAI_STR("スキャナーの感度を下げる")}, {3, MIRAI_STR("スキャナー")}};
    const struct index_file file = {
        .id = 77, .name = MIRAI_STR("取扱説明書.pdf"), .pages = pages, .pages_len = 3};
    const struct index_change change = {
        .id = 9, .article = &article, .has_files = true, .files = &file, .files_len = 1};
    const struct index_position position = {"epoch", ++f->seq};
    assert_int_equal(index_apply(f->index, &change, 1, &position), 0);
    struct mirai_search_result result = search(f, "スキャナー 感度");
    assert_int_equal(result.total, 1);
    assert_int_equal(result.hits.count, 1);
    assert_int_equal(hit(&result, 0)->id, 9);
    assert_true(mirai_str_eq(hit(&result, 0)->title, MIRAI_STR("複合機の設定")));
    assert_int_equal(hit(&result, 0)->attachment.id, 77);
    assert_int_equal(hit(&result, 0)->attachment.page, 2);
    assert_true(mirai_str_eq(hit(&result, 0)->attachment.name, MIRAI_STR("取扱説明書.pdf")));
    result = search(f, "複合機");
    assert_int_equal(hit(&result, 0)->id, 9);
    assert_false(mirai_has(search_hit, hit(&result, 0), attachment));
    assert_int_equal(search(f, "").total, 6);
}

struct race {
    struct fixture *f;
    atomic_bool stop;
    atomic_size_t rounds;
    atomic_size_t missing;
};

static void *search_all_the_time(void *data)
{
    struct race *race = data;
    while (!race->stop) {
        struct mirai_search_result result = search(race->f, "電源");
        bool seen[51] = {false};
        assert_in_range(result.total, 40, 50);
        for (size_t i = 0; i < result.hits.count; i++) {
            int64_t id = hit(&result, i)->id;
            assert_false(seen[id]);
            seen[id] = true;
        }
        race->missing += 50 - (size_t)result.total;
        race->rounds++;
        mirai_arena_free(&race->f->arena);
    }
    return NULL;
}

/* No article is found twice while all are replaced, and one that is replaced in the moment of a search is next to never
 * missing. */
static void test_searches_beside_changes(void **state)
{
    struct fixture *f = *state;
    pthread_t thread;
    struct race race = {.f = f};
    for (int64_t id = 1; id <= 50; id++) {
        put_text(f, id, "電源", "");
    }
    pthread_create(&thread, NULL, search_all_the_time, &race);
    for (int i = 0; i < 300 || (race.rounds < 20 && i < 20000); i++) {
        put_text(f, i % 50 + 1, "電源", i % 2 == 0 ? "再起動の手順" : "別の手順");
    }
    race.stop = true;
    pthread_join(thread, NULL);
    assert_true(race.rounds > 0);
    assert_true(race.missing <= race.rounds / 2 + 1);
    assert_int_equal(search(f, "電源").total, 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SEARCH_TEST(test_finds_the_right_article),
        SEARCH_TEST(test_titles_weigh_more),
        SEARCH_TEST(test_operators),
        SEARCH_TEST(test_filters_and_facets),
        SEARCH_TEST(test_the_most_frequent_tags_are_counted),
        SEARCH_TEST(test_pages),
        SEARCH_TEST(test_bad_cursors),
        SEARCH_TEST(test_odd_queries_are_answered),
        SEARCH_TEST(test_deadline),
        SEARCH_TEST(test_deadline_in_phrases),
        SEARCH_TEST(test_deadline_without_words),
        SEARCH_TEST(test_phrases_are_looked_up_in_texts),
        SEARCH_TEST(test_texts_for_the_total_have_a_budget),
        SEARCH_TEST(test_explains_scores),
        SEARCH_TEST(test_fresh_articles_are_before_like_ones),
        SEARCH_TEST(test_words_that_stand_together_count_more),
        SEARCH_TEST(test_files_are_found_as_their_article),
        SEARCH_TEST(test_searches_beside_changes),
    };
    return cmocka_run_group_tests_name("search query", tests, NULL, NULL);
}
