#include "services/search-index/extract/worker/package.h"

#include <archive.h>
#include <archive_entry.h>

#define PIECE (32u << 10)

/* False at a bound. */
static bool count(struct package *package, size_t bytes)
{
    package->unpacked += bytes;
    package->bomb |=
        package->unpacked > PACKAGE_BYTES_MAX ||
        (package->unpacked > PACKAGE_RATIO_FROM && package->unpacked / PACKAGE_RATIO_MAX > package->file.len);
    return !package->bomb;
}

static struct archive *open_archive(struct package *package)
{
    struct archive *archive = archive_read_new();
    archive_read_support_format_zip(archive);
    if (archive_read_open_memory(archive, package->file.data, package->file.len) != ARCHIVE_OK) {
        package->damaged = true;
        archive_read_free(archive);
        return NULL;
    }
    return archive;
}

/* The next part; NULL at the end. *left counts down the parts that may follow. */
static const char *next_part(struct package *package, struct archive *archive, unsigned *left)
{
    struct archive_entry *entry;
    while ((*left)-- > 0) {
        int code = archive_read_next_header(archive, &entry);
        if (code == ARCHIVE_EOF) {
            return NULL;
        }
        if (code < ARCHIVE_WARN) {
            package->damaged = true;
            return NULL;
        }
        const char *name = archive_entry_pathname(entry);
        if (name != NULL && archive_entry_filetype(entry) == AE_IFREG) {
            return name;
        }
    }
    package->bomb = true;
    return NULL;
}

static void read_part(struct package *package, struct archive *archive, const struct package_pass *pass,
                      const struct xml_events *events)
{
    char room[PIECE];
    struct xml *xml = xml_open(events, pass->data);
    ssize_t len = 0;
    bool good = true;
    while (good && (pass->enough == NULL || !pass->enough(pass->data)) &&
           (len = archive_read_data(archive, room, sizeof(room))) > 0) {
        good = count(package, (size_t)len) && xml_feed(xml, (struct mirai_str){room, (size_t)len});
    }
    if (good && len > 0) {
        xml_stop(xml); /* enough */
    }
    package->damaged |= !xml_close(xml) || len < 0;
}

void package_walk(struct package *package, const struct package_pass *pass)
{
    unsigned left = PACKAGE_PARTS_MAX;
    const char *name;
    struct archive *archive = package->bomb ? NULL : open_archive(package);
    while (archive != NULL && !package->bomb && (pass->enough == NULL || !pass->enough(pass->data)) &&
           (name = next_part(package, archive, &left)) != NULL) {
        const struct xml_events *events = pass->visit(pass->data, name);
        if (events != NULL) {
            read_part(package, archive, pass, events);
            if (pass->done != NULL) {
                pass->done(pass->data, name);
            }
        }
    }
    archive_read_free(archive);
}

size_t package_peek(struct package *package, const char *name, char *room, size_t max)
{
    unsigned left = PACKAGE_PARTS_MAX;
    const char *found;
    ssize_t len = 0;
    struct archive *archive = open_archive(package);
    while (archive != NULL && (found = next_part(package, archive, &left)) != NULL) {
        if (strcmp(found, name) == 0) {
            len = archive_read_data(archive, room, max);
            break;
        }
    }
    archive_read_free(archive);
    return len > 0 ? (size_t)len : 0;
}

struct looking {
    const char *part;
    const char *element;
    bool found;
};

static void look(void *data, const char *name, const struct xml_attributes *attributes)
{
    struct looking *looking = data;
    (void)attributes;
    looking->found |= strcmp(name, looking->element) == 0;
}

static const struct xml_events *look_in(void *data, const char *name)
{
    static const struct xml_events events = {.start = look};
    const struct looking *looking = data;
    return strcmp(name, looking->part) == 0 ? &events : NULL;
}

static bool is_found(void *data)
{
    return ((struct looking *)data)->found;
}

bool package_has_element(struct package *package, const char *part, const char *element)
{
    struct looking looking = {part, element, false};
    const struct package_pass pass = {.visit = look_in, .enough = is_found, .data = &looking};
    package_walk(package, &pass);
    return looking.found;
}

enum extract_outcome package_outcome(const struct package *package)
{
    if (package->bomb) {
        return EXTRACT_BOMB;
    }
    return package->damaged ? EXTRACT_DAMAGED : EXTRACT_DONE;
}
