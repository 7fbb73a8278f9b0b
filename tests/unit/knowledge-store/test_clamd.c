#include "services/knowledge-store/clamd.h"
#include "tests/unit/knowledge-store/fixture.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

/* ------------------------------------------------------------------ answers */

static void only_an_exact_answer_is_a_verdict(void **state)
{
    static const struct {
        struct mirai_str answer;
        enum clamd_verdict verdict;
        const char *reason;
    } rows[] = {
        {MIRAI_STR("stream: OK"), CLAMD_CLEAN, ""},
        {MIRAI_STR("stream: Eicar-Test-Signature FOUND"), CLAMD_INFECTED, "Eicar-Test-Signature"},
        {MIRAI_STR("stream: A FOUND FOUND"), CLAMD_INFECTED, "A FOUND"},
        {MIRAI_STR("stream: \x01ウ FOUND"), CLAMD_INFECTED, "????"},
        {MIRAI_STR("INSTREAM size limit exceeded. ERROR"), CLAMD_TOO_LARGE,
         "INSTREAM size limit exceeded. ERROR"},
        {MIRAI_STR(""), CLAMD_NO_ANSWER, ""},
        {MIRAI_STR("stream: "), CLAMD_NO_ANSWER, "stream: "},
        {MIRAI_STR("stream:  FOUND"), CLAMD_NO_ANSWER, "stream:  FOUND"},
        {MIRAI_STR("stream: OK\n"), CLAMD_NO_ANSWER, "stream: OK?"},
        {MIRAI_STR("stream: OK OK"), CLAMD_NO_ANSWER, "stream: OK OK"},
        {MIRAI_STR("Stream: ok"), CLAMD_NO_ANSWER, "Stream: ok"},
        {MIRAI_STR("1: stream: OK"), CLAMD_NO_ANSWER, "1: stream: OK"},
        {MIRAI_STR("UNKNOWN COMMAND"), CLAMD_NO_ANSWER, "UNKNOWN COMMAND"},
    };
    char reason[CLAMD_REASON_SIZE];
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(clamd_parse(rows[i].answer, reason), rows[i].verdict);
        assert_memory_equal(reason, rows[i].reason, strlen(rows[i].reason));
    }
    char name[400];
    memset(name, 'x', sizeof(name));
    memcpy(name, "stream: ", 8);
    memcpy(name + sizeof(name) - 6, " FOUND", 6);
    assert_int_equal(clamd_parse((struct mirai_str){name, sizeof(name)}, reason), CLAMD_INFECTED);
    assert_int_equal(strlen(reason), CLAMD_REASON_SIZE - 1);
}

/* ------------------------------------------------------------------ a scanner that does as it is told */

enum manner {
    ANSWERS, /* after the whole content */
    EARLY,   /* after the command, and reads on */
    LEAVES,  /* after the command, without a word */
    SILENT,  /* reads all and says nothing */
    DEAF,    /* reads nothing and says nothing */
};

struct scanner {
    char dir[64];
    char target[128];
    int listener;
    pthread_t thread;
    enum manner manner;
    struct mirai_str answer;
    struct mirai_buf content; /* what it was given last */
    int stop[2];              /* closing the second end ends whatever it does */
};

static bool receive(int fd, void *data, size_t len)
{
    return len == 0 || recv(fd, data, len, MSG_WAITALL) == (ssize_t)len;
}

static void read_content(struct scanner *scanner, int fd)
{
    uint32_t head = 1;
    char chunk[65536];
    while (head != 0 && receive(fd, &head, sizeof(head))) {
        head = ntohl(head);
        assert_true(head <= sizeof(chunk));
        if (!receive(fd, chunk, head)) {
            return;
        }
        mirai_buf_append(&scanner->content, chunk, head);
    }
}

static void wait_for_stop(const struct scanner *scanner)
{
    char byte;
    (void)!read(scanner->stop[0], &byte, 1);
}

static void serve(struct scanner *scanner, int fd)
{
    char command[10];
    scanner->content.len = 0;
    if (scanner->manner == DEAF) {
        wait_for_stop(scanner);
        return;
    }
    if (!receive(fd, command, sizeof(command))) {
        return;
    }
    assert_memory_equal(command, "zINSTREAM", sizeof(command));
    if (scanner->manner == LEAVES) {
        return;
    }
    if (scanner->manner == EARLY) {
        (void)send(fd, scanner->answer.data, scanner->answer.len, MSG_NOSIGNAL);
        wait_for_stop(scanner);
        return;
    }
    read_content(scanner, fd);
    if (scanner->manner == SILENT) {
        wait_for_stop(scanner);
    } else {
        (void)send(fd, scanner->answer.data, scanner->answer.len, MSG_NOSIGNAL);
    }
}

