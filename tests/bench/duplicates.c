/* Whether near-duplicates are told from articles that only look alike. bench-duplicates FILE.md ...: edits each file in
 * known ways, and counts who reaches the mark of duplicates. Beside it: the overlap of plain character pairs, and of sets
 * of five characters (as MinHash estimates it). The random numbers are the same in each run. SHOW_PAIRS=1 also names the
 * pairs of different articles that reach the mark. */
#include "libcommon/time.h"
#include "services/search-index/insight/similarity.h"

#include <stdio.h>
#include <stdlib.h>

#define FILES_MAX  4096
#define PIECES_MAX 4096

struct document {
    char *data;
    struct mirai_str title;
    struct mirai_str body;
};

static struct document documents[FILES_MAX];
static size_t documents_len;
static uint64_t seed = 88172645463325252u;
static struct similarity_workspace workspace;

static uint32_t chance(uint32_t below)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (uint32_t)(seed >> 32) % below;
}

static bool read_file(const char *path, struct document *out)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        return false;
    }
    struct mirai_buf buf = {0};
    char chunk[4096];
    size_t n;
    while ((n = fread(chunk, 1, sizeof(chunk), file)) > 0) {
        mirai_buf_append(&buf, chunk, n);
    }
    fclose(file);
    mirai_buf_append_char(&buf, '\0');
    out->data = buf.data;
    char *body = buf.data;
    char *title = strstr(buf.data, "title:");
    char *end = strncmp(buf.data, "---", 3) == 0 ? strstr(buf.data + 3, "\n---") : NULL;
    if (end != NULL) {
        body = end + 4;
        title = title != NULL && title < end ? title + 6 : body;
    } else {
        title = buf.data;
    }
    out->title = (struct mirai_str){title, strcspn(title, "\n")};
    out->body = mirai_str(body);
    return mirai_utf8_valid(out->body) && out->body.len > 600;
}

/* ------------------------------------------------------------------ edits */

/* Sentences and lines, each with its end. */
static size_t split(struct mirai_str text, struct mirai_str pieces[PIECES_MAX])
{
    size_t count = 0;
    size_t from = 0;
    for (size_t i = 0; i < text.len && count < PIECES_MAX; i++) {
        bool stop = text.data[i] == '\n' || i + 1 == text.len ||
                    (i >= 2 && memcmp(text.data + i - 2, "。", 3) == 0) ||
                    (text.data[i] == '.' && text.data[i + 1] == ' ');
        if (stop) {
            pieces[count++] = (struct mirai_str){text.data + from, i + 1 - from};
            from = i + 1;
        }
    }
    return count;
}

static bool is_frame(struct mirai_str piece)
{
    return piece.len < 4 || piece.data[0] == '#' || piece.data[0] == '`';
}

static struct mirai_str foreign_sentence(size_t not_of)
{
    static struct mirai_str pieces[PIECES_MAX];
    for (;;) {
        size_t other = chance((uint32_t)documents_len);
        size_t count = other != not_of ? split(documents[other].body, pieces) : 0;
        struct mirai_str piece = count > 0 ? pieces[chance((uint32_t)count)] : (struct mirai_str){0};
        if (!is_frame(piece)) {
            return piece;
        }
    }
}

/* `percent` of the sentences become ones of other articles. */
static void edit_sentences(size_t at, unsigned percent, struct mirai_buf *out)
{
    static struct mirai_str pieces[PIECES_MAX];
    size_t count = split(documents[at].body, pieces);
    for (size_t i = 0; i < count; i++) {
        bool other = !is_frame(pieces[i]) && chance(100) < percent;
        mirai_buf_append_str(out, other ? foreign_sentence(at) : pieces[i]);
    }
}

