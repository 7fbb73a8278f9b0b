/* Which documents may be hits: filters of the query's text and of the request's parameters, and what the principal may see. */
#include "services/search-index/query/internal.h"

static int64_t number_of_tag(struct search *search, struct mirai_str key)
{
    uint32_t tag = catalog_tag_find(search->catalog, key);
    return tag == UINT32_MAX ? -1 : (int64_t)tag;
}

static void add(struct search *search, const struct query_filter *from, unsigned set)
{
    if (search->filters_len == FILTERS_MAX) {
        return;
    }
    struct filter *filter = &search->filters[search->filters_len++];
    *filter =
        (struct filter){.kind = from->kind, .excluded = from->excluded, .set = set, .value = from->value};
    if (from->kind == QUERY_FILTER_TAG) {
        filter->value = number_of_tag(search, from->text);
    } else if (from->kind == QUERY_FILTER_AUTHOR) {
        filter->owners_len = catalog_owner_find(search->catalog, from->text, filter->owners, OWNERS_MAX);
        filter->value = filter->owners_len > 0 ? 0 : -1;
    }
}

static void add_named(struct search *search, enum query_filter_kind kind, struct mirai_str name, unsigned set)
{
    normalize(&search->space->text, name, false);
    const struct query_filter filter = {.kind = kind, .text = mirai_buf_str(&search->space->text.text)};
    add(search, &filter, set);
}

/* A set that nothing can pass spares the whole search. */
static bool never_passes(const struct search *search)
{
    size_t i = 0;
    while (i < search->filters_len) {
        size_t first = i;
        bool possible = false;
        for (; i < search->filters_len && search->filters[i].set == search->filters[first].set; i++) {
            const struct filter *filter = &search->filters[i];
            bool named = filter->kind != QUERY_FILTER_BEFORE && filter->kind != QUERY_FILTER_AFTER;
            possible |= !named || filter->value >= 0 || filter->excluded;
        }
        if (!possible) {
            return true;
        }
    }
    return false;
}

void filters_resolve(struct search *search)
{
    const struct mirai_search_query *request = search->request;
    unsigned set = 0;
    search->filters_len = 0;
    for (size_t i = 0; i < search->query.filters_len && i < QUERY_FILTERS_MAX; i++) {
        const struct query_filter *filter = &search->query.filters[i];
        set = filter->set > set ? filter->set : set;
        add(search, filter, filter->set);
    }
    for (size_t i = 0; mirai_has(search_query, request, tag) && i < request->tag.count && i < 10; i++) {
        add_named(search, QUERY_FILTER_TAG, request->tag.items[i], ++set);
    }
    if (mirai_has(search_query, request, author)) {
        add_named(search, QUERY_FILTER_AUTHOR, request->author, ++set);
    }
    search->plan.impossible |= never_passes(search);
}

static bool has_tag(const struct catalog_entry *entry, int64_t tag)
{
    bool found = false;
    for (size_t i = 0; !found && i < entry->tags_len; i++) {
        found = entry->tags[i] == tag;
    }
    return found;
}

static bool has_owner(const struct filter *filter, const struct catalog_entry *entry)
{
    bool found = false;
    for (size_t i = 0; !found && i < filter->owners_len; i++) {
        found = entry->owner_id == filter->owners[i];
    }
    return found;
}

static bool has(const struct filter *filter, const struct catalog_entry *entry)
{
    switch (filter->kind) {
    case QUERY_FILTER_TAG:
        return has_tag(entry, filter->value);
    case QUERY_FILTER_TYPE:
        return entry->type == filter->value;
    case QUERY_FILTER_STATUS:
        return entry->status == filter->value;
    case QUERY_FILTER_AUTHOR:
        return has_owner(filter, entry);
    case QUERY_FILTER_BEFORE:
        return entry->updated_at < filter->value;
    case QUERY_FILTER_AFTER:
        return entry->updated_at >= filter->value;
    }
    return false;
}

static bool passes_query(const struct search *search, const struct catalog_entry *entry)
{
    size_t i = 0;
    while (i < search->filters_len) {
        unsigned set = search->filters[i].set;
        bool passes = false;
        for (; i < search->filters_len && search->filters[i].set == set; i++) {
            passes = passes || has(&search->filters[i], entry) != search->filters[i].excluded;
        }
        if (!passes) {
            return false;
        }
    }
    return true;
}

static bool passes_request(const struct mirai_search_query *request, const struct catalog_entry *entry)
{
    return (!mirai_has(search_query, request, type) || entry->type == request->type) &&
           (!mirai_has(search_query, request, status) || entry->status == request->status) &&
           (!mirai_has(search_query, request, owner_id) || entry->owner_id == request->owner_id) &&
           (!mirai_has(search_query, request, space_id) || entry->space_id == request->space_id) &&
           (!mirai_has(search_query, request, after) || entry->updated_at >= request->after) &&
           (!mirai_has(search_query, request, before) || entry->updated_at < request->before);
}

bool filters_pass(const struct search *search, const struct catalog_entry *entry)
{
    return catalog_visible(entry, search->principal) && passes_request(search->request, entry) &&
           passes_query(search, entry);
}
