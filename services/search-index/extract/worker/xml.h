/* XML piece by piece, as events; no DTD, no entity but the five of XML itself, no network, bounded depth. */
#ifndef EXTRACT_XML_H
#define EXTRACT_XML_H

#include "libcommon/str.h"

struct xml_attributes {
    const unsigned char **list; /* libxml2's: five for each */
    int count;
};

/* Names are without their prefix. Strings are lent for the call. Any of the functions may be NULL. */
struct xml_events {
    void (*start)(void *data, const char *name, const struct xml_attributes *attributes);
    void (*end)(void *data, const char *name);
    void (*text)(void *data,
                 struct mirai_str text); /* in UTF-8, whole characters; one text may come in pieces */
};

struct xml;

struct xml *xml_open(const struct xml_events *events, void *data);
/* False: not well-formed, too deep or with a DTD; what came before has been told. */
bool xml_feed(struct xml *xml, struct mirai_str bytes);
/* No more events will come, and no more are wanted. */
void xml_stop(struct xml *xml);
/* The end of the document. False as above. Frees. */
bool xml_close(struct xml *xml);

/* The value of an attribute; empty when there is none. qualified: one with a prefix, such as r:id beside id. */
struct mirai_str xml_attribute(const struct xml_attributes *attributes, const char *name, bool qualified);

#endif
