/* Debian's libh2o-dev has h2o/http2_internal.h but not the klib header that it includes. Only the
 * layout of streams is wanted from it, and that has pointers to the table at most. The header's inline function that
 * looks up a stream finds none with these definitions; nobody calls it. */
#ifndef GATEWAY_KHASH_H
#define GATEWAY_KHASH_H

#define khash_t(name)                     struct kh_##name
#define KHASH_MAP_INIT_INT64(name, value) struct kh_##name;
#define kh_get(name, table, key)          ((void)(table), (void)(key), (khiter_t)0)
#define kh_end(table)                     ((khiter_t)0)
#define kh_val(table, at)                 NULL

typedef unsigned khiter_t;

#endif
