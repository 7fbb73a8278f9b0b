/* miraictl synonyms … and words …: what an organisation teaches its search. */
#include "services/ctl/commands.h"
#include "services/ctl/ctl.h"
#include "services/ctl/new_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Files of both are lines whose terms are separated by this; those that begin with "# " are comments. */
#define SEPARATOR " = "

#define TERMS_MAX 64 /* more than a set may have: the store says so */

/* ------------------------------------------------------------------ what both share */

static int parse_id(struct ctl *ctl, int64_t *id)
{
    return mirai_parse_int(mirai_str(ctl_argument(ctl, 0)), 1, INT64_MAX, id) == 0
               ? CTL_OK
               : ctl_fail(ctl, CTL_USAGE, text("\"%s\" は ID ではありません", "\"%s\" is no id"),
                          ctl_argument(ctl, 0));
}

/* Remove what the first argument is the id of. */
static int remove_by_id(struct ctl *ctl, enum mirai_method_id method, const char *said)
{
    struct mirai_by_id which = {0};
    int64_t id;
    if (parse_id(ctl, &id) != CTL_OK) {
        return CTL_USAGE;
    }
    mirai_set(by_id, &which, id, id);
    int err = ctl_call(ctl, method, &which, CTL_DEADLINE_MS, NULL);
    if (err == 0 && ctl->cli.json) {
        ctl_print_json(&mirai_message_by_id, &which);
    } else if (err == 0) {
        ctl_say(ctl, "%s", said);
    }
    return ctl_exit_of(err);
}

static struct mirai_str trim(struct mirai_str s)
{
    while (s.len > 0 && (s.data[0] == ' ' || s.data[0] == '\t')) {
        s.data++;
        s.len--;
    }
    while (s.len > 0 && strchr(" \t\r\n", s.data[s.len - 1]) != NULL) {
        s.len--;
    }
    return s;
}

static bool is_comment(struct mirai_str line)
{
    return line.len == 0 || (line.data[0] == '#' && (line.len == 1 || line.data[1] == ' '));
}

/* The terms of a line, in the arena. */
static struct mirai_strs split(struct ctl *ctl, struct mirai_str line)
{
    struct mirai_strs terms = {.items = mirai_arena_alloc(&ctl->arena, TERMS_MAX * sizeof(*terms.items))};
    struct mirai_str rest = mirai_arena_copy(&ctl->arena, line);
    while (terms.count < TERMS_MAX) {
        const char *end = memmem(rest.data, rest.len, SEPARATOR, sizeof(SEPARATOR) - 1);
        size_t len = end != NULL ? (size_t)(end - rest.data) : rest.len;
        terms.items[terms.count++] = trim((struct mirai_str){rest.data, len});
        if (end == NULL) {
            break;
        }
        size_t taken = len + sizeof(SEPARATOR) - 1;
        rest = (struct mirai_str){rest.data + taken, rest.len - taken};
    }
    return terms;
}

/* What an import does with the terms of a line: 0 and whether it was there already, or an error. */
typedef int add_line(struct ctl *ctl, const struct mirai_strs *terms, const void *present, bool *same);

struct outcome {
    int64_t made, same, refused;
};

static int report_import(struct ctl *ctl, const struct outcome *outcome)
{
    if (ctl->cli.json) {
        printf("{\"made\": %lld, \"same\": %lld, \"refused\": %lld}\n", (long long)outcome->made,
               (long long)outcome->same, (long long)outcome->refused);
    } else {
        ctl_say(ctl,
                text("追加 %lld 件、登録済み %lld 件、拒否 %lld 件",
                     "%lld added, %lld there already, %lld refused"),
                (long long)outcome->made, (long long)outcome->same, (long long)outcome->refused);
    }
    return outcome->refused > 0 ? CTL_PARTLY : CTL_OK;
}

