/* The exposition as a scraper sees it: real sockets, and one other daemon that answers. */
#include "services/metrics/http.h"

#include "libcommon/config.h"
#include "libcommon/log.h"
#include "libcommon/rpc.h"
#include "libcommon/time.h"
#include "tests/unit/libcommon/test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#define GET(more) "GET /metrics HTTP/1.1\r\nHost: mirai\r\n" more "\r\n"

/* All tests share one server: h2o's memory lasts as long as the process. */
static uv_loop_t loop;
static uv_timer_t pace; /* the loop never sleeps for long: the scraper lives in the same thread */
static char directory[] = "/tmp/mirai-metrics-XXXXXX";
static int port;
static struct collector *collector;
static struct http *http;
static struct mirai_rpc_server *backup;
static struct mirai_buf families; /* what the other daemon says */
static size_t asked;              /* times that it was asked */

static void answer_metrics(struct mirai_rpc_request *request)
{
    asked++;
    mirai_rpc_reply(request, mirai_buf_str(&families));
}

static const struct mirai_rpc_method methods[] = {{"service.metrics", answer_metrics}, {NULL, NULL}};

static void on_pace(uv_timer_t *timer)
{
    (void)timer;
}

static int free_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, len), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    close(fd);
    return ntohs(address.sin_port);
}

static void turn(void)
{
    uv_run(&loop, UV_RUN_ONCE);
}

static int start(void **state)
{
    (void)state;
    char listen_at[64], run_dir[64], url[80];
    assert_non_null(mkdtemp(directory));
    port = free_port();
    snprintf(listen_at, sizeof(listen_at), "MIRAI_METRICS_LISTEN=127.0.0.1:%d", port);
    snprintf(run_dir, sizeof(run_dir), "MIRAI_RUN_DIR=%s", directory);
    snprintf(url, sizeof(url), "ipc://%s/backup@1.sock", directory);
    char *environment[] = {listen_at, run_dir, "MIRAI_METRICS_TOKEN=correct-horse-battery", NULL};
    assert_int_equal(mirai_config_load(environment, stderr), 0);
    mirai_log_set_level(MIRAI_LOG_FATAL);
    uv_loop_init(&loop);
    uv_timer_init(&loop, &pace);
    uv_timer_start(&pace, on_pace, 1, 1);
    mirai_mp_write_array(&families, 0);
    backup = mirai_rpc_server_new(
        &(struct mirai_rpc_server_options){.loop = &loop, .url = url, .methods = methods, .queue_max = 100});
    collector = collector_new(&loop);
    http = http_new(&loop, collector);
    assert_true(backup != NULL && http != NULL);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    mirai_rpc_server_free(backup);
    collector_free(collector);
    for (int i = 0; i < 50; i++) {
        turn();
    }
    mirai_buf_free(&families);
    return rmdir(directory);
}

/* ------------------------------------------------------------------ a scraper */

static int connect_to_it(void)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

static size_t occurrences(const struct mirai_buf *text, const char *what)
{
    size_t count = 0, len = strlen(what);
    const char *at = text->data;
    const char *end = text->data + text->len;
    while (at != NULL && (at = memmem(at, (size_t)(end - at), what, len)) != NULL) {
        count++;
        at += len;
    }
    return count;
}

/* Read until `what` has come `times` times, the server closes, or two seconds have passed. False: neither. */
static bool read_until(int fd, struct mirai_buf *answer, const char *what, size_t times)
{
    uint64_t end = mirai_monotonic_ms() + 2000;
    while (mirai_monotonic_ms() < end) {
        turn();
        mirai_buf_reserve(answer, 65536);
        ssize_t n = recv(fd, answer->data + answer->len, 65536, MSG_DONTWAIT);
        if (n == 0 || (n < 0 && errno != EAGAIN)) {
            return true;
        }
        answer->len += n > 0 ? (size_t)n : 0;
        if (what != NULL && occurrences(answer, what) >= times) {
            return true;
        }
    }
    return false;
}

