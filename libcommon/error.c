#include "libcommon/error.h"

#include <string.h>

static const struct {
    const char *slug;
    int http;
} errors[MIRAI_ERROR_COUNT] = {[MIRAI_ERROR_INDEX_NONE] = {"ok", 200},
#define ROW(name, slug, http) [MIRAI_ERROR_INDEX_##name] = {slug, http},
                               MIRAI_ERRORS(ROW)
#undef ROW
};

static int error_index(int err)
{
    return err <= 0 && err > -MIRAI_ERROR_COUNT ? -err : MIRAI_ERROR_INDEX_INTERNAL;
}

const char *mirai_error_slug(int err)
{
    return errors[error_index(err)].slug;
}

int mirai_error_http(int err)
{
    return errors[error_index(err)].http;
}

int mirai_error_from_slug(const char *data, unsigned long len)
{
    for (int i = 0; i < MIRAI_ERROR_COUNT; i++) {
        if (strlen(errors[i].slug) == len && memcmp(errors[i].slug, data, len) == 0) {
            return -i;
        }
    }
    return MIRAI_E_INTERNAL;
}
