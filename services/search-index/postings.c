#include "services/search-index/postings.h"

#include <stdlib.h>

/* Takes a position where a level has no term. Never searched for. */
static const char filler[] = "\x03";

typedef int (*emit_fn)(void *context, int flags, const char *token, int len, int start, int end);

static int tokenizer_create(void *context, const char **args, int count, Fts5Tokenizer **out)
{
    (void)context;
    (void)args;
    (void)count;
    static char the_only_one;
    *out = (Fts5Tokenizer *)&the_only_one;
    return SQLITE_OK;
}

static void tokenizer_delete(Fts5Tokenizer *tokenizer)
{
    (void)tokenizer;
}

/* One line of terms at one position: all but the first are "colocated". */
static int emit_level(void *context, const char *text, const char *line, const char *end, emit_fn emit)
{
    int flags = 0;
    int rc = SQLITE_OK;
    while (rc == SQLITE_OK && line < end) {
        const char *space = memchr(line, ' ', (size_t)(end - line));
        const char *stop = space != NULL ? space : end;
        if (stop > line) {
            rc = emit(context, flags, line, (int)(stop - line), (int)(line - text), (int)(stop - text));
            flags = FTS5_TOKEN_COLOCATED;
        }
        line = stop + 1;
    }
    return rc == SQLITE_OK && flags == 0 ? emit(context, 0, filler, 1, 0, 0) : rc;
}

static int tokenizer_run(Fts5Tokenizer *tokenizer, void *context, int flags, const char *text, int len,
                         emit_fn emit)
{
    (void)tokenizer;
    if ((flags & FTS5_TOKENIZE_QUERY) != 0) {
        return emit(context, 0, text, len, 0, len);
    }
    const char *end = text + len;
    int rc = SQLITE_OK;
    for (const char *line = text; rc == SQLITE_OK && line < end;) {
        const char *newline = memchr(line, '\n', (size_t)(end - line));
        const char *stop = newline != NULL ? newline : end;
        rc = emit_level(context, text, line, stop, emit);
        line = stop + 1;
    }
    return rc;
}

struct phrase_walk {
    struct postings_scan *scan;
    size_t term;
};

static int walk_row(const Fts5ExtensionApi *api, Fts5Context *fts, void *data)
{
    const struct phrase_walk *walk = data;
    Fts5PhraseIter iterator;
    int column = 0;
    int position = 0;
    int rc = api->xPhraseFirst(fts, 0, &iterator, &column, &position);
    if (rc != SQLITE_OK) {
        return rc;
    }
    unsigned level = position < 0 ? 1 : (unsigned)position + 1;
    return walk->scan->callback(walk->scan->data, walk->term, api->xRowid(fts), level) ? SQLITE_OK
                                                                                       : SQLITE_INTERRUPT;
}

/* Called for the first matching row only (LIMIT 1): walks every phrase's rows in C, past the virtual machine.
 */
static void scan_function(const Fts5ExtensionApi *api, Fts5Context *fts, sqlite3_context *result, int count,
                          sqlite3_value **args)
{
    (void)count;
    (void)args;
    struct postings_scan *scan = api->xUserData(fts);
    int rc = SQLITE_OK;
    int phrases = api->xPhraseCount(fts);
    for (int i = 0; rc == SQLITE_OK && i < phrases; i++) {
        struct phrase_walk walk = {scan, (size_t)i};
        rc = api->xQueryPhrase(fts, i, &walk, walk_row);
    }
    if (rc != SQLITE_OK) {
        sqlite3_result_error_code(result, rc);
    }
}

int postings_register(sqlite3 *db, struct postings_scan *scan)
{
    static fts5_tokenizer tokenizer = {tokenizer_create, tokenizer_delete, tokenizer_run};
    fts5_api *api = NULL;
    sqlite3_stmt *statement = NULL;
    int rc = sqlite3_prepare_v2(db, "SELECT fts5(?1)", -1, &statement, NULL);
    if (rc == SQLITE_OK) {
        sqlite3_bind_pointer(statement, 1, &api, "fts5_api_ptr", NULL);
        sqlite3_step(statement);
        rc = sqlite3_finalize(statement);
    }
    if (rc != SQLITE_OK || api == NULL || api->iVersion < 2) {
        return rc != SQLITE_OK ? rc : SQLITE_ERROR;
    }
    rc = api->xCreateTokenizer(api, "mirai_levels", NULL, &tokenizer, NULL);
    return rc == SQLITE_OK ? api->xCreateFunction(api, "mirai_scan", scan, scan_function, NULL) : rc;
}

void postings_expression(struct mirai_buf *out, const struct postings_term *terms, size_t count,
                         const char *joiner)
{
    for (size_t i = 0; i < count; i++) {
        if (i > 0) {
            mirai_buf_append_str(out, mirai_str(joiner));
        }
        mirai_buf_append_char(out, '"');
        for (size_t j = 0; j < terms[i].key.len; j++) {
            if (terms[i].key.data[j] == '"') {
                mirai_buf_append_char(out, '"');
            }
            mirai_buf_append_char(out, terms[i].key.data[j]);
        }
        mirai_buf_append_char(out, '"');
        if (terms[i].prefix) {
            mirai_buf_append_char(out, '*');
        }
    }
}

int postings_each(sqlite3 *db, const struct postings_term *terms, size_t count)
{
    if (count == 0) {
        return SQLITE_OK;
    }
    struct mirai_buf expression = {0};
    sqlite3_stmt *statement = NULL;
    postings_expression(&expression, terms, count, " OR ");
    int rc =
        sqlite3_prepare_v2(db, "SELECT mirai_scan(postings) FROM postings WHERE postings MATCH ?1 LIMIT 1",
                           -1, &statement, NULL);
    if (rc == SQLITE_OK) {
        sqlite3_bind_text(statement, 1, expression.data, (int)expression.len, SQLITE_STATIC);
        rc = sqlite3_step(statement);
        rc = rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
    }
    sqlite3_finalize(statement);
    mirai_buf_free(&expression);
    return rc;
}
