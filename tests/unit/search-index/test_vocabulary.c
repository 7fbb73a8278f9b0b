#include "services/search-index/vocabulary/vocabulary.h"

#include "proto/methods.h"
#include "services/search-index/terms.h"
#include "tests/unit/search-index/fixture.h"

#define TERMS_MAX 8

static struct mirai_strs strs_of(struct mirai_arena *arena, const char *const *terms)
{
    struct mirai_strs strs = {mirai_arena_alloc(arena, TERMS_MAX * sizeof(struct mirai_str)), 0};
    while (strs.count < TERMS_MAX && terms[strs.count] != NULL) {
        strs.items[strs.count] = mirai_str(terms[strs.count]);
        strs.count++;
    }
    return strs;
}

static const char *const sets[][TERMS_MAX] = {
    {"PC", "パソコン", "パーソナルコンピュータ"},
    {"AD", "Active Directory", "アクティブディレクトリ"},
    {"VPN", "仮想プライベートネットワーク"},
    {"サインイン", "ログイン", "ログオン"},
    {"つながらない", "接続できない"},
    {"Wi-Fi", "無線LAN"},
    {"端末", "PC"},
    {"C++", "シープラスプラス"},
    {"都庁", "東京都庁舎"},
    {"サーバー", "server"},
};

static const char *const words[][2] = {
    {"みらい台帳", "みらいだいちょう"},
    {"基幹系更改", NULL},
    {"MiraiBox", NULL},
};

static struct mirai_synonyms_page synonyms_make(struct mirai_arena *arena)
{
    struct mirai_synonyms_page page = {0};
    struct mirai_synonyms *items = mirai_arena_alloc(arena, ARRAY_LEN(sets) * sizeof(*items));
    for (size_t i = 0; i < ARRAY_LEN(sets); i++) {
        mirai_set(synonyms, &items[i], id, (int64_t)i + 1);
        mirai_set(synonyms, &items[i], terms, strs_of(arena, sets[i]));
        mirai_set(synonyms, &items[i], updated_at, 1);
    }
    mirai_set(synonyms_page, &page, items, ((struct mirai_objects){items, ARRAY_LEN(sets)}));
    return page;
}

static struct mirai_dictionary_page dictionary_make(struct mirai_arena *arena)
{
    struct mirai_dictionary_page page = {0};
    struct mirai_dictionary_word *items = mirai_arena_alloc(arena, ARRAY_LEN(words) * sizeof(*items));
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        mirai_set(dictionary_word, &items[i], id, (int64_t)i + 1);
        mirai_set(dictionary_word, &items[i], surface, mirai_str(words[i][0]));
        if (words[i][1] != NULL) {
            mirai_set(dictionary_word, &items[i], reading, mirai_str(words[i][1]));
        }
        mirai_set(dictionary_word, &items[i], updated_at, 1);
    }
    mirai_set(dictionary_page, &page, items, ((struct mirai_objects){items, ARRAY_LEN(words)}));
    return page;
}

static struct vocabulary_snapshot *snapshot_make(struct fixture *f)
{
    struct mirai_synonyms_page synonyms = synonyms_make(&f->arena);
    struct mirai_dictionary_page dictionary = dictionary_make(&f->arena);
    struct vocabulary_snapshot *snapshot = vocabulary_snapshot_new(f->analyzer, &synonyms, &dictionary);
    mirai_arena_free(&f->arena);
    return snapshot;
}

struct found {
    struct mirai_buf text;
    struct mirai_str query;
    size_t end;
};

/* "span(alternative,…)" for each match. */
static void note(void *data, const struct vocabulary_match *match)
{
    struct found *found = data;
    assert_true(match->start >= found->end && match->start < match->end && match->end <= found->query.len);
    found->end = match->end;
    mirai_buf_append(&found->text, found->query.data + match->start, match->end - match->start);
    mirai_buf_append_char(&found->text, match->word ? '!' : '(');
    struct mirai_str last = {0};
    for (size_t i = 0; i < match->phrases_len; i++) {
        const struct vocabulary_phrase *phrase = &match->phrases[i];
        assert_true(phrase->parts_len > 0 && phrase->parts[0].offset == 0);
        assert_true(phrase->weight > 0 && phrase->weight <= 1);
        assert_int_equal(phrase->synonym, phrase->weight < 1);
        if (!mirai_str_eq(phrase->text, last)) { /* once, however many phrases it has */
            mirai_buf_append_str(&found->text, phrase->text);
            mirai_buf_append_char(&found->text, ',');
        }
        last = phrase->text;
    }
    mirai_buf_append_char(&found->text, ')');
}