/* Send in pieces of `piece` bytes, with turns of the loop between them. */
static void send_pieces(int fd, const char *text, size_t piece)
{
    for (size_t len = strlen(text); len > 0;) {
        size_t n = len < piece ? len : piece;
        ssize_t sent = send(fd, text, n, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno != EAGAIN) {
            return; /* it has had enough; the answer tells */
        }
        text += sent > 0 ? sent : 0;
        len -= sent > 0 ? (size_t)sent : 0;
        turn();
        turn();
    }
}

/* One request on a connection that ends with it; the answer. */
static struct mirai_buf ask(const char *request)
{
    struct mirai_buf answer = {0};
    int fd = connect_to_it();
    send_pieces(fd, request, 100000);
    shutdown(fd, SHUT_WR);
    assert_true(read_until(fd, &answer, NULL, 0));
    close(fd);
    mirai_buf_append_char(&answer, '\0');
    return answer;
}

static void assert_status(const char *request, const char *status)
{
    struct mirai_buf answer = ask(request);
    if (strncmp(answer.data, status, strlen(status)) != 0) {
        fail_msg("%.60s: answered %.60s", request, answer.data);
    }
    mirai_buf_free(&answer);
}

#define TOKEN "Authorization: Bearer correct-horse-battery\r\n"

/* ------------------------------------------------------------------ tests */

static void a_scrape_is_answered(void **state)
{
    (void)state;
    struct mirai_buf answer = ask(GET(TOKEN));
    assert_int_equal(strncmp(answer.data, "HTTP/1.1 200 OK\r\n", 17), 0);
    assert_non_null(strstr(answer.data, "content-type: text/plain; version=0.0.4; charset=utf-8\r\n"));
    assert_non_null(strstr(answer.data, "mirai_up{daemon=\"metrics\",daemon_instance=\"1\"} 1\n"));
    assert_non_null(strstr(answer.data, "mirai_up{daemon=\"gateway\",daemon_instance=\"1\"} 0\n"));
    assert_null(strstr(answer.data, "# EOF"));
    mirai_buf_free(&answer);
}

static void another_daemon_counts_as_up_when_it_answers(void **state)
{
    (void)state;
    for (int i = 0; i < 5000 && asked == 0; i++) { /* it is found within a second */
        struct mirai_buf answer = ask(GET(TOKEN));
        mirai_buf_free(&answer);
    }
    struct mirai_buf answer = ask(GET(TOKEN));
    assert_non_null(strstr(answer.data, "mirai_up{daemon=\"backup\",daemon_instance=\"1\"} 1\n"));
    mirai_buf_free(&answer);
    char array = families.data[0];
    families.data[0] = '\x01';
    answer = ask(GET(TOKEN));
    assert_non_null(strstr(answer.data, "mirai_up{daemon=\"backup\",daemon_instance=\"1\"} 0\n"));
    families.data[0] = array;
    mirai_buf_free(&answer);
}

static void openmetrics_when_asked_for(void **state)
{
    (void)state;
    struct mirai_buf answer =
        ask(GET(TOKEN "Accept: application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=0.2\r\n"));
    assert_non_null(strstr(answer.data, "content-type: application/openmetrics-text; version=1.0.0"));
    const char *eof = strstr(answer.data, "# EOF\n");
    assert_true(eof != NULL &&
                (eof[6] == '\0' || strcmp(eof + 6, "\r\n0\r\n\r\n") == 0)); /* the last chunk */
    mirai_buf_free(&answer);
    assert_int_equal(http_format(MIRAI_STR("text/plain")), EXPOSITION_PROMETHEUS);
    assert_int_equal(http_format(MIRAI_STR("*/*")), EXPOSITION_PROMETHEUS);
    assert_int_equal(http_format((struct mirai_str){NULL, 0}), EXPOSITION_PROMETHEUS);
    assert_int_equal(http_format(MIRAI_STR("application/openmetrics-text")), EXPOSITION_OPENMETRICS);
}

