#include "services/ctl/source.h"

#include "services/ctl/text.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define ENTRIES_MAX 1000000 /* of one archive */

enum input_kind {
    INPUT_FILE,
    INPUT_ARCHIVE,
    INPUT_BAD, /* exists not, or is nothing that can be read */
};

/* A file to read: found in a folder, or given by itself. */
struct input {
    enum input_kind kind;
    char *path;
    size_t relative; /* where the relative path begins in `path` */
    char *root;
    int reason; /* BAD: errno */
};

struct source {
    struct input *inputs;
    size_t count;
    size_t cap;
    size_t next;
    size_t max;
    struct archive *archive; /* open while its entries are read */
    off_t archive_size;
    size_t entries;
    struct mirai_buf text;
    struct mirai_buf shown;
    char reason[SOURCE_REASON_SIZE];
};

static bool ends_with(const char *path, const char *ending)
{
    size_t len = strlen(path), tail = strlen(ending);
    return len > tail && strcasecmp(path + len - tail, ending) == 0;
}

static bool is_markdown(const char *path)
{
    return ends_with(path, ".md") || ends_with(path, ".markdown");
}

static bool is_archive(const char *path)
{
    static const char *const endings[] = {".tar",     ".tar.gz",  ".tgz",     ".tar.xz", ".txz",
                                          ".tar.bz2", ".tar.zst", ".tar.lz4", ".tar.Z",  ".zip"};
    for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++) {
        if (ends_with(path, endings[i])) {
            return true;
        }
    }
    return false;
}

/* ------------------------------------------------------------------ what there is to read */

static void add_input(struct source *source, enum input_kind kind, const char *path, size_t relative,
                      const char *root, int reason)
{
    if (source->count == source->cap) {
        source->cap = source->cap > 0 ? 2 * source->cap : 64;
        source->inputs = mirai_realloc(source->inputs, source->cap * sizeof(*source->inputs));
    }
    source->inputs[source->count++] = (struct input){
        .kind = kind,
        .path = mirai_str_dup(mirai_str(path)),
        .relative = relative,
        .root = mirai_str_dup(mirai_str(root)),
        .reason = reason,
    };
}

static int by_name(const FTSENT **a, const FTSENT **b)
{
    return strcmp((*a)->fts_name, (*b)->fts_name);
}

static void add_folder(struct source *source, const char *path, const char *root)
{
    char *const roots[] = {(char *)path, NULL};
    FTS *tree = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, by_name);
    FTSENT *entry;
    if (tree == NULL) {
        add_input(source, INPUT_BAD, path, 0, root, errno);
        return;
    }
    while ((entry = fts_read(tree)) != NULL) {
        bool hidden = entry->fts_level > 0 && entry->fts_name[0] == '.';
        if (hidden && entry->fts_info == FTS_D) {
            fts_set(tree, entry, FTS_SKIP);
        } else if (entry->fts_info == FTS_DNR || entry->fts_info == FTS_ERR || entry->fts_info == FTS_NS) {
            add_input(source, INPUT_BAD, entry->fts_path, 0, root, entry->fts_errno);
        } else if (!hidden && is_markdown(entry->fts_name) && entry->fts_info == FTS_SL) {
            add_input(source, INPUT_BAD, entry->fts_path, 0, root, ELOOP);
        } else if (!hidden && is_markdown(entry->fts_name) && entry->fts_info == FTS_F) {
            size_t relative = strlen(path);
            relative += entry->fts_path[relative] == '/';
            add_input(source, INPUT_FILE, entry->fts_path, relative, root, 0);
        }
    }
    fts_close(tree);
}

/* A path's last name without what follows its first dot. */
static void root_name(const char *path, char name[NAME_MAX + 1])
{
    char real[PATH_MAX];
    const char *whole = realpath(path, real) != NULL ? real : path;
    const char *slash = strrchr(whole, '/');
    snprintf(name, NAME_MAX + 1, "%.*s", NAME_MAX, slash != NULL ? slash + 1 : whole);
    name[strcspn(name, ".")] = '\0';
}

