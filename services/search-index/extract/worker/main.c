/* mirai-extract: the text of one file, read from standard input in a sandbox, written to standard output in frames. */
#include "libcommon/error.h"
#include "services/search-index/extract/worker/readers.h"
#include "services/search-index/extract/worker/sandbox.h"

#include <errno.h>
#include <getopt.h>
#include <glib.h>
#include <libxml/parser.h>
#include <poppler.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unicode/uclean.h>
#include <unistd.h>

/* Where Debian's poppler looks for the character maps of fonts that are not in the file. */
#define POPPLER_DATA "/usr/share/poppler"

#define READ_STEP    (1u << 20)

struct options {
    struct file_hints hints;
    int64_t size_max;
    int64_t memory;
    int64_t seconds;
};

static const char usage[] =
    "Usage: mirai-extract [--type MEDIA-TYPE] [--name NAME] [--size-max BYTES] [--memory BYTES] [--seconds "
    "N]\n"
    "\n"
    "Reads a file from standard input and writes its text to standard output as frames, for "
    "mirai-search-index.\n"
    "PDF, Word, Excel and PowerPoint since 2007, OpenDocument, HTML, mail, text in any encoding.\n"
    "\n"
    "  --type MEDIA-TYPE  what the uploader said it is; the content decides\n"
    "  --name NAME        its file name\n"
    "  --size-max BYTES   longest file (default 67108864)\n"
    "  --memory BYTES     bound of the address space (default 536870912)\n"
    "  --seconds N        bound of processor time (default 30)\n"
    "  --version, --help\n";

static int number(const char *text, int64_t max, int64_t *out)
{
    return mirai_parse_int(mirai_str(text), 1, max, out);
}

/* 0: go on; otherwise the exit status + 1. */
static int parse(int argc, char **argv, struct options *options)
{
    enum { TYPE = 256, NAME, SIZE_MAX_, MEMORY, SECONDS, VERSION, HELP };
    static const struct option table[] = {{"type", required_argument, NULL, TYPE},
                                          {"name", required_argument, NULL, NAME},
                                          {"size-max", required_argument, NULL, SIZE_MAX_},
                                          {"memory", required_argument, NULL, MEMORY},
                                          {"seconds", required_argument, NULL, SECONDS},
                                          {"version", no_argument, NULL, VERSION},
                                          {"help", no_argument, NULL, HELP},
                                          {NULL, 0, NULL, 0}};
    int err = 0;
    for (int option; (option = getopt_long(argc, argv, "", table, NULL)) != -1;) {
        switch (option) {
        case TYPE:
            options->hints.media_type = mirai_str(optarg);
            break;
        case NAME:
            options->hints.name = mirai_str(optarg);
            break;
        case SIZE_MAX_:
            err |= number(optarg, INT64_C(1) << 30, &options->size_max);
            break;
        case MEMORY:
            err |= number(optarg, INT64_C(1) << 40, &options->memory);
            break;
        case SECONDS:
            err |= number(optarg, 3600, &options->seconds);
            break;
        case VERSION:
            printf("mirai-extract %s\n", MIRAI_VERSION);
            return 1;
        case HELP:
            fputs(usage, stdout);
            return 1;
        default:
            err = MIRAI_E_INVALID;
        }
    }
    if (err != 0 || optind != argc) {
        fputs(usage, stderr);
        return 3;
    }
    return 0;
}

static void write_all(void *data, struct mirai_str bytes)
{
    (void)data;
    while (bytes.len > 0) {
        ssize_t len = write(STDOUT_FILENO, bytes.data, bytes.len);
        if (len < 0 && errno != EINTR) {
            _exit(1); /* nobody listens any more */
        }
        bytes.data += len > 0 ? len : 0;
        bytes.len -= len > 0 ? (size_t)len : 0;
    }
}

/* Standard input to its end. False: longer than `max`, or unreadable. */
static bool read_all(size_t max, struct mirai_buf *out)
{
    for (;;) {
        mirai_buf_reserve(out, READ_STEP);
        ssize_t len = read(STDIN_FILENO, out->data + out->len, READ_STEP);
        if (len < 0 && errno == EINTR) {
            continue;
        }
        if (len <= 0) {
            return len == 0;
        }
        out->len += (size_t)len;
        if (out->len > max) {
            return false;
        }
    }
}

/* Libraries that open files or ask the system when they are first used, do so now. */
static void prepare(void)
{
    UErrorCode status = U_ZERO_ERROR;
    u_init(&status);
    xmlInitParser();
    xmlSetGenericErrorFunc(NULL, NULL);
    g_type_ensure(POPPLER_TYPE_DOCUMENT);
    g_log_set_handler(NULL, G_LOG_LEVEL_MASK, g_log_default_handler, NULL);
}

int main(int argc, char **argv)
{
    struct options options = {.size_max = 64 << 20, .memory = 512 << 20, .seconds = 30};
    struct pages pages = {.write = write_all};
    struct mirai_buf file = {0};
    int done = parse(argc, argv, &options);
    if (done != 0) {
        return done - 1;
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prepare();
    const struct sandbox_options sandbox = {(size_t)options.memory, (unsigned)options.seconds, POPPLER_DATA};
    if (sandbox_enter(&sandbox) != 0) {
        fprintf(stderr, "mirai-extract: no sandbox: %s\n", strerror(errno));
        return 1;
    }
    enum extract_outcome outcome = EXTRACT_TOO_LARGE;
    if (read_all((size_t)options.size_max, &file)) {
        outcome = read_file(mirai_buf_str(&file), &options.hints, &pages);
    }
    pages_end(&pages, outcome);
    /* Not exit(): libraries' last words are not needed, and the memory goes as a whole. */
    _exit(0);
}
