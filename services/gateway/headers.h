/* Parsing of request header values: pure functions on bytes from outside. */
#ifndef GATEWAY_HEADERS_H
#define GATEWAY_HEADERS_H

#include "libcommon/str.h"

#define TRACEPARENT_LEN 55

/* Text without spaces and tabs at both ends (RFC 9110 OWS). */
struct mirai_str header_trim(struct mirai_str s);
/* Equality without regard to ASCII case. */
bool header_is(struct mirai_str value, const char *lower);

/* Take the next member of a comma-separated list from *rest, trimmed; false at its end. */
bool header_next(struct mirai_str *rest, char separator, struct mirai_str *member);

/* Take a line, without its LF or CRLF, from the front. False when none has ended. */
bool header_next_line(struct mirai_str *rest, struct mirai_str *line);

/* "ja" or "en": what Accept-Language (RFC 9110 §12.5.4) prefers; `fallback` when it names neither. */
struct mirai_str header_language(struct mirai_str accept_language, struct mirai_str fallback);

/* Whether Accept (RFC 9110 §12.5.1) allows type/subtype; an empty header allows all. */
bool header_accepts(struct mirai_str accept, const char *type, const char *subtype);

/* Media type of a Content-Type value, without parameters; empty when it is none. */
struct mirai_str header_media_type(struct mirai_str content_type);

/* Whether If-None-Match (RFC 9110 §13.1.2, weak comparison) holds this tag (without quotes). */
bool header_none_match_has(struct mirai_str if_none_match, struct mirai_str etag);

/* Added to the tag of an answer that is compressed: other bytes, another strong tag (RFC 9110 §8.8.3.3). */
#define HEADER_GZIP_SUFFIX "-gzip"

/* Whether If-Range is exactly this strong tag (RFC 9110 §13.1.5); dates never match. */
bool header_if_range(struct mirai_str if_range, struct mirai_str etag);

/* The one strong tag of If-Match, without quotes, or "*". 0; MIRAI_E_PRECONDITION for a weak tag, which never
 * matches (RFC 9110 §13.1.1); MIRAI_E_INVALID for anything else. */
int header_if_match(struct mirai_str if_match, struct mirai_str *etag);

/* Value of a cookie in a Cookie header; false when it is not there. */
bool header_cookie(struct mirai_str cookies, struct mirai_str name, struct mirai_str *value);

/* Token of `Authorization: Bearer …`; false for any other scheme or malformed credentials. */
bool header_bearer(struct mirai_str authorization, struct mirai_str *token);

#define HEADER_TOKEN_MAX 100 /* bytes of a token */

/* Whether `token` can be one of ours: mkt_ or mks_ and 20..96 characters A-Z a-z 0-9 - _. */
bool header_token_valid(struct mirai_str token);

/* Whether a request that changes something and is authorised by a cookie was made by our own page:
 * Sec-Fetch-Site same-origin, or where a browser does not send it, Origin equal to https://host. */
bool header_same_origin(struct mirai_str sec_fetch_site, struct mirai_str origin, struct mirai_str host);

/* 1..200 visible ASCII characters. */
bool header_idempotency_key_valid(struct mirai_str key);

/* W3C Trace Context: whether `value` is a valid traceparent of version 00 (later versions: its first four
 * members). */
bool header_traceparent_valid(struct mirai_str value);
/* Our own: the caller's trace id and flags when `caller` is valid, otherwise a new trace; the span is always
 * new. */
void header_traceparent_make(char out[TRACEPARENT_LEN + 1], struct mirai_str caller,
                             const unsigned char random[24]);

/* One byte range "bytes=A-B" (RFC 9110 §14.1.2) of `size` bytes. 0 and the range (last inclusive);
 * MIRAI_E_NOT_FOUND: no usable range, answer the whole; MIRAI_E_INVALID: not satisfiable. */
int header_range(struct mirai_str range, uint64_t size, uint64_t *first, uint64_t *last);

/* Content-Disposition (RFC 6266) "attachment" with `name` as plain ASCII and as UTF-8 (RFC 8187). */
void header_disposition(struct mirai_str name, struct mirai_buf *out);

#endif
