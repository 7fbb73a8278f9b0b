/* A document as weighted terms: BM25F worked out once, at indexing, into one small number for each term. */
#ifndef SEARCH_TERMS_H
#define SEARCH_TERMS_H

#include "services/search-index/analyzer/analyzer.h"

enum terms_field {
    TERMS_TITLE,
    TERMS_TAGS,
    TERMS_HEADINGS,
    TERMS_BODY,
    TERMS_FIELD_COUNT,
};

/* Impacts are quantised to 1..TERMS_LEVELS (Anh & Moffat 2006, "Pruned query evaluation using pre-computed
 * impacts"). */
#define TERMS_LEVELS 48

/* First byte of a bigram in the index, so that the two views share one table and never meet. */
#define TERMS_BIGRAM_MARK '\x02'

struct terms;

struct terms *terms_new(struct analyzer *analyzer);
void terms_free(struct terms *terms);

/* Begin a document. */
void terms_clear(struct terms *terms);

/* Add the text of one field; a field may be added in pieces. */
void terms_add(struct terms *terms, enum terms_field field, struct mirai_str text);

/* Add a Markdown body: lines of headings go to TERMS_HEADINGS, all others to TERMS_BODY. */
void terms_add_markdown(struct terms *terms, struct mirai_str markdown);

/* Append the document for the tokenizer of postings.h: line n (from 1) has the terms of level n, separated by
 * spaces. The same document always gives the same bytes. */
void terms_encode(struct terms *terms, struct mirai_buf *out);

/* Append a token as the index knows it. */
void terms_append_key(struct mirai_buf *out, const struct analyzer_token *token);

/* Level back to the tf part of BM25, 0..1. */
static inline double terms_impact(unsigned level)
{
    return (double)level / TERMS_LEVELS;
}

#endif
