/* The files of ui/, embedded in the program; made by CMake. */
#ifndef GATEWAY_STATIC_H
#define GATEWAY_STATIC_H

struct static_asset {
    const char *name; /* "index.html" */
    const char *begin;
    const char *end;
};

extern const struct static_asset static_assets[]; /* ends with name NULL */

#endif