static void add_path(struct source *source, char *path)
{
    struct stat info;
    char root[NAME_MAX + 1];
    size_t len = strlen(path);
    while (len > 1 && path[len - 1] == '/') {
        path[--len] = '\0';
    }
    const char *slash = strrchr(path, '/');
    size_t relative = slash != NULL ? (size_t)(slash + 1 - path) : 0;
    root_name(path, root);
    if (stat(path, &info) != 0) {
        add_input(source, INPUT_BAD, path, 0, root, errno);
    } else if (S_ISDIR(info.st_mode)) {
        add_folder(source, path, root);
    } else if (S_ISREG(info.st_mode) && is_markdown(path)) {
        char parent[PATH_MAX];
        snprintf(parent, sizeof(parent), "%.*s/.", (int)relative, path);
        root_name(relative > 0 ? parent : ".", root);
        add_input(source, INPUT_FILE, path, relative, root, 0);
    } else if (S_ISREG(info.st_mode) && is_archive(path)) {
        add_input(source, INPUT_ARCHIVE, path, relative, root, 0);
    } else {
        add_input(source, INPUT_BAD, path, 0, root, EMEDIUMTYPE);
    }
}

struct source *source_open(char *const *paths, int count, size_t max)
{
    struct source *source = mirai_alloc(sizeof(*source));
    source->max = max;
    for (int i = 0; i < count; i++) {
        add_path(source, paths[i]);
    }
    return source;
}

/* ------------------------------------------------------------------ files */

static void refuse(struct source *source, struct source_item *item, const char *reason)
{
    snprintf(source->reason, sizeof(source->reason), "%s", reason);
    item->reason = source->reason;
}

static void read_file(struct source *source, const char *path, struct source_item *item)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    ssize_t n = fd < 0 ? -1 : 1;
    source->text.len = 0;
    while (n > 0 && source->text.len <= source->max) {
        mirai_buf_reserve(&source->text, 65536);
        n = read(fd, source->text.data + source->text.len, 65536);
        source->text.len += n > 0 ? (size_t)n : 0;
    }
    if (n < 0) {
        refuse(source, item, strerror(errno));
    } else if (source->text.len > source->max) {
        refuse(source, item, text("大きすぎます", "too large"));
    }
    item->text = mirai_buf_str(&source->text);
    if (fd >= 0) {
        close(fd);
    }
}

static void take_bad(struct source *source, const struct input *input, struct source_item *item)
{
    item->path = item->shown = mirai_str(input->path);
    refuse(source, item,
           input->reason == EMEDIUMTYPE
               ? text("Markdown でも書庫でもありません", "neither Markdown nor an archive")
           : input->reason == ELOOP ? text("シンボリックリンクです", "a symbolic link")
                                    : strerror(input->reason));
}

/* ------------------------------------------------------------------ archives */

static void close_archive(struct source *source)
{
    archive_read_free(source->archive);
    source->archive = NULL;
    source->next++;
}

static void open_archive(struct source *source, const struct input *input)
{
    struct stat info = {0};
    stat(input->path, &info);
    source->archive_size = info.st_size;
    source->entries = 0;
    source->archive = archive_read_new();
    archive_read_support_filter_all(source->archive);
    archive_read_support_format_tar(source->archive);
    archive_read_support_format_zip(source->archive);
    archive_read_open_filename(source->archive, input->path, 65536);
}

/* Whether a name of an archive stays within it. */
static bool name_is_safe(const char *name)
{
    const char *part = name;
    if (*name == '/' || *name == '\0' || strchr(name, '\\') != NULL) {
        return false;
    }
    while (*part != '\0') {
        size_t len = strcspn(part, "/");
        if (len == 2 && memcmp(part, "..", 2) == 0) {
            return false;
        }
        part += len + (part[len] == '/');
    }
    return true;
}

static bool is_hidden(const char *name)
{
    const char *slash = strrchr(name, '/');
    return (slash != NULL ? slash + 1 : name)[0] == '.';
}

