/* miraictl export: every article as a Markdown file that import reads again, attachments beside it. */
#include "libcommon/time.h"
#include "services/ctl/commands.h"
#include "services/ctl/ctl.h"
#include "services/ctl/frontmatter.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME_BYTES_MAX 180 /* of a file's name before its ending */
#define PAGE           200

struct export
{
    struct ctl *ctl;
    const char *dir;
    struct mirai_space_page spaces;
    struct mirai_group_page groups;
    int64_t articles;
    int64_t attachments;
    int64_t bytes;
};

/* A name from outside as one harmless file name: what is special is percent-encoded, what is too long is cut
 * and gets its hash. */
static void file_name(struct mirai_buf *out, struct mirai_str name)
{
    static const char special[] = "/\\:*?\"<>|%";
    size_t from = out->len;
    for (size_t i = 0; i < name.len; i++) {
        unsigned char c = (unsigned char)name.data[i];
        if (c < 0x20 || c == 0x7f || strchr(special, c) != NULL || (c == '.' && i == 0)) {
            mirai_buf_printf(out, "%%%02X", c);
        } else {
            mirai_buf_append_char(out, (char)c);
        }
    }
    struct mirai_str made = {out->data + from, out->len - from};
    if (made.len > NAME_BYTES_MAX) {
        unsigned char hash[crypto_hash_sha256_BYTES];
        char hex[9];
        crypto_hash_sha256(hash, (const unsigned char *)name.data, name.len);
        mirai_hex(hex, hash, 4);
        out->len = from + mirai_utf8_prefix(made, NAME_BYTES_MAX - 9).len;
        mirai_buf_printf(out, "-%s", hex);
    }
}

static bool failed(struct export *export, const char *path)
{
    ctl_fail(export->ctl, CTL_FAILED, "%s: %s", path, strerror(errno));
    return false;
}

static bool make_folder(struct export *export, const char *path)
{
    return mkdir(path, 0750) == 0 || errno == EEXIST || failed(export, path);
}

static bool write_all(int fd, struct mirai_str bytes)
{
    while (bytes.len > 0) {
        ssize_t n = write(fd, bytes.data, bytes.len);
        if (n < 0 && errno != EINTR) {
            return false;
        }
        bytes.data += n > 0 ? n : 0;
        bytes.len -= n > 0 ? (size_t)n : 0;
    }
    return true;
}

/* ------------------------------------------------------------------ front matter */

static void write_pair(struct mirai_buf *out, const char *key, struct mirai_str value)
{
    if (value.len > 0) {
        mirai_buf_printf(out, "%s: ", key);
        front_matter_quote(out, value);
        mirai_buf_append_char(out, '\n');
    }
}

static void write_word(struct mirai_buf *out, const char *key, const struct mirai_enum *words, int word)
{
    mirai_buf_printf(out, "%s: %s\n", key, words->values[word]);
}

static void write_time(struct mirai_buf *out, const char *key, int64_t unix_ms)
{
    char time[MIRAI_RFC3339_SIZE];
    mirai_rfc3339_format(time, unix_ms);
    write_pair(out, key, mirai_str(time));
}

static struct mirai_str space_name(const struct export *export, int64_t id)
{
    for (size_t i = 0; i < export->spaces.items.count; i++) {
        const struct mirai_space *space = &MIRAI_ITEMS(space, &export->spaces.items)[i];
        if (space->id == id) {
            return space->name;
        }
    }
    return (struct mirai_str){0};
}

static struct mirai_str group_name(const struct export *export, int64_t id)
{
    for (size_t i = 0; i < export->groups.items.count; i++) {
        const struct mirai_group *group = &MIRAI_ITEMS(group, &export->groups.items)[i];
        if (group->id == id) {
            return group->name;
        }
    }
    return (struct mirai_str){0};
}

static void write_front_matter(const struct export *export, const struct mirai_article *article,
                               struct mirai_buf *out)
{
    mirai_buf_append_str(out, MIRAI_STR("---\n"));
    write_pair(out, "title", article->title);
    write_pair(out, "slug", article->slug);
    write_word(out, "type", &mirai_enum_itsm_type, article->type);
    write_word(out, "status", &mirai_enum_article_status, article->status);
    if (article->tags.count > 0) {
        mirai_buf_append_str(out, MIRAI_STR("tags:\n"));
        for (size_t i = 0; i < article->tags.count; i++) {
            mirai_buf_append_str(out, MIRAI_STR("  - "));
            front_matter_quote(out, article->tags.items[i]);
            mirai_buf_append_char(out, '\n');
        }
    }
    write_pair(out, "summary_technical", article->summary_technical);
    write_pair(out, "summary_non_technical", article->summary_non_technical);
    if (mirai_has(article, article, language)) {
        write_word(out, "language", &mirai_enum_locale, article->language);
    } else {
        mirai_buf_append_str(out, MIRAI_STR("language: ~\n")); /* an import shall not guess it */
    }
    write_pair(out, "owner", article->owner);
    write_pair(out, "review_by", article->review_by);
    write_pair(out, "space", space_name(export, article->space_id));
    if (mirai_has(article, article, visibility)) {
        write_word(out, "visibility", &mirai_enum_visibility, article->visibility);
    }
    write_pair(out, "group",
               mirai_has(article, article, group_id) ? group_name(export, article->group_id)
                                                     : (struct mirai_str){0});
    write_time(out, "created_at", article->created_at);
    write_time(out, "updated_at", article->updated_at);
    mirai_buf_append_str(out, MIRAI_STR("---\n\n"));
}

/* ------------------------------------------------------------------ files */

