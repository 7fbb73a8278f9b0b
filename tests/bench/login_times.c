/* Whether the time of a refused login tells whose account there is: pairs of logins in turn, one with a name that is
 * known and a wrong password, one with another. Prints the mean difference and its 95 % confidence interval.
 * bench-login-times PAIRS; takes the hash's parameters from MIRAI_PASSWORD_MEMORY_KIB, … */
#include "libcommon/config.h"
#include "libcommon/log.h"
#include "libcommon/time.h"
#include "proto/methods.h"
#include "services/knowledge-store/methods.h"
#include "services/knowledge-store/passwords.h"
#include "services/knowledge-store/store.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static uv_loop_t loop;
static struct store store;
static struct mirai_runtime runtime = {.loop = &loop};
static struct mirai_rpc_client *client;

static void expect(bool holds, const char *what)
{
    if (!holds) {
        fprintf(stderr, "%s\n", what);
        exit(1);
    }
}

static void on_answer(void *data, const struct mirai_rpc_reply *reply)
{
    expect(reply->status == MIRAI_E_UNAUTHENTICATED, "a login was not refused");
    *(bool *)data = true;
}

/* Milliseconds until the refusal. */
static double log_in(const char *name)
{
    const struct mirai_context context = {.deadline_ms = mirai_monotonic_ms() + 10000};
    struct mirai_login params = {0};
    bool done = false;
    mirai_set(login, &params, name, mirai_str(name));
    mirai_set(login, &params, password, MIRAI_STR("a wrong password"));
    uint64_t start = mirai_monotonic_us();
    mirai_method_call(client, MIRAI_METHOD_ID_auth_login, &context, &params, on_answer, &done);
    while (!done) {
        uv_run(&loop, UV_RUN_ONCE);
    }
    return (double)(mirai_monotonic_us() - start) / 1000;
}

static void make_users(void)
{
    char hash[PASSWORD_HASH_SIZE];
    expect(password_hash(hash, MIRAI_STR("correct horse battery")) == 0, "no memory for a hash");
    expect(db_exec(
               store.writer.db,
               "INSERT INTO users (name, name_key, role, created_at, password_hash, disabled, source) VALUES "
               "('known', 'known', 1, 0, ?1, 0, 0), ('disabled', 'disabled', 1, 0, ?1, 1, 0), "
               "('directory', 'directory', 1, 0, '', 0, 1)",
               DB_S(mirai_str(hash))) == 0,
           "cannot make users");
}

static void open_store(char *directory)
{
    char url[64];
    expect(mkdtemp(directory) != NULL && setenv("MIRAI_RUN_DIR", directory, 1) == 0,
           "cannot make a directory");
    snprintf(url, sizeof(url), "ipc://%s/store.sock", directory);
    expect(mirai_config_load(environ, stderr) == 0, "configuration");
    mirai_log_set_level(MIRAI_LOG_ERROR);
    expect(uv_loop_init(&loop) == 0 && store_open(&store, directory) == 0, "cannot open the store");
    make_users();
    expect(store_start(&store, &runtime) == 0, "cannot start the store");
    expect(mirai_rpc_server_new(&(struct mirai_rpc_server_options){
               .loop = &loop, .url = url, .methods = store_rpc_methods, .data = &store, .queue_max = 100}) !=
               NULL,
           "cannot serve");
    client = mirai_rpc_client_new(&(struct mirai_rpc_client_options){.loop = &loop,
                                                                     .service = "knowledge-store",
                                                                     .run_dir = directory,
                                                                     .endpoints = url,
                                                                     .outstanding_max = 100,
                                                                     .deadline_ms = 10000});
    expect(client != NULL, "cannot connect");
}

static int compare(const void *a, const void *b)
{
    double one = *(const double *)a, other = *(const double *)b;
    return (one > other) - (one < other);
}

#define TRIM 10 /* one in so many at each end: the pairs that other programs disturbed most */

/* The trimmed mean, and half of its confidence interval by the winsorised variance (Yuen 1974). */
static double trimmed_mean(double *sorted, int count, double *half)
{
    int cut = count / TRIM, kept = count - 2 * cut;
    double sum = 0, all = 0, squares = 0;
    for (int i = 0; i < count; i++) {
        double value = sorted[i < cut ? cut : i >= count - cut ? count - cut - 1 : i];
        sum += i >= cut && i < count - cut ? value : 0;
        all += value;
        squares += value * value;
    }
    double deviation = sqrt((squares - all * all / count) / (count - 1));
    *half = 1.96 * deviation * count / (kept * sqrt(count));
    return sum / kept;
}

static void measure(const char *name, int pairs)
{
    double *differences = mirai_alloc((size_t)pairs * sizeof(*differences)), half;
    for (int i = 0; i < pairs; i++) {
        bool known_first = i % 2 == 0;
        double first = log_in(known_first ? "known" : name), second = log_in(known_first ? name : "known");
        differences[i] = known_first ? second - first : first - second;
    }
    qsort(differences, (size_t)pairs, sizeof(*differences), compare);
    double mean = trimmed_mean(differences, pairs, &half);
    printf("%-10s %5d pairs: %+.3f ms, with 95 %% confidence between %+.3f and %+.3f ms\n", name, pairs, mean,
           mean - half, mean + half);
    fflush(stdout);
    free(differences);
}

int main(int argc, char **argv)
{
    char directory[] = "/tmp/mirai-logins-XXXXXX", command[64];
    int64_t pairs = 0;
    if (argc != 2 || mirai_parse_int(mirai_str(argv[1]), 10, 1000000, &pairs) != 0) {
        fprintf(stderr, "usage: bench-login-times PAIRS\n");
        return 2;
    }
    open_store(directory);
    static const char *const others[] = {"unknown", "disabled", "directory"};
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        measure(others[i], (int)pairs);
    }
    snprintf(command, sizeof(command), "rm -rf '%s'", directory);
    return system(command) == 0 ? 0 : 1;
}