/* Add the line. False when it makes no sense to go on; *code tells. */
static bool import_line(struct ctl *ctl, struct mirai_str line, int64_t number, const void *present,
                        add_line *add, struct outcome *outcome, int *code)
{
    struct mirai_strs terms = split(ctl, line);
    bool same = false;
    int err = mirai_utf8_valid(line) ? add(ctl, &terms, present, &same) : MIRAI_E_UNPROCESSABLE;
    outcome->made += err == 0 && !same;
    outcome->same += err == 0 && same;
    if (err == 0) {
        return true;
    }
    bool refused = err == MIRAI_E_UNPROCESSABLE || err == MIRAI_E_CONFLICT;
    outcome->refused += refused;
    *code = ctl_fail(ctl, refused ? CTL_PARTLY : ctl_exit_of(err),
                     text("%s の %lld 行目: %s", "%s, line %lld: %s"), ctl_argument(ctl, 0),
                     (long long)number, text_error(err));
    return refused;
}

/* Every line of the file that the first argument names ("-": standard input). */
static int import_lines(struct ctl *ctl, const void *present, add_line *add)
{
    const char *path = ctl_argument(ctl, 0);
    FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
    struct outcome outcome = {0};
    char *line = NULL;
    size_t size = 0;
    int code = CTL_OK;
    bool goes_on = true;
    if (file == NULL) {
        return ctl_fail(ctl, CTL_FAILED, "%s: %s", path, strerror(errno));
    }
    for (int64_t number = 1; goes_on; number++) {
        ssize_t len = getline(&line, &size, file);
        if (len < 0) {
            break;
        }
        struct mirai_str trimmed = trim((struct mirai_str){line, (size_t)len});
        goes_on = is_comment(trimmed) || import_line(ctl, trimmed, number, present, add, &outcome, &code);
    }
    if (ferror(file) != 0) {
        goes_on = false;
        code = ctl_fail(ctl, CTL_FAILED, "%s: %s", path, strerror(errno));
    }
    free(line);
    if (file != stdin) {
        (void)fclose(file);
    }
    int reported = report_import(ctl, &outcome);
    return goes_on ? reported : code;
}

/* Write lines into the file that the first argument names. */
static int export_lines(struct ctl *ctl, const struct mirai_buf *lines, size_t count)
{
    const char *path = ctl_argument(ctl, 0);
    bool shown = strcmp(path, "-") == 0;
    FILE *file = new_file_open(ctl, path);
    if (file == NULL) {
        return CTL_FAILED;
    }
    fwrite(lines->data, 1, lines->len, file);
    int code = new_file_close(ctl, file, path);
    if (code != CTL_OK && !shown) {
        unlink(path);
    } else if (code == CTL_OK && !shown && ctl->cli.json) {
        printf("{\"lines\": %zu}\n", count);
    } else if (code == CTL_OK && !shown) {
        ctl_say(ctl, text("%zu 行を %s に書き出しました", "%zu lines were written to %s"), count, path);
    }
    return code;
}

/* ------------------------------------------------------------------ synonyms */

int command_synonyms_list(struct ctl *ctl)
{
    static const struct table_column columns[] = {
        {"id", "ID", "ID", TABLE_RIGHT},
        {"terms", "同義語", "TERMS", TABLE_LEFT},
        {"note", "メモ", "NOTE", TABLE_LEFT},
        {"updated_at", "更新", "UPDATED", TABLE_LEFT},
        {0},
    };
    struct mirai_synonyms_page page;
    int err = ctl_call(ctl, MIRAI_METHOD_ID_synonyms_list, NULL, CTL_DEADLINE_MS, &page);
    if (err == 0) {
        ctl_print_list(ctl, columns, &mirai_message_synonyms, &page.items);
    }
    return ctl_exit_of(err);
}

int command_synonyms_add(struct ctl *ctl)
{
    struct mirai_synonyms_create create = {0};
    struct mirai_synonyms set;
    struct mirai_strs terms = {.count = (size_t)ctl->cli.count};
    terms.items = mirai_arena_alloc(&ctl->arena, terms.count * sizeof(*terms.items));
    for (size_t i = 0; i < terms.count; i++) {
        terms.items[i] = mirai_str(ctl_argument(ctl, i));
    }
    mirai_set(synonyms_create, &create, terms, terms);
    if (!ctl_set(ctl, &mirai_message_synonyms_create, &create, "note", "--note")) {
        return CTL_USAGE;
    }
    int err = ctl_call(ctl, MIRAI_METHOD_ID_synonyms_create, &create, CTL_DEADLINE_MS, &set);
    if (err == 0 && ctl->cli.json) {
        ctl_print_json(&mirai_message_synonyms, &set);
    } else if (err == 0) {
        ctl_say(ctl, text("同義語 %lld を追加しました", "Synonyms %lld were added"), (long long)set.id);
    }
    return ctl_exit_of(err);
}

