/* The readers of mirai-extract: each takes a whole file in memory and gives the text of its pages. */
#ifndef EXTRACT_READERS_H
#define EXTRACT_READERS_H

#include "services/search-index/extract/worker/pages.h"

/* What the uploader says of the file; the content decides, this only where it says nothing. Lent. */
struct file_hints {
    struct mirai_str media_type; /* "text/html; charset=…" */
    struct mirai_str name;       /* "report.docx" */
};

/* Read `file` by what it is. Everything that follows is called from here. The result goes to pages_end(). */
enum extract_outcome read_file(struct mirai_str file, const struct file_hints *hints, struct pages *pages);

/* PDF, by poppler: pages by their number. */
enum extract_outcome read_pdf(struct mirai_str file, struct pages *pages);

/* A ZIP file: Word, Excel, PowerPoint since 2007, OpenDocument; others are UNSUPPORTED. */
enum extract_outcome read_package(struct mirai_str file, struct pages *pages);

/* Text in any encoding: Markdown, CSV, logs. UNSUPPORTED when it is no text. */
enum extract_outcome read_text(struct mirai_str file, struct pages *pages);

/* HTML in any encoding. `charset`: what the transport said, or empty. */
enum extract_outcome read_html(struct mirai_str file, struct mirai_str charset, struct pages *pages);

/* A message of RFC 5322 with MIME parts: subject, from, to, date, text parts, names of attachments. */
enum extract_outcome read_mail(struct mirai_str file, struct pages *pages);

#endif
