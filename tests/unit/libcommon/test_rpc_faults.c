/* Daemons that die, return, freeze, are replaced or are not what they seem: what callers see of it. The
 * servers are other processes: this program started again as "serve URL JOURNAL". */
#include "libcommon/log.h"
#include "libcommon/rpc.h"
#include "libcommon/time.h"
#include "tests/unit/libcommon/test.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define INSTANCES_MAX 3
#define WRITES_MAX    20000

/* ------------------------------------------------------------------ the server process */

static int journal; /* each executed write appends its 32-bit number */

static void handle_pid(struct mirai_rpc_request *request)
{
    struct mirai_buf buf = {0};
    mirai_mp_write_int(&buf, getpid());
    mirai_rpc_reply_buf(request, &buf);
}

static void handle_write(struct mirai_rpc_request *request)
{
    struct mirai_mp mp = mirai_mp(request->params);
    int64_t number = 0;
    mirai_mp_read_int(&mp, &number);
    uint32_t record = (uint32_t)number;
    if (write(journal, &record, sizeof(record)) != sizeof(record)) {
        abort();
    }
    mirai_rpc_reply(request, request->params);
}

static void handle_never(struct mirai_rpc_request *request)
{
    (void)request;
}

static const struct mirai_rpc_method methods[] = {
    {"pid", handle_pid}, {"write", handle_write}, {"never", handle_never}, {"service.health", handle_pid},
    {NULL, NULL},
};

static int serve(const char *url, const char *journal_path)
{
    uv_loop_t *loop = uv_default_loop();
    journal = open(journal_path, O_WRONLY | O_APPEND | O_CREAT, 0600);
    if (journal < 0 || mirai_rpc_server_new(&(struct mirai_rpc_server_options){
                           .loop = loop, .url = url, .methods = methods, .queue_max = 4096}) == NULL) {
        return 1;
    }
    return uv_run(loop, UV_RUN_DEFAULT);
}

/* ------------------------------------------------------------------ fixture */

struct fixture {
    uv_loop_t loop;
    uv_timer_t tick;
    uint64_t started_ms;
    char dir[40];
    char journal[64];
    char urls[INSTANCES_MAX][64];
    pid_t pids[INSTANCES_MAX];
    struct mirai_rpc_client *client;
};

static void on_tick(uv_timer_t *timer)
{
    struct fixture *f = timer->data;
    if (mirai_monotonic_ms() - f->started_ms > 60000) {
        fprintf(stderr, "the test hangs\n");
        abort();
    }
}

static void start_server(struct fixture *f, size_t i)
{
    f->pids[i] = fork();
    if (f->pids[i] == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        execl("/proc/self/exe", "test_rpc_faults", "serve", f->urls[i], f->journal, NULL);
        _exit(127);
    }
}

static void kill_server(struct fixture *f, size_t i)
{
    if (f->pids[i] > 0) {
        kill(f->pids[i], SIGKILL);
        waitpid(f->pids[i], NULL, 0);
        f->pids[i] = 0;
    }
}

static void start_client(struct fixture *f, const char *endpoints)
{
    f->client = mirai_rpc_client_new(&(struct mirai_rpc_client_options){.loop = &f->loop,
                                                                        .service = "thing",
                                                                        .run_dir = f->dir,
                                                                        .endpoints = endpoints,
                                                                        .outstanding_max = 1000,
                                                                        .deadline_ms = 5000});
}

