#include "tests/unit/knowledge-store/fixture.h"

extern const char starter_synonyms[];
extern const size_t starter_synonyms_len;

static struct mirai_synonyms_page list_sets(struct fixture *f)
{
    struct mirai_synonyms_page page;
    assert_int_equal(CALL(f, &admin, synonyms_list, NULL, &page), 0);
    return page;
}

static struct mirai_strs strs(struct fixture *f, size_t count, const char *const *terms)
{
    struct mirai_strs list = {mirai_arena_alloc(&f->arena, (count + 1) * sizeof(struct mirai_str)), count};
    for (size_t i = 0; i < count; i++) {
        list.items[i] = mirai_str(terms[i]);
    }
    return list;
}

#define TERMS(f, ...)                                                                                        \
    strs((f), sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *), (const char *const[]){__VA_ARGS__})

static struct answer try_set(struct fixture *f, struct mirai_strs terms)
{
    struct mirai_synonyms_create params = {0};
    mirai_set(synonyms_create, &params, terms, terms);
    return call_keyed(f, &admin, "", MIRAI_METHOD_ID_synonyms_create, &params);
}

static struct mirai_synonyms make_set(struct fixture *f, struct mirai_strs terms)
{
    struct mirai_synonyms set;
    struct answer answer = try_set(f, terms);
    assert_int_equal(answer.status, 0);
    assert_int_equal(
        mirai_message_decode(&mirai_message_synonyms, answer.result, MIRAI_EDGE, &f->arena, &set, NULL), 0);
    return set;
}

/* Refused with this fault: {"errors": [{"path": …, "problem": …}]} */
static void assert_fault(const struct answer *answer, const char *path, const char *problem)
{
    struct mirai_buf json = {0};
    char expected[128];
    assert_int_equal(answer->status, MIRAI_E_UNPROCESSABLE);
    assert_int_equal(mirai_mp_to_json(answer->error, &json), 0);
    mirai_buf_append_char(&json, '\0');
    snprintf(expected, sizeof(expected), "[{\"path\":\"%s\",\"problem\":\"%s\"}]", path, problem);
    if (strstr(json.data, expected) == NULL) {
        print_error("%s\n", json.data);
    }
    assert_non_null(strstr(json.data, expected));
    mirai_buf_free(&json);
}

static int remove_set(struct fixture *f, int64_t id)
{
    struct mirai_by_id params = {0};
    mirai_set(by_id, &params, id, id);
    return CALL(f, &admin, synonyms_delete, &params, NULL);
}

/* Of the kind `vocabulary`, since the beginning. */
static size_t count_changes(struct fixture *f)
{
    int64_t count = 0;
    struct mirai_changes_since params = {0};
    struct mirai_changes page;
    mirai_set(changes_since, &params, epoch, mirai_str(f->store.epoch));
    mirai_set(changes_since, &params, seq, 0);
    assert_int_equal(CALL(f, &daemon_, changes_since, &params, &page), 0);
    for (size_t i = 0; i < page.items.count; i++) {
        count += MIRAI_ITEMS(change, &page.items)[i].kind == MIRAI_CHANGE_VOCABULARY;
    }
    return (size_t)count;
}

/* Each line of the file that ships is a set, whole: none was left out for breaking a rule. */
static void a_new_store_has_the_starter_set(void **state)
{
    struct fixture *f = *state;
    struct mirai_synonyms_page page = list_sets(f);
    size_t sets = 0, terms = 0, found = 0;
    for (const char *at = starter_synonyms; *at != '\0';) {
        size_t len = strcspn(at, "\n");
        if (len > 0 && at[0] != '#') {
            sets++;
            terms++;
            for (size_t i = 0; i + 3 <= len; i++) {
                terms += memcmp(at + i, " = ", 3) == 0;
            }
        }
        at += len + (at[len] == '\n');
    }
    for (size_t i = 0; i < page.items.count; i++) {
        found += MIRAI_ITEMS(synonyms, &page.items)[i].terms.count;
    }
    assert_true(sets >= 10);
    assert_int_equal(page.items.count, sets);
    assert_int_equal(found, terms);
}

static void what_an_admin_deletes_stays_deleted(void **state)
{
    struct fixture *f = *state;
    struct mirai_synonyms_page page = list_sets(f);
    size_t before = page.items.count;
    int64_t id = MIRAI_ITEMS(synonyms, &page.items)[0].id;
    assert_int_equal(remove_set(f, id), 0);
    assert_int_equal(remove_set(f, id), MIRAI_E_NOT_FOUND);
    restart(f);
    assert_int_equal(list_sets(f).items.count, before - 1);
}

