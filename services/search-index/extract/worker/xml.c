#include "services/search-index/extract/worker/xml.h"

#include <libxml/parser.h>
#include <stdlib.h>

#define DEPTH_MAX 200

struct xml {
    const struct xml_events *events;
    void *data;
    xmlParserCtxtPtr parser;
    unsigned depth;
    bool bad;
    bool stopped;
};

static void halt(struct xml *xml)
{
    xml->stopped = true;
    xmlStopParser(xml->parser);
}

static void on_start(void *data, const xmlChar *name, const xmlChar *prefix, const xmlChar *uri,
                     int namespaces, const xmlChar **declared, int count, int defaulted, const xmlChar **list)
{
    struct xml *xml = data;
    (void)prefix, (void)uri, (void)namespaces, (void)declared, (void)defaulted;
    if (xml->stopped) {
        return;
    }
    if (++xml->depth > DEPTH_MAX) {
        xml->bad = true;
        halt(xml);
    } else if (xml->events->start != NULL) {
        const struct xml_attributes attributes = {list, count};
        xml->events->start(xml->data, (const char *)name, &attributes);
    }
}

static void on_end(void *data, const xmlChar *name, const xmlChar *prefix, const xmlChar *uri)
{
    struct xml *xml = data;
    (void)prefix, (void)uri;
    xml->depth -= xml->depth > 0;
    if (!xml->stopped && xml->events->end != NULL) {
        xml->events->end(xml->data, (const char *)name);
    }
}

static void on_text(void *data, const xmlChar *text, int len)
{
    struct xml *xml = data;
    if (!xml->stopped && xml->events->text != NULL) {
        xml->events->text(xml->data, (struct mirai_str){(const char *)text, (size_t)len});
    }
}

/* ECMA-376 part 2 §9.1.1.4.1 forbids DTDs, OpenDocument has none: here is where entities would be declared. */
static void on_dtd(void *data, const xmlChar *name, const xmlChar *external, const xmlChar *system)
{
    struct xml *xml = data;
    (void)name, (void)external, (void)system;
    xml->bad = true;
    halt(xml);
}

struct xml *xml_open(const struct xml_events *events, void *data)
{
    struct xml *xml = mirai_alloc(sizeof(*xml));
    xmlSAXHandler handler = {.initialized = XML_SAX2_MAGIC,
                             .startElementNs = on_start,
                             .endElementNs = on_end,
                             .characters = on_text,
                             .ignorableWhitespace = on_text,
                             .cdataBlock = on_text,
                             .internalSubset = on_dtd};
    *xml = (struct xml){.events = events, .data = data};
    xml->parser = xmlCreatePushParserCtxt(&handler, xml, NULL, 0, NULL);
    if (xml->parser == NULL) {
        abort(); /* out of memory */
    }
    /* NOENT: values of attributes come decoded; with no DTD there is nothing else to replace. */
    xmlCtxtUseOptions(xml->parser,
                      XML_PARSE_NONET | XML_PARSE_NOENT | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
    return xml;
}

bool xml_feed(struct xml *xml, struct mirai_str bytes)
{
    if (!xml->bad && !xml->stopped && xmlParseChunk(xml->parser, bytes.data, (int)bytes.len, 0) != 0) {
        xml->bad |= !xml->stopped;
    }
    return !xml->bad;
}

void xml_stop(struct xml *xml)
{
    halt(xml);
}

bool xml_close(struct xml *xml)
{
    bool good = !xml->bad && (xml->stopped || xmlParseChunk(xml->parser, "", 0, 1) == 0);
    good &= !xml->bad;
    if (xml->parser->myDoc != NULL) {
        xmlFreeDoc(xml->parser->myDoc);
    }
    xmlFreeParserCtxt(xml->parser);
    free(xml);
    return good;
}

struct mirai_str xml_attribute(const struct xml_attributes *attributes, const char *name, bool qualified)
{
    for (int i = 0; i < attributes->count; i++) {
        const unsigned char **row = attributes->list + (size_t)i * 5; /* name, prefix, URI, value, its end */
        if (strcmp((const char *)row[0], name) == 0 && (row[1] != NULL) == qualified) {
            return (struct mirai_str){(const char *)row[3], (size_t)(row[4] - row[3])};
        }
    }
    return MIRAI_STR("");
}