static bool write_attachment(struct export *export, int64_t article_id,
                             const struct mirai_attachment *attachment, const char *folder)
{
    struct mirai_buf path = {0};
    bool ok = true;
    mirai_buf_printf(&path, "%s/", folder);
    file_name(&path, attachment->name);
    mirai_buf_append_char(&path, '\0');
    int fd = open(path.data, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0640);
    if (fd < 0) {
        ok = failed(export, path.data);
    }
    for (int64_t offset = 0; ok && offset < attachment->size;) {
        struct mirai_attachment_read read = {0};
        struct mirai_bytes part;
        mirai_set(attachment_read, &read, id, article_id);
        mirai_set(attachment_read, &read, attachment_id, attachment->id);
        mirai_set(attachment_read, &read, offset, offset);
        mirai_set(attachment_read, &read, length, MIRAI_RPC_CHUNK);
        ok = ctl_call(export->ctl, MIRAI_METHOD_ID_attachment_read, &read, CTL_DEADLINE_MS, &part) == 0;
        if (ok && part.data.len == 0) {
            break;
        }
        ok = ok && (write_all(fd, part.data) || failed(export, path.data));
        offset += ok ? (int64_t)part.data.len : 0;
        export->bytes += ok ? (int64_t)part.data.len : 0;
    }
    if (fd >= 0 && close(fd) != 0 && ok) {
        ok = failed(export, path.data);
    }
    mirai_buf_free(&path);
    export->attachments += ok;
    return ok;
}

static bool write_attachments(struct export *export, int64_t article_id, const char *folder)
{
    struct mirai_by_id which = {0};
    struct mirai_attachment_page page;
    mirai_set(by_id, &which, id, article_id);
    if (ctl_call(export->ctl, MIRAI_METHOD_ID_attachment_list, &which, CTL_DEADLINE_MS, &page) != 0) {
        return false;
    }
    if (page.items.count > 0 && !make_folder(export, folder)) {
        return false;
    }
    for (size_t i = 0; i < page.items.count; i++) {
        if (!write_attachment(export, article_id, &MIRAI_ITEMS(attachment, &page.items)[i], folder)) {
            return false;
        }
    }
    return true;
}

/* DIR/<type>/<slug>.md and DIR/<type>/<slug>.files/. */
static bool write_article(struct export *export, const struct mirai_article *article)
{
    struct mirai_buf path = {0}, text = {0};
    mirai_buf_printf(&path, "%s/%s", export->dir, mirai_enum_itsm_type.values[article->type]);
    mirai_buf_append_char(&path, '\0');
    bool ok = make_folder(export, path.data);
    path.data[path.len - 1] = '/';
    file_name(&path, article->slug);
    size_t stem = path.len;
    mirai_buf_append(&path, ".md", 4);
    write_front_matter(export, article, &text);
    mirai_buf_append_str(&text, article->body);
    int fd = ok ? open(path.data, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0640) : -1;
    ok = ok && fd >= 0 && write_all(fd, mirai_buf_str(&text));
    if (fd >= 0) {
        ok = close(fd) == 0 && ok;
    }
    if (!ok) {
        failed(export, path.data);
    }
    export->articles += ok;
    export->bytes += (int64_t)text.len;
    path.len = stem;
    mirai_buf_append(&path, ".files", 7);
    ok = ok && write_attachments(export, article->id, path.data);
    mirai_buf_free(&path);
    mirai_buf_free(&text);
    return ok;
}

/* ------------------------------------------------------------------ all */

/* Articles after *after, which moves on. 1: there are more, 0: that was the end, negative: an error. */
static int write_page(struct export *export, int64_t *after)
{
    struct ctl *ctl = export->ctl;
    struct mirai_article_export request = {0};
    struct mirai_article_export_page page;
    mirai_set(article_export, &request, after_id, *after);
    mirai_set(article_export, &request, limit, PAGE);
    int err = ctl_call(ctl, MIRAI_METHOD_ID_article_export, &request, CTL_DEADLINE_MS, &page);
    for (size_t i = 0; err == 0 && i < page.items.count; i++) {
        const struct mirai_article *article = &MIRAI_ITEMS(article, &page.items)[i];
        *after = article->id;
        if (!mirai_has(article, article, deleted_at) && !write_article(export, article)) {
            err = MIRAI_E_INTERNAL;
        }
    }
    return err != 0 ? err : page.items.count > 0;
}

int command_export(struct ctl *ctl)
{
    struct export export = {.ctl = ctl, .dir = ctl_argument(ctl, 0)};
    int64_t after = 0;
    char size[32];
    if (!make_folder(&export, export.dir)) {
        return CTL_FAILED;
    }
    int more = ctl_call(ctl, MIRAI_METHOD_ID_space_list, NULL, CTL_DEADLINE_MS, &export.spaces);
    more =
        more == 0 ? ctl_call(ctl, MIRAI_METHOD_ID_group_list, NULL, CTL_DEADLINE_MS, &export.groups) : more;
    struct mirai_arena names = ctl->arena; /* pages come and go in an arena of their own */
    ctl->arena = (struct mirai_arena){0};
    for (more = more == 0 ? 1 : more; more > 0;) {
        more = write_page(&export, &after);
        mirai_arena_free(&ctl->arena);
    }
    ctl->arena = names;
    if (more == 0 && ctl->cli.json) {
        printf("{\"articles\": %lld, \"attachments\": %lld, \"bytes\": %lld}\n", (long long)export.articles,
               (long long)export.attachments, (long long)export.bytes);
    } else if (more == 0) {
        text_size(size, export.bytes);
        ctl_say(
            ctl,
            text("書き出し: 記事 %lld 件、添付 %lld 件、%s", "Exported: %lld articles, %lld attachments, %s"),
            (long long)export.articles, (long long)export.attachments, size);
    }
    return ctl_exit_of(more);
}