/* Strokes of three characters, so many that `percent` of the characters change. */
static void edit_characters(size_t at, unsigned percent, struct mirai_buf *out)
{
    struct mirai_str text = documents[at].body;
    unsigned left = 0;
    for (size_t i = 0; i < text.len;) {
        unsigned len;
        uint32_t cp = utf8_decode(text.data + i, text.data + text.len, &len);
        left = left > 0 ? left - 1 : chance(300) < percent ? 3 : 0;
        if (left > 0 && cp >= 0x80) {
            mirai_buf_append_char(out, (char)0xE7);
            mirai_buf_append_char(out, (char)(0x80 + chance(64)));
            mirai_buf_append_char(out, (char)(0x80 + chance(64)));
        } else if (left > 0 && cp > ' ') {
            mirai_buf_append_char(out, (char)('a' + chance(26)));
        } else {
            mirai_buf_append(out, text.data + i, len);
        }
        i += len;
    }
}

/* Lines in another order. */
static void edit_order(size_t at, unsigned unused, struct mirai_buf *out)
{
    static struct mirai_str pieces[PIECES_MAX];
    size_t count = split(documents[at].body, pieces);
    (void)unused;
    for (size_t i = count; i > 1; i--) {
        size_t j = chance((uint32_t)i);
        struct mirai_str swap = pieces[i - 1];
        pieces[i - 1] = pieces[j];
        pieces[j] = swap;
    }
    for (size_t i = 0; i < count; i++) {
        mirai_buf_append_str(out, pieces[i]);
    }
}

/* Every digit another one: dates, times, addresses, host numbers. */
static void edit_digits(size_t at, unsigned unused, struct mirai_buf *out)
{
    (void)unused;
    for (size_t i = 0; i < documents[at].body.len; i++) {
        char c = documents[at].body.data[i];
        mirai_buf_append_char(out, c >= '0' && c <= '9' ? (char)('0' + chance(10)) : c);
    }
}

/* Letters and digits in full width. */
static void edit_width(size_t at, unsigned unused, struct mirai_buf *out)
{
    (void)unused;
    for (size_t i = 0; i < documents[at].body.len; i++) {
        unsigned char c = (unsigned char)documents[at].body.data[i];
        bool letter = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (letter) {
            unsigned cp = 0xFF00u + c - 0x20;
            mirai_buf_append_char(out, (char)(0xE0 | cp >> 12));
            mirai_buf_append_char(out, (char)(0x80 | (cp >> 6 & 0x3F)));
            mirai_buf_append_char(out, (char)(0x80 | (cp & 0x3F)));
        } else {
            mirai_buf_append_char(out, (char)c);
        }
    }
}

static const char *const frame[] = {
    "## 概要\n\n",     "## 影響\n\n影響範囲: ",  "## 発生日時\n\n発生日時: 2026-04-01 09:30\n\n",
    "## 原因\n\n",     "## 暫定対応\n\n",        "## 恒久対応\n\n担当: 情報システム部\n\n",
    "## 再発防止\n\n", "## 関連\n\n- 特になし\n"};

/* Two articles of one form: the same headings and labels, `percent` sentences of this one for each. */
static void fill_form(size_t at, unsigned sentences, struct mirai_buf *out)
{
    static struct mirai_str pieces[PIECES_MAX];
    size_t count = split(documents[at].body, pieces);
    size_t next = 0;
    for (size_t i = 0; i < sizeof(frame) / sizeof(frame[0]); i++) {
        mirai_buf_append_str(out, mirai_str(frame[i]));
        for (unsigned n = 0; n < sentences && next < count; next++) {
            if (!is_frame(pieces[next])) {
                mirai_buf_append_str(out, pieces[next]);
                mirai_buf_append_char(out, '\n');
                n++;
            }
        }
        mirai_buf_append_char(out, '\n');
    }
}

/* ------------------------------------------------------------------ measures */