static void expect(struct fixture *f, const struct vocabulary_snapshot *snapshot, const char *query,
                   const char *found_text)
{
    struct normalized text = {0};
    struct found found = {0};
    normalize(&text, mirai_str(query), false);
    found.query = mirai_buf_str(&text.text);
    vocabulary_expand(snapshot, f->analyzer, found.query, note, &found);
    mirai_buf_append_char(&found.text, '\0');
    assert_string_equal(found.text.data, found_text);
    mirai_buf_free(&found.text);
    normalized_free(&text);
}

static void test_synonyms_are_offered(void **state)
{
    struct fixture *f = *state;
    struct vocabulary_snapshot *snapshot = snapshot_make(f);
    assert_int_equal(vocabulary_sets(snapshot), ARRAY_LEN(sets));
    assert_int_equal(vocabulary_words(snapshot), ARRAY_LEN(words));
    expect(f, snapshot, "VPNが遅い", "vpn(仮想プライベートネットワーク,)");
    expect(f, snapshot, "仮想プライベートネットワークの設定", "仮想プライベートネットワーク(vpn,)");
    expect(f, snapshot, "ＰＣの交換", "pc(パソコン,パーソナルコンピュータ,端末,)"); /* two sets */
    expect(f, snapshot, "サインイン できない", "サインイン(ログイン,ログオン,)");
    expect(f, snapshot, "Active   Directoryとは", "active   directory(ad,アクティブディレクトリ,)");
    expect(f, snapshot, "active-directory", "active-directory(ad,アクティブディレクトリ,)");
    expect(f, snapshot, "無線LANにつながらない", "無線lan(wi-fi,)つながらない(接続できない,)");
    expect(f, snapshot, "パーソナルコンピューター", "パーソナルコンピューター(pc,パソコン,)");
    expect(f, snapshot, "サーバの停止", "サーバ(server,)");
    expect(f, snapshot, "古いPCs", "pcs(パソコン,パーソナルコンピュータ,端末,)");
    expect(f, snapshot, "何もない", "");
    expect(f, snapshot, "", "");
    vocabulary_snapshot_free(snapshot);
}

static void test_only_whole_words_match(void **state)
{
    struct fixture *f = *state;
    struct vocabulary_snapshot *snapshot = snapshot_make(f);
    expect(f, snapshot, "download pcapng shadow", "");
    expect(f, snapshot, "ad.example.com", "");
    expect(f, snapshot, "taro@ad.example", "");
    expect(f, snapshot, "c:\\pc\\x", "");
    expect(f, snapshot, "ad", "ad(active directory,アクティブディレクトリ,)");
    expect(f, snapshot, "adを", "ad(active directory,アクティブディレクトリ,)");
    expect(f, snapshot, "end with ad.", "ad(active directory,アクティブディレクトリ,)");
    expect(f, snapshot, "C言語", "");
    expect(f, snapshot, "c++", "c++(シープラスプラス,)");
    vocabulary_snapshot_free(snapshot);
}

static void test_dictionary_words_are_one_word(void **state)
{
    struct fixture *f = *state;
    struct vocabulary_snapshot *snapshot = snapshot_make(f);
    expect(f, snapshot, "みらい台帳の更新", "みらい台帳!みらい台帳,)");
    expect(f, snapshot, "新基幹系更改計画", "基幹系更改!基幹系更改,)");
    expect(f, snapshot, "miraiboxへ保存", "miraibox!miraibox,)");
    vocabulary_snapshot_free(snapshot);
}

/* The parts of the phrases that a query is offered, as "key@offset key@offset|". */
static void note_parts(void *data, const struct vocabulary_match *match)
{
    struct mirai_buf *out = data;
    for (size_t i = 0; i < match->phrases_len; i++) {
        for (size_t j = 0; j < match->phrases[i].parts_len; j++) {
            const struct vocabulary_part *part = &match->phrases[i].parts[j];
            bool bigram = part->key.data[0] == TERMS_BIGRAM_MARK;
            mirai_buf_printf(out, "%s%.*s@%u ", bigram ? "+" : "", (int)(part->key.len - bigram),
                             part->key.data + bigram, part->offset);
        }
        mirai_buf_append_char(out, '|');
    }
}