static void sets_are_made_changed_and_removed(void **state)
{
    struct fixture *f = *state;
    struct mirai_synonyms set = make_set(f, TERMS(f, " ＶＰＮ ", "仮想  専用線", "virtual private network"));
    struct mirai_synonyms_replace replace = {0};
    assert_int_equal(set.terms.count, 3);
    assert_text(set.terms.items[0], "ＶＰＮ");
    assert_text(set.terms.items[1], "仮想 専用線");
    assert_false(mirai_has(synonyms, &set, note));
    assert_int_equal(count_changes(f), 1);
    mirai_set(synonyms_replace, &replace, id, set.id);
    mirai_set(synonyms_replace, &replace, terms, TERMS(f, "VPN", "トンネル"));
    mirai_set(synonyms_replace, &replace, note, MIRAI_STR("ネットワーク課"));
    assert_int_equal(CALL(f, &admin, synonyms_replace, &replace, &set), 0);
    assert_int_equal(set.terms.count, 2);
    assert_text(set.note, "ネットワーク課");
    assert_int_equal(count_changes(f), 2);
    make_set(f, TERMS(f, "VPN", "社外接続")); /* a term may be in two sets */
    assert_int_equal(remove_set(f, set.id), 0);
    assert_int_equal(count_changes(f), 4);
    assert_int_equal(CALL(f, &admin, synonyms_replace, &replace, NULL), MIRAI_E_NOT_FOUND);
    assert_int_equal(CALL(f, &editor, synonyms_replace, &replace, NULL), MIRAI_E_FORBIDDEN);
    assert_int_equal(count_changes(f), 4);
}

static void faults_are_named_by_their_place(void **state)
{
    struct fixture *f = *state;
    char long_term[3 * 101 + 1] = "";
    const char *many[51];
    for (int i = 0; i < 101; i++) {
        memcpy(long_term + i * 3, "長", 4);
    }
    for (int i = 0; i < 51; i++) {
        many[i] = "same";
    }
    static const char *const hidden[] = {"b", "a\xe2\x80\x8b"}; /* a zero width space */
    struct {
        struct mirai_strs terms;
        const char *path, *problem;
    } rows[] = {
        {TERMS(f, "a"), "/terms", "too-short"},
        {(struct mirai_strs){0}, "/terms", "too-short"},
        {TERMS(f, "a", "b", "　"), "/terms/2", "too-short"},
        {TERMS(f, "パスワード", "ﾊﾟｽﾜｰﾄﾞ"), "/terms/1", "duplicate"},
        {TERMS(f, "VPN", "x", " vpn"), "/terms/2", "duplicate"},
        {TERMS(f, "a", long_term), "/terms/1", "too-long"},
        {TERMS(f, "a = b", "c"), "/terms/0", "format"},
        {TERMS(f, "a", "# b"), "/terms/1", "format"},
        {TERMS(f, "a",
               "\xe2\x80\xae"
               "b"),
         "/terms/1", "format"},
        {strs(f, 2, hidden), "/terms/1", "format"},
        {strs(f, 51, many), "/terms", "too-many"},
    };
    size_t before = list_sets(f).items.count;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct answer answer = try_set(f, rows[i].terms);
        assert_fault(&answer, rows[i].path, rows[i].problem);
    }
    assert_int_equal(list_sets(f).items.count, before);
    assert_int_equal(count_changes(f), 0);
    make_set(f, TERMS(f, "#NAME?", "C#", "a=b", "<script>", "'; DROP TABLE synonyms; --", "絵😀"));
    assert_int_equal(list_sets(f).items.count, before + 1);
}

static void there_is_an_end_to_sets(void **state)
{
    struct fixture *f = *state;
    fixture_stop(f);
    assert_int_equal(store_open(&f->store, f->dir), 0);
    assert_int_equal(
        db_run_script(f->store.writer.db,
                      "DELETE FROM synonyms; WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n"
                      " WHERE i < 9999) INSERT INTO synonyms (terms, updated_at) SELECT i || char(10) ||"
                      " 'x' || i, 0 FROM n;"),
        0);
    store_close(&f->store);
    memset(&f->store, 0, sizeof(f->store));
    fixture_start(f);
    struct mirai_synonyms last = make_set(f, TERMS(f, "a", "b"));
    struct answer refused = try_set(f, TERMS(f, "c", "d"));
    assert_int_equal(refused.status, MIRAI_E_CONFLICT);
    assert_int_equal(list_sets(f).items.count, 10000);
    assert_int_equal(remove_set(f, last.id), 0);
    make_set(f, TERMS(f, "c", "d"));
}