static int compare_u64(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* All runs of n characters of a normalised text, as hashes; sorted. */
static size_t shingles(struct mirai_str text, size_t n, uint64_t **out)
{
    static struct normalized normalised;
    normalize(&normalised, text, false);
    struct mirai_str s = mirai_buf_str(&normalised.text);
    uint32_t last[8] = {0};
    size_t count = 0;
    *out = mirai_alloc((s.len + 1) * sizeof(**out));
    for (size_t at = 0, seen = 0; at < s.len;) {
        unsigned len;
        uint32_t cp = utf8_decode(s.data + at, s.data + s.len, &len);
        at += len;
        if (cp == ' ' || cp == '\n') {
            continue;
        }
        memmove(last, last + 1, sizeof(last) - sizeof(last[0]));
        last[7] = cp;
        uint64_t hash = 14695981039346656037u;
        for (size_t i = 8 - n; i < 8; i++) {
            hash = (hash ^ last[i]) * 1099511628211u;
        }
        if (++seen >= n) {
            (*out)[count++] = hash;
        }
    }
    qsort(*out, count, sizeof(**out), compare_u64);
    return count;
}

/* Dice's coefficient of bags, or Jaccard's of sets. */
static double plain(struct mirai_str a, struct mirai_str b, size_t n, bool sets)
{
    uint64_t *x;
    uint64_t *y;
    size_t x_len = shingles(a, n, &x);
    size_t y_len = shingles(b, n, &y);
    size_t x_all = 0;
    size_t y_all = 0;
    size_t common = 0;
    for (size_t i = 0, j = 0; i < x_len || j < y_len;) {
        bool take_x = i < x_len && (j == y_len || x[i] <= y[j]);
        bool take_y = j < y_len && (i == x_len || y[j] <= x[i]);
        uint64_t value = take_x ? x[i] : y[j];
        common += take_x && take_y;
        x_all += take_x;
        y_all += take_y;
        i += take_x;
        j += take_y;
        while (sets && i < x_len && x[i] == value) {
            i++;
        }
        while (sets && j < y_len && y[j] == value) {
            j++;
        }
    }
    free(x);
    free(y);
    return sets ? (double)common / ((double)(x_all + y_all - common) + 1e-9)
                : 2.0 * (double)common / ((double)(x_all + y_all) + 1e-9);
}

struct tally {
    unsigned pairs;
    unsigned reached[3];
    double sum[3];
    double least;
    double most;
};

static void note(struct tally *tally, const double values[3])
{
    for (int i = 0; i < 3; i++) {
        tally->reached[i] += values[i] >= SIMILARITY_DUPLICATE;
        tally->sum[i] += values[i];
    }
    tally->least = tally->pairs == 0 || values[0] < tally->least ? values[0] : tally->least;
    tally->most = values[0] > tally->most ? values[0] : tally->most;
    tally->pairs++;
}

static void print(const char *name, const struct tally *tally)
{
    printf("%-44s %6u", name, tally->pairs);
    for (int i = 0; i < 3; i++) {
        printf("  %5.3f %5.1f %%", tally->sum[i] / tally->pairs, 100.0 * tally->reached[i] / tally->pairs);
    }
    printf("  %5.3f %5.3f\n", tally->least, tally->most);
}

static void compare(struct mirai_str title_a, struct mirai_str a, struct mirai_str title_b,
                    struct mirai_str b, struct tally *tally)
{
    static struct similarity_profile x;
    static struct similarity_profile y;
    similarity_profile_make(&workspace, title_a, a, &x);
    similarity_profile_make(&workspace, title_b, b, &y);
    const double values[3] = {similarity(&x, &y), plain(a, b, 2, false), plain(a, b, 5, true)};
    note(tally, values);
}

struct edit {
    const char *name;
    void (*make)(size_t at, unsigned percent, struct mirai_buf *out);
    unsigned percent;
};

static const struct edit edits[] = {
    {"5 % of the sentences replaced", edit_sentences, 5},
    {"10 % of the sentences replaced", edit_sentences, 10},
    {"20 % of the sentences replaced", edit_sentences, 20},
    {"40 % of the sentences replaced", edit_sentences, 40},
    {"5 % of the characters changed", edit_characters, 5},
    {"10 % of the characters changed", edit_characters, 10},
    {"20 % of the characters changed", edit_characters, 20},
    {"40 % of the characters changed", edit_characters, 40},
    {"lines and sentences in another order", edit_order, 0},
    {"other digits: dates, addresses, hosts", edit_digits, 0},
    {"letters and digits in full width", edit_width, 0},
};

static void run_edits(void)
{
    for (size_t e = 0; e < sizeof(edits) / sizeof(edits[0]); e++) {
        struct tally tally = {0};
        for (size_t at = 0; at < documents_len; at++) {
            struct mirai_buf edited = {0};
            edits[e].make(at, edits[e].percent, &edited);
            compare(documents[at].title, documents[at].body, documents[at].title, mirai_buf_str(&edited),
                    &tally);
            mirai_buf_free(&edited);
        }
        print(edits[e].name, &tally);
    }
}

static void run_forms(unsigned sentences, const char *name)
{
    struct tally tally = {0};
    for (size_t at = 0; at + 1 < documents_len; at++) {
        struct mirai_buf a = {0};
        struct mirai_buf b = {0};
        fill_form(at, sentences, &a);
        fill_form(at + 1, sentences, &b);
        compare(documents[at].title, mirai_buf_str(&a), documents[at + 1].title, mirai_buf_str(&b), &tally);
        mirai_buf_free(&a);
        mirai_buf_free(&b);
    }
    print(name, &tally);
}

/* Each article against the one that is most like it of all others. */
static void run_neighbours(void)
{
    struct tally tally = {0};
    struct similarity_profile *profiles = mirai_alloc(documents_len * sizeof(*profiles));
    uint64_t start = mirai_monotonic_us();
    for (size_t i = 0; i < documents_len; i++) {
        similarity_profile_make(&workspace, documents[i].title, documents[i].body, &profiles[i]);
    }
    double make_us = (double)(mirai_monotonic_us() - start) / (double)documents_len;
    start = mirai_monotonic_us();
    for (size_t i = 0; i < documents_len; i++) {
        double best = -1;
        size_t of = 0;
        for (size_t j = 0; j < documents_len; j++) {
            double value = i != j ? similarity(&profiles[i], &profiles[j]) : -1;
            of = value > best ? j : of;
            best = value > best ? value : best;
        }
        const double values[3] = {best, plain(documents[i].body, documents[of].body, 2, false),
                                  plain(documents[i].body, documents[of].body, 5, true)};
        if (best >= SIMILARITY_DUPLICATE && getenv("SHOW_PAIRS") != NULL) {
            printf("%.3f %.*s / %.*s\n", best, MIRAI_STR_ARG(documents[i].title),
                   MIRAI_STR_ARG(documents[of].title));
        }
        note(&tally, values);
    }
    double pairs = (double)documents_len * (double)(documents_len - 1);
    double compare_us = (double)(mirai_monotonic_us() - start) / pairs;
    print("the most similar other article", &tally);
    printf("\n%.0f us to make a profile, %.1f us to compare two\n", make_us, compare_us);
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc && documents_len < FILES_MAX; i++) {
        documents_len += read_file(argv[i], &documents[documents_len]);
    }
    if (documents_len < 3) {
        fprintf(stderr, "usage: bench-duplicates FILE.md ... (three or more of 600 bytes)\n");
        return 2;
    }
    printf("%zu articles. For each measure: mean, and how many reach %.2f; then the least and the greatest "
           "of ours\n\n",
           documents_len, SIMILARITY_DUPLICATE);
    printf("%-44s %6s  %-14s %-14s %-14s\n", "", "pairs", "ours", "pairs of chars", "sets of five");
    run_edits();
    run_forms(1, "another article, same form, a sentence each");
    run_forms(3, "another article, same form, three each");
    run_neighbours();
    return 0;
}