int command_synonyms_remove(struct ctl *ctl)
{
    return remove_by_id(ctl, MIRAI_METHOD_ID_synonyms_delete,
                        text("同義語を削除しました", "The synonyms were removed"));
}

static bool has_term(const struct mirai_strs *terms, struct mirai_str term)
{
    for (size_t i = 0; i < terms->count; i++) {
        if (mirai_str_eq(terms->items[i], term)) {
            return true;
        }
    }
    return false;
}

/* Whether a set of these terms, in any order, is there. */
static bool has_set(const struct mirai_objects *sets, const struct mirai_strs *terms)
{
    for (size_t i = 0; i < sets->count; i++) {
        const struct mirai_strs *set = &MIRAI_ITEMS(synonyms, sets)[i].terms;
        size_t found = 0;
        while (set->count == terms->count && found < terms->count && has_term(set, terms->items[found])) {
            found++;
        }
        if (set->count == terms->count && found == terms->count) {
            return true;
        }
    }
    return false;
}

static int add_set(struct ctl *ctl, const struct mirai_strs *terms, const void *present, bool *same)
{
    struct mirai_synonyms_create create = {0};
    *same = has_set(present, terms);
    mirai_set(synonyms_create, &create, terms, *terms);
    return *same ? 0 : ctl_call_quiet(ctl, MIRAI_METHOD_ID_synonyms_create, &create, CTL_DEADLINE_MS, NULL);
}

int command_synonyms_import(struct ctl *ctl)
{
    struct mirai_synonyms_page page;
    int err = ctl_call(ctl, MIRAI_METHOD_ID_synonyms_list, NULL, CTL_DEADLINE_MS, &page);
    return err != 0 ? ctl_exit_of(err) : import_lines(ctl, &page.items, add_set);
}

int command_synonyms_export(struct ctl *ctl)
{
    struct mirai_synonyms_page page;
    struct mirai_buf lines = {0};
    int err = ctl_call(ctl, MIRAI_METHOD_ID_synonyms_list, NULL, CTL_DEADLINE_MS, &page);
    if (err != 0) {
        return ctl_exit_of(err);
    }
    for (size_t i = 0; i < page.items.count; i++) {
        const struct mirai_strs *terms = &MIRAI_ITEMS(synonyms, &page.items)[i].terms;
        for (size_t k = 0; k < terms->count; k++) {
            mirai_buf_append_str(&lines, k > 0 ? MIRAI_STR(SEPARATOR) : MIRAI_STR(""));
            mirai_buf_append_str(&lines, terms->items[k]);
        }
        mirai_buf_append_char(&lines, '\n');
    }
    int code = export_lines(ctl, &lines, page.items.count);
    mirai_buf_free(&lines);
    return code;
}

/* ------------------------------------------------------------------ words */

int command_words_list(struct ctl *ctl)
{
    static const struct table_column columns[] = {
        {"id", "ID", "ID", TABLE_RIGHT},
        {"surface", "単語", "WORD", TABLE_LEFT},
        {"reading", "読み", "READING", TABLE_LEFT},
        {"updated_at", "更新", "UPDATED", TABLE_LEFT},
        {0},
    };
    struct mirai_dictionary_page page;
    int err = ctl_call(ctl, MIRAI_METHOD_ID_dictionary_list, NULL, CTL_DEADLINE_MS, &page);
    if (err == 0) {
        ctl_print_list(ctl, columns, &mirai_message_dictionary_word, &page.items);
    }
    return ctl_exit_of(err);
}

int command_words_add(struct ctl *ctl)
{
    struct mirai_dictionary_word_create create = {0};
    struct mirai_dictionary_word word;
    mirai_set(dictionary_word_create, &create, surface, mirai_str(ctl_argument(ctl, 0)));
    if (!ctl_set(ctl, &mirai_message_dictionary_word_create, &create, "reading", "--reading")) {
        return CTL_USAGE;
    }
    int err = ctl_call(ctl, MIRAI_METHOD_ID_dictionary_create, &create, CTL_DEADLINE_MS, &word);
    if (err == 0 && ctl->cli.json) {
        ctl_print_json(&mirai_message_dictionary_word, &word);
    } else if (err == 0) {
        ctl_say(ctl, text("単語 %lld を追加しました", "Word %lld was added"), (long long)word.id);
    }
    return ctl_exit_of(err);
}

