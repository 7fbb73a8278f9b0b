/* An environment, its variables divided by NUL and without their prefix. What is refused is told in whole
 * lines without anything that a terminal obeys; what is taken can be printed. */
#include "libcommon/config.h"
#include "libcommon/error.h"
#include "tests/fuzz/fuzz.h"

#include <jansson.h>
#include <stdlib.h>

#define VARIABLES_MAX 16

static void expect_lines(const char *text, size_t len)
{
    expect(len > 0 && text[len - 1] == '\n');
    for (size_t i = 0; i < len; i++) {
        expect(text[i] == '\n' || ((unsigned char)text[i] >= 0x20 && text[i] != 0x7f));
    }
}

static void expect_printable(void)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    mirai_config_print(out, true);
    fclose(out);
    json_t *json = json_loadb(text, len, 0, NULL);
    expect(json != NULL);
    json_decref(json);
    free(text);
    char host[64];
    int port = 0;
    mirai_config_address(MIRAI_CONFIG_METRICS_LISTEN, host, &port);
    expect(port > 0 && port < 65536 && strlen(host) < sizeof(host));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *environment[VARIABLES_MAX + 1];
    size_t count = 0;
    while (size > 0 && count < VARIABLES_MAX) {
        const uint8_t *nul = memchr(data, '\0', size);
        size_t len = nul != NULL ? (size_t)(nul - data) : size;
        char *variable = malloc(sizeof("MIRAI_") + len);
        memcpy(variable, "MIRAI_", 6);
        memcpy(variable + 6, data, len);
        variable[6 + len] = '\0';
        if (strstr(variable, "_FILE=") != NULL) { /* would be opened */
            free(variable);
        } else {
            environment[count++] = variable;
        }
        size_t skip = len + (nul != NULL);
        data += skip;
        size -= skip;
    }
    environment[count] = NULL;
    char *text = NULL;
    size_t len = 0;
    FILE *errors = open_memstream(&text, &len);
    int err = mirai_config_load(environment, errors);
    fclose(errors);
    if (err == 0) {
        expect(len == 0);
        expect_printable();
    } else {
        expect(err == MIRAI_E_INVALID);
        expect_lines(text, len);
    }
    free(text);
    for (size_t i = 0; i < count; i++) {
        free(environment[i]);
    }
    return 0;
}