static void the_token_is_asked_for(void **state)
{
    (void)state;
    assert_status(GET(""), "HTTP/1.1 401 ");
    assert_status(GET("Authorization: Bearer wrong-horse-battery!\r\n"), "HTTP/1.1 401 ");
    assert_status(GET("Authorization: Bearer correct-horse-batter\r\n"), "HTTP/1.1 401 ");
    assert_status(GET("Authorization: Basic correct-horse-battery\r\n"), "HTTP/1.1 401 ");
    assert_status(GET("Authorization: bearer correct-horse-battery\r\n"), "HTTP/1.1 200 ");
    struct mirai_buf answer = ask(GET(""));
    assert_non_null(strcasestr(answer.data, "www-authenticate: Bearer\r\n"));
    assert_null(strstr(answer.data, "mirai_up"));
    mirai_buf_free(&answer);
    assert_true(http_authorized(MIRAI_STR("Bearer t"), MIRAI_STR("t")));
    assert_false(http_authorized(MIRAI_STR("Bearer "), MIRAI_STR("t")));
    assert_false(http_authorized(MIRAI_STR("Bearer t "), MIRAI_STR("t")));
    assert_false(http_authorized((struct mirai_str){NULL, 0}, MIRAI_STR("t")));
}

static void other_methods_and_paths_are_refused(void **state)
{
    (void)state;
    static const char *const verbs[] = {"POST", "PUT", "DELETE", "OPTIONS", "PATCH", "get"};
    for (size_t i = 0; i < ARRAY_LEN(verbs); i++) {
        char request[200];
        snprintf(request, sizeof(request),
                 "%s /metrics HTTP/1.1\r\nHost: mirai\r\n%sContent-Length: 0\r\n\r\n", verbs[i], TOKEN);
        assert_status(request, "HTTP/1.1 405 ");
    }
    static const char *const paths[] = {"/", "/metric", "/metricss", "/metrics/", "/METRICS", "/a/../b"};
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        char request[200];
        snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: mirai\r\n%s\r\n", paths[i], TOKEN);
        assert_status(request, "HTTP/1.1 404 ");
    }
    assert_status("GET /metrics?name=x HTTP/1.1\r\nHost: mirai\r\n" TOKEN "\r\n", "HTTP/1.1 200 ");
}

static void a_head_has_no_body(void **state)
{
    (void)state;
    struct mirai_buf answer = ask("HEAD /metrics HTTP/1.1\r\nHost: mirai\r\n" TOKEN "\r\n");
    assert_int_equal(strncmp(answer.data, "HTTP/1.1 200 OK\r\n", 17), 0);
    assert_string_equal(answer.data + answer.len - 5, "\r\n\r\n");
    mirai_buf_free(&answer);
}

static void requests_may_come_in_any_pieces(void **state)
{
    (void)state;
    static const size_t pieces[] = {1, 2, 7, 40};
    for (size_t i = 0; i < ARRAY_LEN(pieces); i++) {
        struct mirai_buf answer = {0};
        int fd = connect_to_it();
        send_pieces(fd, GET(TOKEN), pieces[i]);
        assert_true(read_until(fd, &answer, "mirai_up{daemon=\"metrics\"", 1));
        assert_int_equal(occurrences(&answer, "HTTP/1.1 200 OK"), 1);
        close(fd);
        mirai_buf_free(&answer);
    }
}

static void requests_behind_each_other_are_answered_in_order(void **state)
{
    (void)state;
    struct mirai_buf answer = {0};
    int fd = connect_to_it();
    send_pieces(fd, GET(TOKEN) GET(TOKEN) "GET /none HTTP/1.1\r\nHost: mirai\r\n\r\n", 100000);
    assert_true(read_until(fd, &answer, "HTTP/1.1 ", 3));
    assert_int_equal(occurrences(&answer, "HTTP/1.1 200 OK"), 2);
    mirai_buf_append_char(&answer, '\0');
    const char *refused = strstr(answer.data, "HTTP/1.1 404 ");
    assert_true(refused != NULL && strstr(refused, "HTTP/1.1 200 OK") == NULL);
    close(fd);
    mirai_buf_free(&answer);
}