int command_words_remove(struct ctl *ctl)
{
    return remove_by_id(ctl, MIRAI_METHOD_ID_dictionary_delete,
                        text("単語を削除しました", "The word was removed"));
}

/* "word" or "word = reading". */
static int add_word(struct ctl *ctl, const struct mirai_strs *terms, const void *present, bool *same)
{
    const struct mirai_objects *words = present;
    struct mirai_dictionary_word_create create = {0};
    struct mirai_str reading = terms->count > 1 ? terms->items[1] : MIRAI_STR("");
    for (size_t i = 0; i < words->count; i++) {
        const struct mirai_dictionary_word *word = &MIRAI_ITEMS(dictionary_word, words)[i];
        *same =
            *same || (mirai_str_eq(word->surface, terms->items[0]) && mirai_str_eq(word->reading, reading));
    }
    mirai_set(dictionary_word_create, &create, surface, terms->items[0]);
    if (reading.len > 0) {
        mirai_set(dictionary_word_create, &create, reading, reading);
    }
    return *same ? 0
           : terms->count > 2
               ? MIRAI_E_UNPROCESSABLE
               : ctl_call_quiet(ctl, MIRAI_METHOD_ID_dictionary_create, &create, CTL_DEADLINE_MS, NULL);
}

int command_words_import(struct ctl *ctl)
{
    struct mirai_dictionary_page page;
    int err = ctl_call(ctl, MIRAI_METHOD_ID_dictionary_list, NULL, CTL_DEADLINE_MS, &page);
    return err != 0 ? ctl_exit_of(err) : import_lines(ctl, &page.items, add_word);
}

int command_words_export(struct ctl *ctl)
{
    struct mirai_dictionary_page page;
    struct mirai_buf lines = {0};
    int err = ctl_call(ctl, MIRAI_METHOD_ID_dictionary_list, NULL, CTL_DEADLINE_MS, &page);
    if (err != 0) {
        return ctl_exit_of(err);
    }
    for (size_t i = 0; i < page.items.count; i++) {
        const struct mirai_dictionary_word *word = &MIRAI_ITEMS(dictionary_word, &page.items)[i];
        mirai_buf_append_str(&lines, word->surface);
        mirai_buf_append_str(&lines, word->reading.len > 0 ? MIRAI_STR(SEPARATOR) : MIRAI_STR(""));
        mirai_buf_append_str(&lines, word->reading);
        mirai_buf_append_char(&lines, '\n');
    }
    int code = export_lines(ctl, &lines, page.items.count);
    mirai_buf_free(&lines);
    return code;
}

/* ------------------------------------------------------------------ what was searched for */

int command_queries_list(struct ctl *ctl)
{
    static const struct table_column columns[] = {
        {"q", "検索語", "QUERY", TABLE_LEFT},
        {"count", "回数", "TIMES", TABLE_RIGHT},
        {"zero_count", "0 件", "NOTHING FOUND", TABLE_RIGHT},
        {"users", "利用者", "USERS", TABLE_RIGHT},
        {"clicks", "クリック", "CLICKS", TABLE_RIGHT},
        {"click_position", "平均順位", "MEAN PLACE", TABLE_RIGHT},
        {"last_at", "最終", "LAST", TABLE_LEFT},
        {0},
    };
    const struct mirai_message *message = &mirai_message_asked_query_list;
    struct mirai_asked_query_list list = {0};
    struct mirai_asked_query_page page;
    if (!ctl_set(ctl, message, &list, "days", "--days") ||
        !ctl_set(ctl, message, &list, "min_users", "--min-users") ||
        !ctl_set(ctl, message, &list, "limit", "--limit")) {
        return CTL_USAGE;
    }
    if (cli_value(&ctl->cli, "--zero") != NULL) {
        mirai_set(asked_query_list, &list, zero, true);
    }
    int err = ctl_call(ctl, MIRAI_METHOD_ID_asked_list, &list, CTL_DEADLINE_MS, &page);
    if (err == 0) {
        ctl_print_list(ctl, columns, &mirai_message_asked_query, &page.items);
    }
    return ctl_exit_of(err);
}