/* All must fit into one frame between daemons. */
static void there_is_an_end_to_their_bytes(void **state)
{
    struct fixture *f = *state;
    fixture_stop(f);
    assert_int_equal(store_open(&f->store, f->dir), 0);
    assert_int_equal(
        db_run_script(f->store.writer.db,
                      "DELETE FROM synonyms; WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n"
                      " WHERE i < 4194) INSERT INTO synonyms (terms, updated_at) SELECT"
                      " replace(printf('%.4c', '.'), '.', printf('%.199c', 'a') || char(10)) ||"
                      " printf('%.200c', 'b'), 0 FROM n;"),
        0);
    store_close(&f->store);
    memset(&f->store, 0, sizeof(f->store));
    fixture_start(f);
    char one[101] = "", other[101] = "";
    memset(one, 'x', 100);
    memset(other, 'y', 100);
    make_set(f, TERMS(f, one, "c"));
    struct answer refused = try_set(f, TERMS(f, one, other, "d"));
    assert_int_equal(refused.status, MIRAI_E_CONFLICT);
    assert_int_equal(list_sets(f).items.count, 4195);
}

static int add_word(struct fixture *f, const char *surface, const char *reading,
                    struct mirai_dictionary_word *word)
{
    struct mirai_dictionary_word_create params = {0};
    mirai_set(dictionary_word_create, &params, surface, mirai_str(surface));
    if (reading != NULL) {
        mirai_set(dictionary_word_create, &params, reading, mirai_str(reading));
    }
    return CALL(f, &admin, dictionary_create, &params, word);
}

static void words_are_added_once_and_removed(void **state)
{
    struct fixture *f = *state;
    struct mirai_dictionary_word word, other;
    struct mirai_dictionary_page page;
    struct mirai_by_id which = {0};
    assert_int_equal(add_word(f, " 未来　ナレッジ", "みらい ナレッジ", &word), 0);
    assert_text(word.surface, "未来 ナレッジ");
    assert_text(word.reading, "みらい ナレッジ");
    assert_int_equal(add_word(f, "ＺＡＢＢＩＸ", NULL, &other), 0);
    assert_false(mirai_has(dictionary_word, &other, reading));
    assert_int_equal(add_word(f, "zabbix", NULL, NULL), MIRAI_E_CONFLICT);
    assert_int_equal(add_word(f, "　", NULL, NULL), MIRAI_E_UNPROCESSABLE);
    assert_int_equal(add_word(f, "a = b", NULL, NULL), MIRAI_E_UNPROCESSABLE);
    static const char *const no_kana[] = {"漢字", "abc", "ア\xc2\xa9", "。", "😀", "ｱa"};
    for (size_t i = 0; i < sizeof(no_kana) / sizeof(no_kana[0]); i++) {
        assert_int_equal(add_word(f, "読み", no_kana[i], NULL), MIRAI_E_UNPROCESSABLE);
    }
    assert_int_equal(add_word(f, "読み", "ﾖﾐよミー・", NULL), 0);
    assert_int_equal(CALL(f, &admin, dictionary_list, NULL, &page), 0);
    assert_int_equal(page.items.count, 3);
    assert_int_equal(count_changes(f), 3);
    mirai_set(by_id, &which, id, word.id);
    assert_int_equal(CALL(f, &editor, dictionary_delete, &which, NULL), MIRAI_E_FORBIDDEN);
    assert_int_equal(CALL(f, &admin, dictionary_delete, &which, NULL), 0);
    assert_int_equal(CALL(f, &admin, dictionary_delete, &which, NULL), MIRAI_E_NOT_FOUND);
    assert_int_equal(count_changes(f), 4);
    assert_int_equal(CALL(f, &daemon_, dictionary_list, NULL, &page), 0);
    assert_int_equal(page.items.count, 2);
    assert_int_equal(CALL(f, &viewer, dictionary_list, NULL, NULL), MIRAI_E_FORBIDDEN);
}

static void changes_are_audited(void **state)
{
    struct fixture *f = *state;
    struct mirai_audit_list params = {0};
    struct mirai_audit_page page;
    struct mirai_synonyms set = make_set(f, TERMS(f, "a", "b"));
    char object[32];
    assert_int_equal(remove_set(f, set.id), 0);
    assert_int_equal(CALL(f, &admin, audit_list, &params, &page), 0);
    snprintf(object, sizeof(object), "synonyms/%lld", (long long)set.id);
    static const char *const actions[] = {"synonyms.delete", "synonyms.create"};
    for (size_t i = 0; i < 2; i++) {
        const struct mirai_audit_entry *entry = &MIRAI_ITEMS(audit_entry, &page.items)[i];
        assert_text(entry->action, actions[i]);
        assert_text(entry->object, object);
    }
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, fixture_open, fixture_close)
    const struct CMUnitTest tests[] = {
        TEST(a_new_store_has_the_starter_set),   TEST(what_an_admin_deletes_stays_deleted),
        TEST(sets_are_made_changed_and_removed), TEST(faults_are_named_by_their_place),
        TEST(there_is_an_end_to_sets),           TEST(there_is_an_end_to_their_bytes),
        TEST(words_are_added_once_and_removed),  TEST(changes_are_audited),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
