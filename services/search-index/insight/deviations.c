#include "services/search-index/insight/deviations.h"

#include "services/search-index/insight/rules.h"
#include "services/search-index/insight/secrets.h"

#include <pthread.h>
#include <stdlib.h>

#define TEXT_LEAST     60  /* characters of the body that say something to others */
#define HEADINGS_FROM  800 /* characters from which a text needs headings */
#define TITLE_LEAST    3   /* characters of the title beside words that every title may have */
#define REFERENCES_MAX 200 /* that are looked up */

struct finding {
    const struct deviations_input *input;
    struct mirai_arena *arena;
    struct mirai_deviation *out;
    size_t count;
    int64_t lines[RULE_GENERAL_COUNT]; /* where a general rule was broken first; 0: it was not */
    size_t references;
};

static void report(struct finding *finding, const struct rule *rule, int64_t line)
{
    const struct rule_text *text =
        &rule->texts[finding->input->locale == MIRAI_LOCALE_JA ? MIRAI_LOCALE_JA : MIRAI_LOCALE_EN];
    if (finding->count == DEVIATIONS_MAX) {
        return;
    }
    struct mirai_str message = mirai_str(text->message);
    const char *mark = strstr(text->message, "%lld");
    if (mark != NULL) {
        message = mirai_arena_printf(finding->arena, "%.*s%lld%s", (int)(mark - text->message), text->message,
                                     (long long)line, mark + 4);
    }
    struct mirai_deviation *deviation = &finding->out[finding->count++];
    *deviation = (struct mirai_deviation){0};
    mirai_set(deviation, deviation, rule, mirai_str(rule->name));
    mirai_set(deviation, deviation, severity, mirai_str(rule->severity));
    mirai_set(deviation, deviation, message, message);
    if (text->hint != NULL) {
        mirai_set(deviation, deviation, hint, mirai_str(text->hint));
    }
}

/* ------------------------------------------------------------------ title */

/* Words of a title that say nothing of its own. */
static const char generic_words[] =
    "エラー|障害|問題|不具合|トラブル|異常|現象|発生|について|に関して|に関する|の件|お知らせ|ご連絡|質問|"
    "ご質問|問い合わせ|お問い合わせ|対応|対処|"
    "方法|手順|依頼|お願い|変更|作業|申請|リリース|報告|報告書|メモ|記録|テスト|無題|新規|至急|緊急|重要|"
    "確認|システム|サーバー|サーバ|できない|"
    "動かない|おかしい|しない|error*|issue*|problem*|incident*|trouble*|failure*|bug|bugs|question*|help|"
    "request*|change*|release*|"
    "about|report*|memo|note*|test|untitled|new|urgent|important|system|server|does|not|work|working|the|"
    "with|broken|something|wrong";

static struct phrase_set *generic;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void build_generic(void)
{
    generic = phrase_set_new();
    phrase_set_add(generic, generic_words, 0);
}

struct cover {
    struct mirai_str title;
    size_t at;
    size_t rest; /* characters that are none of generic_words */
};

/* Letters up to `end`; particles in hiragana do not count. */
static void count_letters(struct cover *cover, size_t end)
{
    const char *limit = cover->title.data + cover->title.len;
    while (cover->at < end) {
        unsigned len;
        enum char_class class = char_class(utf8_decode(cover->title.data + cover->at, limit, &len));
        cover->rest += class != CHAR_BREAK && class != CHAR_HIRAGANA;
        cover->at += len;
    }
}

static void on_generic(void *data, const struct phrase_match *match)
{
    struct cover *cover = data;
    if (match->start >= cover->at) {
        count_letters(cover, match->start);
        cover->at = match->start + match->len;
    }
}

static void check_title(struct finding *finding)
{
    struct cover cover = {.title = reading_title(finding->input->reading)};
    pthread_once(&once, build_generic);
    phrase_set_find(generic, cover.title, on_generic, &cover);
    bool any = cover.at > 0;
    count_letters(&cover, cover.title.len);
    struct cover all = {.title = cover.title};
    count_letters(&all, all.title.len);
    finding->lines[RULE_TITLE_MISSING] = all.rest == 0 && !any;
    finding->lines[RULE_TITLE_VAGUE] = cover.rest < TITLE_LEAST && (any || all.rest > 0);
}

/* ------------------------------------------------------------------ lines */

static void broken(struct finding *finding, enum general_rule rule, int64_t line)
{
    if (finding->lines[rule] == 0) {
        finding->lines[rule] = line;
    }
}