static void *run_scanner(void *data)
{
    struct scanner *scanner = data;
    for (;;) {
        int fd = accept(scanner->listener, NULL, NULL);
        if (fd < 0) {
            return NULL;
        }
        serve(scanner, fd);
        close(fd);
    }
}

static void scanner_start(struct scanner *scanner, const char *dir)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof(address.sun_path), "%s/clamd.sock", dir);
    snprintf(scanner->target, sizeof(scanner->target), "unix:%s", address.sun_path);
    scanner->listener = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(scanner->listener, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(scanner->listener, 8), 0);
    assert_int_equal(pipe(scanner->stop), 0);
    assert_int_equal(pthread_create(&scanner->thread, NULL, run_scanner, scanner), 0);
}

static void scanner_stop(struct scanner *scanner)
{
    close(scanner->stop[1]);
    shutdown(scanner->listener, SHUT_RDWR);
    pthread_join(scanner->thread, NULL);
    close(scanner->listener);
    close(scanner->stop[0]);
    mirai_buf_free(&scanner->content);
}

/* The verdict of such a scanner on a content of `size` bytes within `ms`. */
static enum clamd_verdict verdict_of(enum manner manner, struct mirai_str answer, size_t size, unsigned ms,
                                     char reason[CLAMD_REASON_SIZE])
{
    struct scanner scanner = {.manner = manner, .answer = answer};
    atomic_bool stop = false;
    char path[80], *content = malloc(size + 1);
    memset(content, 'c', size + 1);
    snprintf(scanner.dir, sizeof(scanner.dir), "/tmp/mirai-clamd-XXXXXX");
    assert_non_null(mkdtemp(scanner.dir));
    snprintf(path, sizeof(path), "%s/content", scanner.dir);
    int fd = open(path, O_RDWR | O_CREAT, 0600);
    assert_int_equal(write(fd, content, size), size);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    scanner_start(&scanner, scanner.dir);
    enum clamd_verdict verdict = clamd_scan(scanner.target, fd, mirai_monotonic_ms() + ms, &stop, reason);
    if (manner == ANSWERS && verdict == CLAMD_CLEAN) {
        shutdown(scanner.listener, SHUT_RDWR);
        pthread_join(scanner.thread, NULL);
        assert_int_equal(scanner.content.len, size);
        assert_memory_equal(scanner.content.len > 0 ? scanner.content.data : content, content, size);
        assert_int_equal(pthread_create(&scanner.thread, NULL, run_scanner, &scanner), 0);
    }
    scanner_stop(&scanner);
    close(fd);
    free(content);
    unlink(path);
    unlink(scanner.target + 5);
    rmdir(scanner.dir);
    return verdict;
}

static void it_is_given_all_and_believed(void **state)
{
    static const size_t sizes[] = {0, 1, 65535, 65536, 65537, 300000};
    char reason[CLAMD_REASON_SIZE];
    (void)state;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        assert_int_equal(verdict_of(ANSWERS, MIRAI_STR("stream: OK\0"), sizes[i], 20000, reason),
                         CLAMD_CLEAN);
    }
    assert_int_equal(verdict_of(ANSWERS, MIRAI_STR("stream: Bad FOUND\0"), 100, 20000, reason),
                     CLAMD_INFECTED);
    assert_string_equal(reason, "Bad");
}

static void whatever_else_it_does_is_no_verdict(void **state)
{
    static char endless[4096];
    static const struct {
        enum manner manner;
        struct mirai_str answer;
        size_t size;
        unsigned ms;
        const char *reason;
    } rows[] = {
        {ANSWERS, MIRAI_STR("stream: OK"), 10, 20000, "it has closed the connection"}, /* no NUL */
        {ANSWERS, MIRAI_STR("\xff\xfe\0"), 10, 20000, "??"},
        {ANSWERS, {endless, sizeof(endless)}, 10, 20000, "its answer has no end"},
        {EARLY, MIRAI_STR("stream: OK\0"), 4000000, 20000, "a verdict before the end of the content"},
        {LEAVES, MIRAI_STR(""), 4000000, 20000, NULL},
        {SILENT, MIRAI_STR(""), 10, 300, "no answer in time"},
        {DEAF, MIRAI_STR(""), 4000000, 300, "no answer in time"},
    };
    char reason[CLAMD_REASON_SIZE];
    (void)state;
    memset(endless, 'x', sizeof(endless));
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        enum clamd_verdict verdict =
            verdict_of(rows[i].manner, rows[i].answer, rows[i].size, rows[i].ms, reason);
        assert_int_equal(verdict, CLAMD_NO_ANSWER);
        if (rows[i].reason != NULL) {
            assert_string_equal(reason, rows[i].reason);
        }
    }
    static const struct mirai_str limit = MIRAI_STR("INSTREAM size limit exceeded. ERROR\0");
    assert_int_equal(verdict_of(EARLY, limit, 4000000, 20000, reason), CLAMD_TOO_LARGE);
}

