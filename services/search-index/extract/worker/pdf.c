#include "services/search-index/extract/worker/readers.h"

#include <poppler.h>

static void read_page(PopplerDocument *document, int at, struct pages *pages)
{
    PopplerPage *page = poppler_document_get_page(document, at);
    if (page == NULL) {
        return; /* a hole in the tree of pages: the others may be whole */
    }
    pages_begin(pages, (uint32_t)at + 1);
    char *text = poppler_page_get_text(page);
    if (text != NULL) {
        pages_text(pages, mirai_str(text));
        g_free(text);
    }
    g_object_unref(page);
}

enum extract_outcome read_pdf(struct mirai_str file, struct pages *pages)
{
    GError *error = NULL;
    GBytes *bytes = g_bytes_new_static(file.data, file.len);
    PopplerDocument *document = poppler_document_new_from_bytes(bytes, NULL, &error);
    enum extract_outcome outcome = EXTRACT_DONE;
    if (document == NULL) {
        outcome = g_error_matches(error, POPPLER_ERROR, POPPLER_ERROR_ENCRYPTED) ? EXTRACT_ENCRYPTED
                                                                                 : EXTRACT_DAMAGED;
        g_clear_error(&error);
    } else {
        int count = poppler_document_get_n_pages(document);
        for (int i = 0; i < count && !pages->cut; i++) {
            read_page(document, i, pages);
        }
        g_object_unref(document);
    }
    g_bytes_unref(bytes);
    return outcome;
}
