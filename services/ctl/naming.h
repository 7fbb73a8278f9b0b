/* Names for articles out of what files offer: slugs from paths, titles from headings. */
#ifndef CTL_NAMING_H
#define CTL_NAMING_H

#include "libcommon/arena.h"

/* "guides/VPN setup.md" -> "guides--vpn-setup": folders stay apart from words. Valid for the store, whatever
 * the path is. */
struct mirai_str naming_slug(struct mirai_str path, struct mirai_arena *arena);
/* The slug with eight digits of the path's hash: for paths that give the same slug. */
struct mirai_str naming_slug_hashed(struct mirai_str path, struct mirai_arena *arena);

/* The first `# heading` of a Markdown text as plain text; empty when there is none. */
struct mirai_str naming_heading(struct mirai_str body, struct mirai_arena *arena);

/* One line without invisible characters, with single spaces and none at its ends. */
struct mirai_str naming_clean(struct mirai_str line, struct mirai_arena *arena);

/* The path without its extension. Points into `path`. */
struct mirai_str naming_stem(struct mirai_str path);

#endif