static void nobody_there_and_a_stop_end_at_once(void **state)
{
    struct scanner scanner = {.manner = DEAF};
    char reason[CLAMD_REASON_SIZE], dir[] = "/tmp/mirai-clamd-XXXXXX";
    atomic_bool stop = false;
    uint64_t begun = mirai_monotonic_ms();
    int fd = open("/dev/null", O_RDONLY);
    (void)state;
    assert_non_null(mkdtemp(dir));
    assert_int_equal(clamd_scan("unix:/nonexistent/clamd", fd, begun + 60000, &stop, reason),
                     CLAMD_NO_ANSWER);
    assert_int_equal(clamd_scan("tcp://127.0.0.1:1", fd, begun + 60000, &stop, reason), CLAMD_NO_ANSWER);
    assert_int_equal(clamd_scan("tcp://[::1]:1", fd, begun + 60000, &stop, reason), CLAMD_NO_ANSWER);
    scanner_start(&scanner, dir);
    stop = true;
    assert_int_equal(clamd_scan(scanner.target, fd, begun + 60000, &stop, reason), CLAMD_NO_ANSWER);
    assert_true(mirai_monotonic_ms() - begun < 30000);
    scanner_stop(&scanner);
    unlink(scanner.target + 5);
    rmdir(dir);
    close(fd);
}

/* ------------------------------------------------------------------ uploads */

static void use_scanner(const struct fixture *f, const struct scanner *scanner, const char *timeout)
{
    char run_dir[128], clamd[192];
    snprintf(run_dir, sizeof(run_dir), "MIRAI_RUN_DIR=%s", f->dir);
    snprintf(clamd, sizeof(clamd), "MIRAI_CLAMD=%s", scanner->target);
    char *environment[] = {run_dir, clamd, (char *)timeout, NULL};
    assert_int_equal(mirai_config_load(environment, stderr), 0);
}

static struct mirai_str upload(struct fixture *f, int64_t article, const char *data)
{
    struct mirai_upload_begin begin = {0};
    struct mirai_upload_begin_result made;
    struct mirai_upload_chunk chunk = {0};
    mirai_set(upload_begin, &begin, id, article);
    mirai_set(upload_begin, &begin, name, MIRAI_STR("a.txt"));
    mirai_set(upload_begin, &begin, size, (int64_t)strlen(data));
    assert_int_equal(CALL(f, &editor, upload_begin, &begin, &made), 0);
    mirai_set(upload_chunk, &chunk, upload, made.upload);
    mirai_set(upload_chunk, &chunk, offset, 0);
    mirai_set(upload_chunk, &chunk, data, mirai_str(data));
    assert_int_equal(CALL(f, &editor, upload_chunk, &chunk, NULL), 0);
    return made.upload;
}

static int commit(struct fixture *f, struct mirai_str name, struct mirai_attachment *attachment)
{
    struct mirai_upload_ref params = {0};
    mirai_set(upload_ref, &params, upload, name);
    return CALL(f, &editor, upload_commit, &params, attachment);
}

static bool is_on_disk(const struct fixture *f, struct mirai_str name)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/uploads/%.*s", f->dir, MIRAI_STR_ARG(name));
    return access(path, F_OK) == 0;
}

static size_t count_files(struct fixture *f, int64_t article)
{
    struct mirai_by_id params = {0};
    struct mirai_attachment_page page;
    mirai_set(by_id, &params, id, article);
    assert_int_equal(CALL(f, &viewer, attachment_list, &params, &page), 0);
    return page.items.count;
}

static void what_is_infected_is_gone_and_audited(void **state)
{
    struct fixture *f = *state;
    struct scanner scanner = {.manner = ANSWERS, .answer = MIRAI_STR("stream: Bad FOUND\0")};
    struct mirai_article article = create(f, &editor, "Files");
    scanner_start(&scanner, f->dir);
    use_scanner(f, &scanner, NULL);
    struct mirai_str name = upload(f, article.id, "virus");
    assert_int_equal(commit(f, name, NULL), MIRAI_E_INFECTED);
    assert_false(is_on_disk(f, name));
    assert_int_equal(commit(f, name, NULL), MIRAI_E_NOT_FOUND);
    assert_int_equal(count_files(f, article.id), 0);
    struct mirai_audit_list params = {0};
    struct mirai_audit_page page;
    mirai_set(audit_list, &params, action, MIRAI_STR("upload.commit"));
    assert_int_equal(CALL(f, &admin, audit_list, &params, &page), 0);
    assert_int_equal(page.items.count, 1);
    const struct mirai_audit_entry *entry = MIRAI_ITEMS(audit_entry, &page.items);
    assert_text(entry->result, "attachment-infected");
    assert_text(entry->object, "article/1");
    assert_int_equal(entry->user_id, 2);
    scanner_stop(&scanner);
}

