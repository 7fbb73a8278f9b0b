/* From a Markdown file to an article: what the front matter says, and the rules for what it does not say. */
#ifndef CTL_DOCUMENT_H
#define CTL_DOCUMENT_H

#include "proto/messages.h"
#include "services/ctl/frontmatter.h"

#define DOCUMENT_BYTES_MAX (5u << 20) /* the largest body (1 MiB of characters) and its front matter */

struct document {
    struct mirai_article_import article;
    bool own_slug;                        /* the front matter names it */
    struct mirai_str owner, space, group; /* names that the front matter gives; empty: none */
};

/* Make an article of a file's `content`. path: relative, with '/' between folders; root: name of the folder
 * that was given, also looked at for the type. type: for articles where neither front matter nor folder says
 * one. Memory from `arena`; the body points into `content`. 0, or MIRAI_E_UNPROCESSABLE with the reason. */
int document_read(struct mirai_str path, struct mirai_str root, struct mirai_str content, int status,
                  int type, struct mirai_arena *arena, struct document *out, char reason[FRONT_REASON_SIZE]);

/* Check the article against its declaration. 0, or MIRAI_E_UNPROCESSABLE with the reason. */
int document_check(const struct mirai_article_import *article, struct mirai_arena *arena,
                   char reason[FRONT_REASON_SIZE]);

/* Japanese when kana or kanji make up a twentieth of the letters or more. */
enum mirai_locale document_language(struct mirai_str text);

#endif