/* Each is refused or its connection ended, and nobody gets the figures. */
static void what_is_no_request_gets_nothing(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "\r\n\r\n\r\n",
        "GET\r\n\r\n",
        "GET /metrics\r\n\r\n",
        "GET /metrics HTTP/9.9\r\n\r\n",
        "GET /metrics HTTP/1.1\r\nno colon\r\n\r\n",
        "\x16\x03\x01\x02\x01\x01\x01\xfc\x03\x03",
        "GET /metrics HTTP/1.1\r\nHost: mirai\r\nContent-Length: 99999999999\r\n" TOKEN "\r\n",
    };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct mirai_buf answer = ask(texts[i]);
        assert_null(strstr(answer.data, "mirai_up"));
        mirai_buf_free(&answer);
    }
}

static void a_head_without_end_is_cut_off(void **state)
{
    (void)state;
    struct mirai_buf request = {0};
    mirai_buf_append_str(&request, MIRAI_STR("GET /metrics HTTP/1.1\r\nHost: mirai\r\nX-Long: "));
    for (int i = 0; i < 1 << 20; i++) {
        mirai_buf_append_char(&request, 'x');
    }
    mirai_buf_append_char(&request, '\0');
    struct mirai_buf answer = {0};
    int fd = connect_to_it();
    send_pieces(fd, request.data, 16384);
    assert_true(read_until(fd, &answer, "HTTP/1.1 4", 1)); /* 4xx, or the end of the connection */
    assert_int_equal(occurrences(&answer, "mirai_up"), 0);
    close(fd);
    mirai_buf_free(&answer);
    mirai_buf_free(&request);
}

/* There is room for 64 scrapers at a time; those who have left take none of it. */
static void connections_that_ended_do_not_count(void **state)
{
    (void)state;
    for (int i = 0; i < 150; i++) {
        int fd = connect_to_it();
        turn();
        close(fd);
        turn();
    }
    for (int i = 0; i < 150; i++) {
        assert_status(GET(TOKEN), "HTTP/1.1 200 OK");
    }
}

static void scrapers_who_leave_early_do_no_harm(void **state)
{
    (void)state;
    for (int i = 0; i < 30; i++) {
        int fd = connect_to_it();
        send_pieces(fd, GET(TOKEN), 100000);
        close(fd);
        turn();
    }
    assert_status(GET(TOKEN), "HTTP/1.1 200 OK");
}

static void too_many_at_once_are_turned_away(void **state)
{
    (void)state;
    int fds[80];
    struct mirai_buf answer = {0};
    for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
        fds[i] = connect_to_it();
        turn();
    }
    for (int i = 0; i < 20; i++) {
        turn();
    }
    assert_true(read_until(fds[79], &answer, NULL, 0));
    assert_int_equal(answer.len, 0);
    send_pieces(fds[0], GET(TOKEN), 100000);
    assert_true(read_until(fds[0], &answer, "mirai_up{daemon=\"metrics\"", 1));
    for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
        close(fds[i]);
    }
    for (int i = 0; i < 200; i++) {
        turn();
    }
    mirai_buf_free(&answer);
    assert_status(GET(TOKEN), "HTTP/1.1 200 OK");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_scrape_is_answered),
        cmocka_unit_test(another_daemon_counts_as_up_when_it_answers),
        cmocka_unit_test(openmetrics_when_asked_for),
        cmocka_unit_test(the_token_is_asked_for),
        cmocka_unit_test(other_methods_and_paths_are_refused),
        cmocka_unit_test(a_head_has_no_body),
        cmocka_unit_test(requests_may_come_in_any_pieces),
        cmocka_unit_test(requests_behind_each_other_are_answered_in_order),
        cmocka_unit_test(what_is_no_request_gets_nothing),
        cmocka_unit_test(a_head_without_end_is_cut_off),
        cmocka_unit_test(connections_that_ended_do_not_count),
        cmocka_unit_test(scrapers_who_leave_early_do_no_harm),
        cmocka_unit_test(too_many_at_once_are_turned_away),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
