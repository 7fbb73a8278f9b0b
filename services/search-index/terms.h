/* A document as weighted terms: BM25F worked out once, at indexing, into one small number for each term. */
#ifndef SEARCH_TERMS_H
#define SEARCH_TERMS_H

#include "services/search-index/analyzer/analyzer.h"
#include "services/search-index/postings/segment.h"

enum terms_field {
    TERMS_TITLE, /* of an article; the name of a file */
    TERMS_TAGS,
    TERMS_HEADINGS, /* and summaries */
    TERMS_BODY,
    TERMS_FIELD_COUNT,
};

/* Impacts are quantised to 1..TERMS_LEVELS (Anh & Moffat 2006, "Pruned query evaluation using pre-computed
 * impacts"). */
#define TERMS_LEVELS SEGMENT_LEVELS

/* First bytes of terms, so that the views share one table and never meet: bigrams; and, for title:, the words and
 * bigrams of the title once more (that byte, then the term as it is). */
#define TERMS_TITLE_MARK  '\x01'
#define TERMS_BIGRAM_MARK '\x02'

/* A position counts the characters of the field's text before the token that are not CHAR_BREAK, so that spacing
 * makes no difference; the fields lie TERMS_FIELD_GAP apart. The body is first: small numbers are short. */
#define TERMS_FIELD_GAP          (1u << 21)
#define TERMS_POSITIONS_BODY     0
#define TERMS_POSITIONS_TITLE    (1 * TERMS_FIELD_GAP)
#define TERMS_POSITIONS_TAGS     (2 * TERMS_FIELD_GAP)
#define TERMS_POSITIONS_HEADINGS (3 * TERMS_FIELD_GAP)

struct terms;

struct terms *terms_new(struct analyzer *analyzer);
void terms_free(struct terms *terms);

/* Begin a document. */
void terms_clear(struct terms *terms);

/* Add the text of one field; a field may be added in pieces. */
void terms_add(struct terms *terms, enum terms_field field, struct mirai_str text);

/* Add a Markdown body: lines of headings go to TERMS_HEADINGS, all others to TERMS_BODY. */
void terms_add_markdown(struct terms *terms, struct mirai_str markdown);

/* Append the document for segment_builder_add: for each term the length of its key, the key, its level (a byte),
 * the length of its positions, and these as a segment stores them (postings/format.h); lengths are varints. The
 * same document always gives the same bytes. */
void terms_encode(struct terms *terms, struct mirai_buf *out);

/* Append a token as the index knows it. */
void terms_append_key(struct mirai_buf *out, const struct analyzer_token *token);

/* Level back to the tf part of BM25, 0..1. */
static inline double terms_impact(unsigned level)
{
    return (double)level / TERMS_LEVELS;
}

#endif