static int setup(void **state)
{
    struct fixture *f = mirai_alloc(sizeof(*f));
    strcpy(f->dir, "/tmp/mirai-faults-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    snprintf(f->journal, sizeof(f->journal), "%s/journal", f->dir);
    for (size_t i = 0; i < INSTANCES_MAX; i++) {
        snprintf(f->urls[i], sizeof(f->urls[i]), "ipc://%s/thing@%zu.sock", f->dir, i + 1);
    }
    mirai_log_set_level(MIRAI_LOG_FATAL);
    f->started_ms = mirai_monotonic_ms();
    uv_loop_init(&f->loop);
    uv_timer_init(&f->loop, &f->tick);
    f->tick.data = f;
    uv_timer_start(&f->tick, on_tick, 5, 5);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    if (f->client != NULL) {
        mirai_rpc_client_free(f->client);
    }
    uv_close((uv_handle_t *)&f->tick, NULL);
    assert_int_equal(uv_run(&f->loop, UV_RUN_DEFAULT), 0);
    assert_int_equal(uv_loop_close(&f->loop), 0);
    for (size_t i = 0; i < INSTANCES_MAX; i++) {
        kill_server(f, i);
        unlink(f->urls[i] + strlen("ipc://"));
    }
    unlink(f->journal);
    rmdir(f->dir);
    free(f);
    return 0;
}

static void run_for(struct fixture *f, uint64_t ms)
{
    uint64_t end = mirai_monotonic_ms() + ms;
    while (mirai_monotonic_ms() < end) {
        uv_run(&f->loop, UV_RUN_ONCE);
    }
}

struct answer {
    int calls;
    int status;
    int64_t value;
};

static void on_answer(void *data, const struct mirai_rpc_reply *reply)
{
    struct answer *answer = data;
    struct mirai_mp mp = mirai_mp(reply->result);
    answer->calls++;
    answer->status = reply->status;
    if (reply->status == 0) {
        mirai_mp_read_int(&mp, &answer->value);
    }
}

/* One call, waited for. */
static struct answer ask(struct fixture *f, const char *method, uint64_t deadline_ms)
{
    struct answer answer = {0};
    struct mirai_context context = {.deadline_ms = mirai_monotonic_ms() + deadline_ms};
    mirai_rpc_call(f->client, method, MIRAI_RPC_READ, &context, MIRAI_STR("\x00"), on_answer, &answer);
    while (answer.calls == 0) {
        uv_run(&f->loop, UV_RUN_ONCE);
    }
    assert_int_equal(answer.calls, 1);
    return answer;
}

/* ------------------------------------------------------------------ a stream of calls that goes on meanwhile
 */

struct stream {
    struct fixture *f;
    const char *method;
    enum mirai_rpc_kind kind;
    bool keyed;
    bool stopped;
    size_t running;
    uint32_t next; /* number of the next write */
    size_t ok;
    size_t failed;
    int failure;
    size_t uncertain; /* of the failed ones */
    uint64_t slowest_ms;
    unsigned char failures[WRITES_MAX];
};

struct stream_call {
    struct stream *stream;
    uint32_t number;
    uint64_t begun_ms;
};

static void stream_begin(struct stream *s);

static void on_stream_answer(void *data, const struct mirai_rpc_reply *reply)
{
    struct stream_call *call = data;
    struct stream *s = call->stream;
    uint64_t ms = mirai_monotonic_ms() - call->begun_ms;
    s->slowest_ms = ms > s->slowest_ms ? ms : s->slowest_ms;
    if (reply->status == 0) {
        s->ok++;
    } else {
        s->failed++;
        s->failure = reply->status;
        s->uncertain += reply->uncertain;
        s->failures[call->number] = 1;
    }
    free(call);
    s->running--;
    if (!s->stopped && s->next < WRITES_MAX) {
        stream_begin(s);
    }
}

static void stream_begin(struct stream *s)
{
    struct stream_call *call = mirai_alloc(sizeof(*call));
    struct mirai_context context = {0};
    struct mirai_buf params = {0};
    *call = (struct stream_call){s, s->next++, mirai_monotonic_ms()};
    if (s->keyed) {
        context.idempotency_key = MIRAI_STR("key");
    }
    mirai_mp_write_int(&params, call->number);
    mirai_rpc_call(s->f->client, s->method, s->kind, &context, mirai_buf_str(&params), on_stream_answer,
                   call);
    mirai_buf_free(&params);
    s->running++;
}

static struct stream *stream_start(struct fixture *f, const char *method, enum mirai_rpc_kind kind,
                                   bool keyed, size_t concurrency)
{
    struct stream *s = mirai_alloc(sizeof(*s));
    s->f = f;
    s->method = method;
    s->kind = kind;
    s->keyed = keyed;
    for (size_t i = 0; i < concurrency; i++) {
        stream_begin(s);
    }
    return s;
}

static void stream_stop(struct stream *s)
{
    s->stopped = true;
    while (s->running > 0) {
        uv_run(&s->f->loop, UV_RUN_ONCE);
    }
}

/* How often each write was executed. */
static void read_journal(struct fixture *f, unsigned char counts[WRITES_MAX])
{
    FILE *file = fopen(f->journal, "r");
    uint32_t record;
    assert_non_null(file);
    memset(counts, 0, WRITES_MAX);
    while (fread(&record, sizeof(record), 1, file) == 1) {
        assert_in_range(record, 0, WRITES_MAX - 1);
        counts[record]++;
    }
    fclose(file);
}

/* ------------------------------------------------------------------ tests */

static void test_reads_survive_a_killed_server_that_returns(void **state)
{
    struct fixture *f = *state;
    start_server(f, 0);
    start_client(f, NULL);
    assert_int_equal(ask(f, "pid", 5000).value, f->pids[0]);
    struct stream *s = stream_start(f, "pid", MIRAI_RPC_READ, false, 4);
    run_for(f, 50);
    kill_server(f, 0);
    run_for(f, 150);
    size_t before = s->ok;
    start_server(f, 0);
    uint64_t returned = mirai_monotonic_ms();
    while (s->ok == before) {
        uv_run(&f->loop, UV_RUN_ONCE);
    }
    assert_in_range(mirai_monotonic_ms() - returned, 0, 1000); /* with the start of the process */
    stream_stop(s);
    assert_int_equal(s->failed, 0);
    free(s);
}

static void test_reads_never_fail_while_one_of_two_dies(void **state)
{
    struct fixture *f = *state;
    start_server(f, 0);
    start_server(f, 1);
    start_client(f, NULL);
    while (mirai_rpc_client_instances(f->client, NULL, 0) < 2) {
        uv_run(&f->loop, UV_RUN_ONCE);
    }
    run_for(f, 300);
    struct stream *s = stream_start(f, "pid", MIRAI_RPC_READ, false, 16);
    run_for(f, 50);
    kill_server(f, 1);
    run_for(f, 100);
    stream_stop(s);
    assert_true(s->ok > 100);
    assert_int_equal(s->failed, 0);
    assert_in_range(s->slowest_ms, 0, 1000);
    free(s);
}

static void assert_never_executed_twice(struct fixture *f, enum mirai_rpc_kind kind, bool keyed)
{
    static unsigned char counts[WRITES_MAX];
    start_server(f, 0);
    start_server(f, 1);
    start_client(f, NULL);
    run_for(f, 300);
    struct stream *s = stream_start(f, "write", kind, keyed, 32);
    for (int round = 0; round < 4; round++) {
        run_for(f, 40);
        kill_server(f, (size_t)round % 2);
        run_for(f, 40);
        start_server(f, (size_t)round % 2);
    }
    stream_stop(s);
    read_journal(f, counts);
    for (uint32_t i = 0; i < s->next; i++) {
        assert_in_range(counts[i], s->failures[i] ? 0 : 1, 1);
    }
    assert_true(s->ok > 100);
    assert_in_range(s->failed, 0, 4 * 32);
    if (s->failed > 0) {
        assert_int_equal(s->failure, MIRAI_E_UNAVAILABLE);
    }
    assert_int_equal(s->uncertain, s->failed); /* they had left when the pipe was lost */
    free(s);
}

static void test_unkeyed_writes_are_executed_once_at_most(void **state)
{
    assert_never_executed_twice(*state, MIRAI_RPC_WRITE, false);
}

static void test_writes_with_secrets_are_executed_once_at_most(void **state)
{
    assert_never_executed_twice(*state, MIRAI_RPC_ONCE, true);
}

static void test_keyed_writes_are_asked_again(void **state)
{
    struct fixture *f = *state;
    static unsigned char counts[WRITES_MAX];
    start_server(f, 0);
    start_client(f, NULL);
    assert_int_equal(ask(f, "pid", 5000).status, 0);
    struct stream *s = stream_start(f, "write", MIRAI_RPC_WRITE, true, 32);
    for (int round = 0; round < 3; round++) {
        run_for(f, 50);
        kill_server(f, 0);
        run_for(f, 20);
        start_server(f, 0);
    }
    run_for(f, 100);
    stream_stop(s);
    assert_int_equal(s->failed, 0);
    read_journal(f, counts);
    for (uint32_t i = 0; i < s->next; i++) {
        assert_true(counts[i] >= 1);
    }
    free(s);
}

static void test_frozen_server_costs_deadlines_and_returns(void **state)
{
    struct fixture *f = *state;
    struct answer list[500] = {0};
    start_server(f, 0);
    start_client(f, NULL);
    assert_int_equal(ask(f, "pid", 5000).status, 0);
    kill(f->pids[0], SIGSTOP);
    struct mirai_context context = {.deadline_ms = mirai_monotonic_ms() + 150};
    uint64_t begun = mirai_monotonic_ms();
    for (size_t i = 0; i < ARRAY_LEN(list); i++) {
        mirai_rpc_call(f->client, "pid", MIRAI_RPC_READ, &context, MIRAI_STR("\x00"), on_answer, &list[i]);
        uv_run(&f->loop, UV_RUN_NOWAIT); /* a frame each */
    }
    while (list[ARRAY_LEN(list) - 1].calls == 0) {
        uv_run(&f->loop, UV_RUN_ONCE);
    }
    assert_in_range(mirai_monotonic_ms() - begun, 145, 400);
    for (size_t i = 0; i < ARRAY_LEN(list); i++) {
        assert_int_equal(list[i].calls, 1);
        assert_int_equal(list[i].status, MIRAI_E_DEADLINE);
    }
    assert_int_equal(ask(f, "pid", 50).status, MIRAI_E_DEADLINE);
    kill(f->pids[0], SIGCONT);
    begun = mirai_monotonic_ms();
    assert_int_equal(ask(f, "pid", 3000).status, 0);
    assert_in_range(mirai_monotonic_ms() - begun, 0, 1000);
}

static void test_frozen_instance_is_ejected_and_comes_back(void **state)
{
    struct fixture *f = *state;
    struct mirai_rpc_instance_info rows[2];
    size_t failed = 0;
    start_server(f, 0);
    start_server(f, 1);
    start_client(f, NULL);
    run_for(f, 300);
    kill(f->pids[1], SIGSTOP);
    for (size_t i = 0; i < 40; i++) {
        failed += ask(f, "pid", 40).status != 0;
    }
    assert_in_range(failed, 1, 5);
    assert_int_equal(mirai_rpc_client_instances(f->client, rows, 2), 2);
    assert_int_equal(rows[0].ejected + rows[1].ejected, 1);
    kill(f->pids[1], SIGCONT);
    uint64_t begun = mirai_monotonic_ms();
    do {
        run_for(f, 10);
        mirai_rpc_client_instances(f->client, rows, 2);
    } while (rows[0].ejected || rows[1].ejected);
    assert_in_range(mirai_monotonic_ms() - begun, 0, 1500);
    size_t second = 0;
    for (size_t i = 0; i < 40; i++) {
        second += ask(f, "pid", 1000).value == f->pids[1];
    }
    assert_in_range(second, 10, 30);
}

/* A canary of 10 % gets about that, on a quiet system too. */
static void test_weights_share_calls(void **state)
{
    struct fixture *f = *state;
    char endpoints[160];
    size_t canary = 0;
    start_server(f, 0);
    start_server(f, 1);
    snprintf(endpoints, sizeof(endpoints), "%s#90, %s#10", f->urls[0], f->urls[1]);
    start_client(f, endpoints);
    run_for(f, 500);
    for (size_t i = 0; i < 300; i++) {
        canary += ask(f, "pid", 1000).value == f->pids[1];
    }
    assert_in_range(canary, 25, 35);
}

static void test_vanished_socket_is_given_up(void **state)
{
    struct fixture *f = *state;
    struct mirai_rpc_instance_info rows[2];
    start_server(f, 0);
    start_client(f, NULL);
    assert_int_equal(ask(f, "pid", 5000).status, 0);
    start_server(f, 1);
    run_for(f, 300);
    assert_int_equal(mirai_rpc_client_instances(f->client, rows, 2), 2);
    unlink(f->urls[0] + strlen("ipc://"));
    run_for(f, 100);
    assert_int_equal(mirai_rpc_client_instances(f->client, rows, 2), 1);
    assert_int_equal(ask(f, "pid", 1000).value, f->pids[1]);
}

static int connect_raw(const struct fixture *f)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", f->urls[0] + strlen("ipc://"));
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

static void test_strange_peers_do_not_disturb(void **state)
{
    struct fixture *f = *state;
    static const struct mirai_str greetings[] = {
        {"", 0},
        {"\0SP", 3},
        {"GET / HTTP/1.1\r\n\r\n", 18},
        {"\0SP\0\0\x31\0\0", 8},                                      /* a server */
        {"\0SP\0\0\x30\0\0\x01\xff\xff\xff\xff\xff\xff\xff\xff", 17}, /* a huge message */
        {"\0SP\0\0\x30\0\0\x01\0\0\0\0\0\x7f\xff\xff"
         "abc",
         20},                                                           /* a large one that never comes */
        {"\0SP\0\0\x30\0\0\x01\0\0\0\0\0\0\0\x02\x80\x00", 19},         /* too short for its id */
        {"\0SP\0\0\x30\0\0\x01\0\0\0\0\0\0\0\0", 17},                   /* empty */
        {"\0SP\0\0\x30\0\0\x01\0\0\0\0\0\0\0\x04\x00\x00\x00\x01", 21}, /* came through a device */
        {"\0SP\0\0\x30\0\0\x02\0\0\0\0\0\0\0\x04\x80\x00\x00\x01", 21}, /* message type 2 */
    };
    int open_fds[ARRAY_LEN(greetings)];
    start_server(f, 0);
    start_client(f, NULL);
    assert_int_equal(ask(f, "pid", 5000).status, 0);
    for (size_t round = 0; round < 20; round++) {
        for (size_t i = 0; i < ARRAY_LEN(greetings); i++) {
            open_fds[i] = connect_raw(f);
            (void)!write(open_fds[i], greetings[i].data, greetings[i].len);
        }
        assert_int_equal(ask(f, "pid", 1000).value, f->pids[0]);
        for (size_t i = 0; i < ARRAY_LEN(greetings); i++) {
            close(open_fds[i]);
        }
    }
    mirai_rpc_client_free(f->client); /* and new ones are still accepted */
    start_client(f, NULL);
    assert_int_equal(ask(f, "pid", 1000).value, f->pids[0]);
}

/* A server of libnng, as it would be on another host: the same calls, killed and back. */
static void test_libnng_endpoint_dies_and_returns(void **state)
{
    struct fixture *f = *state;
    snprintf(f->urls[0], sizeof(f->urls[0]), "abstract://mirai-test-rpc-%d", (int)getpid());
    start_server(f, 0);
    start_client(f, f->urls[0]);
    assert_int_equal(ask(f, "pid", 5000).value, f->pids[0]);
    struct stream *s = stream_start(f, "pid", MIRAI_RPC_READ, false, 16);
    run_for(f, 100);
    kill_server(f, 0);
    start_server(f, 0);
    assert_int_equal(ask(f, "pid", 3000).value, f->pids[0]);
    stream_stop(s);
    assert_int_equal(s->failed, 0);
    free(s);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(test_reads_survive_a_killed_server_that_returns),
        TEST(test_reads_never_fail_while_one_of_two_dies),
        TEST(test_unkeyed_writes_are_executed_once_at_most),
        TEST(test_writes_with_secrets_are_executed_once_at_most),
        TEST(test_keyed_writes_are_asked_again),
        TEST(test_frozen_server_costs_deadlines_and_returns),
        TEST(test_frozen_instance_is_ejected_and_comes_back),
        TEST(test_weights_share_calls),
        TEST(test_vanished_socket_is_given_up),
        TEST(test_strange_peers_do_not_disturb),
        TEST(test_libnng_endpoint_dies_and_returns),
    };
    if (argc == 4 && strcmp(argv[1], "serve") == 0) {
        return serve(argv[2], argv[3]);
    }
    if (argc == 2) {
        cmocka_set_test_filter(argv[1]);
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