static void expect_parts(struct fixture *f, const struct vocabulary_snapshot *snapshot, const char *query,
                         const char *parts)
{
    struct normalized text = {0};
    struct mirai_buf out = {0};
    normalize(&text, mirai_str(query), false);
    vocabulary_expand(snapshot, f->analyzer, mirai_buf_str(&text.text), note_parts, &out);
    mirai_buf_append_char(&out, '\0');
    assert_string_equal(out.data, parts);
    mirai_buf_free(&out);
    normalized_free(&text);
}

static void test_phrases_have_the_index_s_terms(void **state)
{
    struct fixture *f = *state;
    struct vocabulary_snapshot *snapshot = snapshot_make(f);
    expect_parts(f, snapshot, "wi-fi", "無線@0 lan@2 |+無線@0 lan@2 |");
    expect_parts(f, snapshot, "無線LAN", "wi-fi@0 |");
    expect_parts(f, snapshot, "基幹系更改", "基幹@0 系@2 更改@3 |+基幹@0 +系更@2 +更改@3 |");
    expect_parts(f, snapshot, "AD",
                 "active@0 directory@6 |アクティブ@0 ディレクトリ@5 |+アク@0 +ティ@2 +ブデ@4 +ィレ@6 +クト@8 "
                 "+トリ@9 |");
    vocabulary_snapshot_free(snapshot);
}

static void note_word(void *data, struct mirai_str surface, struct mirai_str normalised,
                      struct mirai_str reading)
{
    mirai_buf_printf(data, "%.*s=%.*s=%.*s ", MIRAI_STR_ARG(surface), MIRAI_STR_ARG(normalised),
                     MIRAI_STR_ARG(reading));
}

static void test_words_have_readings(void **state)
{
    struct fixture *f = *state;
    struct vocabulary_snapshot *snapshot = snapshot_make(f);
    struct mirai_buf out = {0};
    vocabulary_each_word(snapshot, note_word, &out);
    mirai_buf_append_char(&out, '\0');
    assert_string_equal(out.data,
                        "みらい台帳=みらい台帳=ミライダイチョウ 基幹系更改=基幹系更改=キカンケイコウカイ "
                        "MiraiBox=miraibox=miraibox ");
    mirai_buf_free(&out);
    vocabulary_snapshot_free(snapshot);
}

static void test_odd_lists(void **state)
{
    struct fixture *f = *state;
    char long_term[800];
    memset(long_term, 'x', sizeof(long_term) - 1);
    long_term[sizeof(long_term) - 1] = '\0';
    const char *const terms[][TERMS_MAX] = {
        {"", " ", "--", NULL},       {"サーバ", "サーバー", "ｻｰﾊﾞｰ", NULL}, /* one word in three spellings */
        {long_term, "long", NULL},   {"😀", "smile", NULL},
        {"\xFF\xFE", "bytes", NULL}, {NULL},
        {"の", "of", NULL},
    };
    struct mirai_synonyms items[ARRAY_LEN(terms)] = {0};
    struct mirai_synonyms_page page = {0};
    for (size_t i = 0; i < ARRAY_LEN(terms); i++) {
        mirai_set(synonyms, &items[i], terms, strs_of(&f->arena, terms[i]));
    }
    mirai_set(synonyms_page, &page, items, ((struct mirai_objects){items, ARRAY_LEN(terms)}));
    struct vocabulary_snapshot *snapshot = vocabulary_snapshot_new(f->analyzer, &page, NULL);
    expect(f, snapshot, "サーバー long -- bytes", "");
    size_t len = 1u << 18;
    char *query = mirai_alloc(len + 1);
    static const char *const units[] = {"サ", "x", "ー", "😀", "long ", " ", "s", "smiles"};
    for (size_t i = 0; i < ARRAY_LEN(units); i++) {
        size_t unit = strlen(units[i]);
        struct found found = {.query = {query, len / unit * unit}};
        for (size_t at = 0; at + unit <= len; at += unit) {
            memcpy(query + at, units[i], unit);
        }
        vocabulary_expand(snapshot, f->analyzer, found.query, note, &found);
        mirai_buf_free(&found.text);
    }
    free(query);
    vocabulary_snapshot_free(snapshot);
    snapshot = vocabulary_snapshot_new(f->analyzer, NULL, NULL);
    expect(f, snapshot, "pc", "");
    vocabulary_snapshot_free(snapshot);
}

/* ------------------------------------------------------------------ loading */

struct store {
    bool away;
    unsigned asked;
    size_t sets_len;
};