/* The number of the article behind "](/articles/", or -1 for a link to nothing; 0: it leads elsewhere. */
static int64_t link_target(struct mirai_str target)
{
    static const char *const paths[] = {"/articles/", "/api/v1/articles/"};
    if (target.len > 0 && (target.data[0] == ')' || (target.len > 1 && memcmp(target.data, "#)", 2) == 0))) {
        return -1;
    }
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        size_t at = strlen(paths[i]);
        if (target.len <= at || memcmp(target.data, paths[i], at) != 0) {
            continue;
        }
        size_t end = at;
        while (end < target.len && end - at < 18 && target.data[end] >= '0' && target.data[end] <= '9') {
            end++;
        }
        int64_t id = 0;
        return mirai_parse_int((struct mirai_str){target.data + at, end - at}, 1, INT64_MAX, &id) == 0 ? id
                                                                                                       : 0;
    }
    return 0;
}

static void check_links(struct finding *finding, struct mirai_str line, int64_t number)
{
    const struct deviations_input *input = finding->input;
    const char *end = line.data + line.len;
    const char *p = line.data;
    while (p < end && (p = memmem(p, (size_t)(end - p), "](", 2)) != NULL &&
           finding->references < REFERENCES_MAX) {
        p += 2;
        finding->references++;
        int64_t id = link_target((struct mirai_str){p, (size_t)(end - p)});
        if (id < 0 || (id > 0 && input->exists != NULL && !input->exists(input->data, id))) {
            broken(finding, RULE_DEAD_REFERENCE, number);
        }
    }
}

static void check_line(struct finding *finding, struct mirai_str line, int64_t number, bool code)
{
    switch (secret_in_line(line)) {
    case SECRET_PRIVATE_KEY:
    case SECRET_TOKEN:
    case SECRET_PASSWORD:
        broken(finding, RULE_SECRET, number);
        break;
    case SECRET_MY_NUMBER:
    case SECRET_CARD:
    case SECRET_PHONE:
        broken(finding, RULE_PERSONAL_DATA, number);
        break;
    case SECRET_NONE:
    case SECRET_KINDS:
        break;
    }
    if (!code) {
        check_links(finding, line, number);
    }
}

/* What is left in a text by mistake, not said of something. */
static bool has_placeholder(struct mirai_str line)
{
    static const char *const words[] = {"TODO",  "TBD",      "FIXME",    "未記入", "（記入",
                                        "(記入", "記載予定", "追記予定", "○○"};
    static const char first[] = "TF(\xE6\xE8\xEF\xE2"; /* bytes with which they begin */
    for (size_t at = 0; at < line.len; at++) {
        if (memchr(first, line.data[at], sizeof(first) - 1) == NULL) {
            continue;
        }
        for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
            if (words[i][0] != line.data[at]) {
                continue;
            }
            size_t len = strlen(words[i]);
            if (line.len - at >= len && memcmp(line.data + at, words[i], len) == 0) {
                return true;
            }
        }
    }
    return false;
}

static void check_lines(struct finding *finding, struct mirai_str text)
{
    bool code = false;
    for (int64_t number = 1; text.len > 0; number++) {
        const char *newline = memchr(text.data, '\n', text.len);
        size_t len = newline != NULL ? (size_t)(newline - text.data) : text.len;
        struct mirai_str line = {text.data, len};
        bool fence = len >= 3 && (memcmp(line.data, "```", 3) == 0 || memcmp(line.data, "~~~", 3) == 0);
        code ^= fence;
        check_line(finding, line, number, code);
        if (!code && has_placeholder(line)) {
            broken(finding, RULE_PLACEHOLDER, number);
        }
        len += newline != NULL;
        text = (struct mirai_str){text.data + len, text.len - len};
    }
}

/* ------------------------------------------------------------------ all */

static void check_general(struct finding *finding)
{
    const struct deviations_input *input = finding->input;
    check_title(finding);
    check_line(finding, input->title, 1, true);
    check_lines(finding, input->body);
    finding->lines[RULE_TEXT_SHORT] = input->reading->characters < TEXT_LEAST;
    finding->lines[RULE_NO_HEADINGS] =
        input->reading->characters >= HEADINGS_FROM && input->reading->headings == 0;
    finding->lines[RULE_NO_TAGS] = input->tags == 0;
}

static bool is_severity(const struct rule *rule, const char *severity)
{
    return strcmp(rule->severity, severity) == 0;
}

size_t deviations_find(const struct deviations_input *input, struct mirai_arena *arena,
                       struct mirai_deviation out[DEVIATIONS_MAX])
{
    static const char *const severities[] = {"error", "warning", "info"};
    struct finding finding = {.input = input, .arena = arena, .out = out};
    check_general(&finding);
    for (size_t s = 0; s < sizeof(severities) / sizeof(severities[0]); s++) {
        for (size_t i = 0; i < RULE_GENERAL_COUNT; i++) {
            if (finding.lines[i] != 0 && is_severity(&general_rules[i], severities[s])) {
                report(&finding, &general_rules[i], finding.lines[i]);
            }
        }
        for (size_t i = 0; i < rule_count; i++) {
            const struct rule *rule = &rule_table[i];
            if (rule->type == input->type && (input->reading->told & rule->any_of) == 0 &&
                is_severity(rule, severities[s])) {
                report(&finding, rule, 0);
            }
        }
    }
    return finding.count;
}