static void read_entry(struct source *source, struct source_item *item)
{
    la_ssize_t n = 1;
    source->text.len = 0;
    while (n > 0 && source->text.len <= source->max) {
        mirai_buf_reserve(&source->text, 65536);
        n = archive_read_data(source->archive, source->text.data + source->text.len, 65536);
        source->text.len += n > 0 ? (size_t)n : 0;
    }
    if (n < 0) {
        const char *why = archive_error_string(source->archive);
        refuse(source, item, why != NULL ? why : text("読めません", "not readable"));
    } else if (source->text.len > source->max) {
        refuse(source, item, text("大きすぎます", "too large"));
    }
    item->text = mirai_buf_str(&source->text);
}

/* Names for people and for the slug. */
static void name_entry(struct source *source, const struct input *input, const char *name,
                       struct source_item *item)
{
    while (name[0] == '.' && name[1] == '/') {
        name += 2;
    }
    source->shown.len = 0;
    mirai_buf_printf(&source->shown, "%s:%s", input->path, name);
    item->shown = mirai_buf_str(&source->shown);
    size_t from = strlen(input->path) + 1;
    item->path = (struct mirai_str){item->shown.data + from, item->shown.len - from};
}

/* The next Markdown file of the open archive. False at its end. */
static bool next_entry(struct source *source, const struct input *input, struct source_item *item)
{
    for (;;) {
        struct archive_entry *entry;
        int result = archive_read_next_header(source->archive, &entry);
        if (result == ARCHIVE_EOF) {
            return false;
        }
        if (result < ARCHIVE_WARN || ++source->entries > ENTRIES_MAX) {
            const char *why = archive_error_string(source->archive);
            item->path = item->shown = mirai_str(input->path);
            refuse(source, item,
                   why != NULL ? why : text("書庫として読めません", "not readable as an archive"));
            return true;
        }
        const char *name = archive_entry_pathname(entry);
        if (name == NULL || archive_entry_filetype(entry) != AE_IFREG || !is_markdown(name) ||
            is_hidden(name)) {
            continue;
        }
        name_entry(source, input, name, item);
        if (!name_is_safe(name)) {
            refuse(source, item, text("書庫の外を指すパスです", "a path that leaves the archive"));
        } else {
            read_entry(source, item);
        }
        return true;
    }
}

/* ------------------------------------------------------------------ one after the other */

bool source_next(struct source *source, struct source_item *item)
{
    while (source->next < source->count) {
        const struct input *input = &source->inputs[source->next];
        *item = (struct source_item){.root = mirai_str(input->root)};
        switch (input->kind) {
        case INPUT_BAD:
            take_bad(source, input, item);
            source->next++;
            return true;
        case INPUT_FILE:
            item->shown = mirai_str(input->path);
            item->path = mirai_str(input->path + input->relative);
            read_file(source, input->path, item);
            source->next++;
            return true;
        case INPUT_ARCHIVE:
            if (source->archive == NULL) {
                open_archive(source, input);
            }
            if (next_entry(source, input, item)) {
                if (mirai_str_eq(item->path, mirai_str(input->path))) { /* the archive itself is broken */
                    close_archive(source);
                }
                return true;
            }
            close_archive(source);
            break;
        }
    }
    return false;
}

double source_progress(const struct source *source)
{
    double within = 0;
    if (source->count == 0) {
        return -1;
    }
    if (source->archive != NULL && source->archive_size > 0) {
        within = (double)archive_filter_bytes(source->archive, -1) / (double)source->archive_size;
    }
    return ((double)source->next + within) / (double)source->count;
}

void source_close(struct source *source)
{
    if (source->archive != NULL) {
        archive_read_free(source->archive);
    }
    for (size_t i = 0; i < source->count; i++) {
        free(source->inputs[i].path);
        free(source->inputs[i].root);
    }
    free(source->inputs);
    mirai_buf_free(&source->text);
    mirai_buf_free(&source->shown);
    free(source);
}