static void synonyms_list(struct mirai_rpc_request *request)
{
    struct store *store = request->data;
    struct mirai_arena arena = {0};
    struct mirai_empty params;
    store->asked++;
    if (store->away) {
        mirai_rpc_fail(request, MIRAI_E_INTERNAL, NULL);
        return;
    }
    assert_true(mirai_method_accept(request, MIRAI_METHOD_ID_synonyms_list, &arena, &params));
    struct mirai_synonyms_page page = synonyms_make(&arena);
    page.items.count = store->sets_len;
    mirai_reply_message(request, &mirai_message_synonyms_page, &page);
    mirai_arena_free(&arena);
}

static void dictionary_list(struct mirai_rpc_request *request)
{
    struct mirai_arena arena = {0};
    struct mirai_empty params;
    assert_true(mirai_method_accept(request, MIRAI_METHOD_ID_dictionary_list, &arena, &params));
    struct mirai_dictionary_page page = dictionary_make(&arena);
    mirai_reply_message(request, &mirai_message_dictionary_page, &page);
    mirai_arena_free(&arena);
}

static const struct mirai_rpc_method store_methods[] = {
    {"synonyms.list", synonyms_list},
    {"dictionary.list", dictionary_list},
    {NULL, NULL},
};

static void run_until_loads(uv_loop_t *loop, const struct vocabulary *vocabulary, uint64_t loads)
{
    uint64_t deadline = mirai_monotonic_ms() + 60000;
    while (vocabulary_loads(vocabulary) < loads) {
        assert_true(mirai_monotonic_ms() < deadline);
        uv_run(loop, UV_RUN_ONCE);
    }
}

static void test_it_is_loaded_from_the_store(void **state)
{
    struct fixture *f = *state;
    uv_loop_t loop;
    char url[160];
    struct store store = {.away = true, .sets_len = 3};
    snprintf(url, sizeof(url), "ipc://%s/store.sock", f->dir);
    uv_loop_init(&loop);
    const struct mirai_rpc_server_options server_options = {
        .loop = &loop, .url = url, .methods = store_methods, .data = &store, .queue_max = 10};
    struct mirai_rpc_server *server = mirai_rpc_server_new(&server_options);
    assert_non_null(server);
    const struct mirai_rpc_client_options client_options = {.loop = &loop,
                                                            .service = "knowledge-store",
                                                            .endpoints = url,
                                                            .outstanding_max = 10,
                                                            .deadline_ms = 10000};
    struct mirai_rpc_client *client = mirai_rpc_client_new(&client_options);
    struct vocabulary *vocabulary = vocabulary_new(&loop, f->model, client);
    const struct vocabulary_snapshot *empty = vocabulary_acquire(vocabulary);
    assert_int_equal(vocabulary_sets(empty), 0);
    while (store.asked < 2) { /* it asks again */
        uv_run(&loop, UV_RUN_ONCE);
    }
    store.away = false;
    run_until_loads(&loop, vocabulary, 1);
    const struct vocabulary_snapshot *first = vocabulary_acquire(vocabulary);
    assert_int_equal(vocabulary_sets(first), 3);
    assert_int_equal(vocabulary_words(first), ARRAY_LEN(words));
    store.sets_len = 5;
    vocabulary_refresh(vocabulary);
    vocabulary_refresh(vocabulary); /* while it loads: once more, in case the list had been read already */
    run_until_loads(&loop, vocabulary, 3);
    expect(f, first, "VPN", "vpn(仮想プライベートネットワーク,)"); /* who holds the old one goes on with it */
    assert_int_equal(vocabulary_sets(empty), 0);
    const struct vocabulary_snapshot *second = vocabulary_acquire(vocabulary);
    assert_int_equal(vocabulary_sets(second), 5);
    vocabulary_release(vocabulary, second);
    vocabulary_release(vocabulary, first);
    vocabulary_release(vocabulary, empty);
    vocabulary_refresh(vocabulary); /* freed with a call on its way */
    vocabulary_free(vocabulary);
    mirai_rpc_client_free(client);
    mirai_rpc_server_free(server);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SEARCH_TEST(test_synonyms_are_offered),          SEARCH_TEST(test_only_whole_words_match),
        SEARCH_TEST(test_dictionary_words_are_one_word), SEARCH_TEST(test_phrases_have_the_index_s_terms),
        SEARCH_TEST(test_words_have_readings),           SEARCH_TEST(test_odd_lists),
        SEARCH_TEST(test_it_is_loaded_from_the_store),
    };
    return cmocka_run_group_tests_name("search vocabulary", tests, NULL, NULL);
}