static void without_a_verdict_the_commit_may_come_again(void **state)
{
    struct fixture *f = *state;
    struct scanner scanner = {.manner = LEAVES};
    struct mirai_article article = create(f, &editor, "Files");
    struct mirai_attachment attachment;
    mirai_log_set_level(MIRAI_LOG_FATAL);
    scanner_start(&scanner, f->dir);
    use_scanner(f, &scanner, "MIRAI_UPLOADS_MAX=1");
    struct mirai_str name = upload(f, article.id, "clean");
    assert_int_equal(commit(f, name, NULL), MIRAI_E_SCANNER);
    assert_int_equal(commit(f, name, NULL), MIRAI_E_SCANNER);
    assert_int_equal(count_files(f, article.id), 0);
    assert_true(is_on_disk(f, name));
    struct mirai_upload_begin begin = {0}; /* it still takes its place */
    mirai_set(upload_begin, &begin, id, article.id);
    mirai_set(upload_begin, &begin, name, MIRAI_STR("b.txt"));
    mirai_set(upload_begin, &begin, size, 1);
    assert_int_equal(CALL(f, &editor, upload_begin, &begin, NULL), MIRAI_E_OVERLOADED);
    scanner_stop(&scanner);
    unlink(scanner.target + 5);
    scanner = (struct scanner){.manner = ANSWERS, .answer = MIRAI_STR("stream: OK\0")};
    scanner_start(&scanner, f->dir);
    assert_int_equal(commit(f, name, &attachment), 0);
    assert_text(attachment.sha256, "3b066804f6d1d077173cfe4d06002e6a61e6f21c2b2e648417962115f1afcd8e");
    assert_int_equal(count_files(f, article.id), 1);
    scanner_stop(&scanner);
}

static void a_silent_scanner_costs_its_time_and_no_more(void **state)
{
    struct fixture *f = *state;
    struct scanner scanner = {.manner = SILENT};
    struct mirai_article article = create(f, &editor, "Files");
    mirai_log_set_level(MIRAI_LOG_FATAL);
    scanner_start(&scanner, f->dir);
    use_scanner(f, &scanner, "MIRAI_CLAMD_TIMEOUT_MS=200");
    struct mirai_str name = upload(f, article.id, "x");
    struct mirai_upload_ref params = {0};
    struct answer waiting;
    mirai_set(upload_ref, &params, upload, name);
    send_call(f, &editor, "", MIRAI_METHOD_ID_upload_commit, &params, &waiting);
    assert_int_equal(count_files(f, article.id), 0); /* others are served meanwhile */
    wait_for(f, &waiting);
    assert_int_equal(waiting.status, MIRAI_E_SCANNER);
    scanner_stop(&scanner);
}

/* The end of the store does not wait for it. */
static void a_store_that_stops_lets_go_of_the_scanner(void **state)
{
    struct fixture *f = *state;
    struct scanner scanner = {.manner = SILENT};
    struct mirai_article article = create(f, &editor, "Files");
    mirai_log_set_level(MIRAI_LOG_FATAL);
    scanner_start(&scanner, f->dir);
    use_scanner(f, &scanner, "MIRAI_CLAMD_TIMEOUT_MS=60000");
    struct mirai_upload_ref params = {0};
    struct answer lost;
    mirai_set(upload_ref, &params, upload, upload(f, article.id, "x"));
    send_call(f, &editor, "", MIRAI_METHOD_ID_upload_commit, &params, &lost);
    assert_int_equal(count_files(f, article.id), 0);
    uint64_t begun = mirai_monotonic_ms();
    restart(f);
    assert_true(mirai_monotonic_ms() - begun < 30000);
    assert_int_equal(count_files(f, article.id), 0);
    scanner_stop(&scanner);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, fixture_open, fixture_close)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_an_exact_answer_is_a_verdict),
        cmocka_unit_test(it_is_given_all_and_believed),
        cmocka_unit_test(whatever_else_it_does_is_no_verdict),
        cmocka_unit_test(nobody_there_and_a_stop_end_at_once),
        TEST(what_is_infected_is_gone_and_audited),
        TEST(without_a_verdict_the_commit_may_come_again),
        TEST(a_silent_scanner_costs_its_time_and_no_more),
        TEST(a_store_that_stops_lets_go_of_the_scanner),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
