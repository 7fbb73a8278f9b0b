/* Hints from a publisher to subscribers: delivery, late and returning publishers, peers that leave at once.
 */
#include "libcommon/log.h"
#include "libcommon/pubsub.h"
#include "libcommon/time.h"
#include "tests/unit/libcommon/test.h"

#include <nng/nng.h>
#include <nng/protocol/pubsub0/pub.h>
#include <nng/protocol/pubsub0/sub.h>
#include <nng/supplemental/util/platform.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

struct fixture {
    uv_loop_t loop;
    uv_timer_t tick; /* wakes the loop; ends a test that hangs */
    unsigned ticks;
    char dir[32];
    char url[64];
    struct mirai_publisher *publisher;
    struct mirai_subscriber *subscriber;
    size_t connections;
    size_t messages;
    char last[32];
};

static void on_message(void *data, struct mirai_str message)
{
    struct fixture *f = data;
    if (message.len == 0) {
        f->connections++;
        return;
    }
    f->messages++;
    snprintf(f->last, sizeof(f->last), "%.*s", MIRAI_STR_ARG(message));
}

static void on_tick(uv_timer_t *timer)
{
    struct fixture *f = timer->data;
    if (++f->ticks > 3000) {
        fprintf(stderr, "the test hangs\n");
        abort();
    }
}

static void wait_for(struct fixture *f, const size_t *counter, size_t value)
{
    while (*counter < value) {
        uv_run(&f->loop, UV_RUN_ONCE);
    }
}

/* A message goes to those who have been greeted, which may be later than the subscriber's end knows it. */
static void publish_until_received(struct fixture *f, const char *text)
{
    size_t before = f->messages;
    while (f->messages == before || strcmp(f->last, text) != 0) {
        mirai_publish(f->publisher, mirai_str(text));
        uv_run(&f->loop, UV_RUN_ONCE);
    }
}

static int setup(void **state)
{
    struct fixture *f = mirai_alloc(sizeof(*f));
    strcpy(f->dir, "/tmp/mirai-pub-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    snprintf(f->url, sizeof(f->url), "ipc://%s/thing@1.pub", f->dir);
    mirai_log_set_level(MIRAI_LOG_FATAL);
    uv_loop_init(&f->loop);
    uv_timer_init(&f->loop, &f->tick);
    f->tick.data = f;
    uv_timer_start(&f->tick, on_tick, 10, 10);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    if (f->subscriber != NULL) {
        mirai_subscriber_free(f->subscriber);
    }
    if (f->publisher != NULL) {
        mirai_publisher_free(f->publisher);
    }
    uv_close((uv_handle_t *)&f->tick, NULL);
    assert_int_equal(uv_run(&f->loop, UV_RUN_DEFAULT), 0);
    assert_int_equal(uv_loop_close(&f->loop), 0);
    assert_int_equal(rmdir(f->dir), 0);
    free(f);
    return 0;
}

static void start(struct fixture *f)
{
    f->publisher = mirai_publisher_new(&f->loop, NULL);
    assert_int_equal(mirai_publisher_listen(f->publisher, f->url), 0);
}

static void follow(struct fixture *f, const char *endpoints)
{
    f->subscriber = mirai_subscriber_new(&f->loop, "thing", f->dir, endpoints, NULL, on_message, f);
    assert_non_null(f->subscriber);
}

static void test_message_arrives_after_the_news_of_the_connection(void **state)
{
    struct fixture *f = *state;
    struct stat st;
    start(f);
    follow(f, NULL);
    wait_for(f, &f->connections, 1);
    assert_int_equal(f->messages, 0);
    publish_until_received(f, "seq 5");
    assert_int_equal(stat(f->url + strlen("ipc://"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0660);
}

static void test_publisher_that_appears_later_and_comes_back(void **state)
{
    struct fixture *f = *state;
    follow(f, NULL);
    start(f);
    wait_for(f, &f->connections, 1);
    publish_until_received(f, "first");
    mirai_publisher_free(f->publisher);
    uv_run(&f->loop, UV_RUN_ONCE);
    start(f);
    wait_for(f, &f->connections, 2);
    publish_until_received(f, "second");
}

/* libnng 1.5.2 may hang in nng_close(): it speaks in a process of its own, which just ends. */
static void publish_with_libnng(const char *url)
{
    nng_socket publisher;
    if (nng_pub0_open(&publisher) == 0 && nng_listen(publisher, url, NULL, 0) == 0) {
        while (nng_send(publisher, "hello", 5, NNG_FLAG_NONBLOCK) == 0) {
            nng_msleep(5);
        }
    }
}

static void subscribe_with_libnng(const char *url)
{
    nng_socket subscriber;
    char text[16];
    size_t len = sizeof(text);
    if (nng_sub0_open(&subscriber) == 0 && nng_socket_set(subscriber, NNG_OPT_SUB_SUBSCRIBE, "", 0) == 0 &&
        nng_dial(subscriber, url, NULL, NNG_FLAG_NONBLOCK) == 0 && nng_recv(subscriber, text, &len, 0) == 0 &&
        len == 5 && memcmp(text, "hello", 5) == 0) {
        _exit(0);
    }
}

static pid_t run_apart(void (*run)(const char *url), const char *url)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        run(url);
        _exit(1);
    }
    return pid;
}

static void test_subscriber_hears_libnng(void **state)
{
    struct fixture *f = *state;
    pid_t pid = run_apart(publish_with_libnng, f->url);
    follow(f, f->url);
    wait_for(f, &f->messages, 1);
    assert_string_equal(f->last, "hello");
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    unlink(f->url + strlen("ipc://"));
}

static void test_libnng_hears_the_publisher(void **state)
{
    struct fixture *f = *state;
    int status;
    start(f);
    pid_t pid = run_apart(subscribe_with_libnng, f->url);
    while (waitpid(pid, &status, WNOHANG) == 0) {
        mirai_publish(f->publisher, MIRAI_STR("hello"));
        uv_run(&f->loop, UV_RUN_ONCE);
    }
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* Each of these once stopped nng's listener for ever. */
static void test_peers_that_leave_at_once_do_not_stop_the_publisher(void **state)
{
    struct fixture *f = *state;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    start(f);
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", f->url + strlen("ipc://"));
    for (size_t i = 0; i < 20; i++) {
        int fd = socket(AF_UNIX, SOCK_STREAM, 0);
        connect(fd, (struct sockaddr *)&address, sizeof(address));
        close(fd);
    }
    follow(f, NULL);
    publish_until_received(f, "still here");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_message_arrives_after_the_news_of_the_connection),
        TEST(test_publisher_that_appears_later_and_comes_back),
        TEST(test_subscriber_hears_libnng),
        TEST(test_libnng_hears_the_publisher),
        TEST(test_peers_that_leave_at_once_do_not_stop_the_publisher),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
