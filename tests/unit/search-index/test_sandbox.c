/* The sandbox of mirai-extract: in a child that has entered it, each thing that it takes away is tried. */
#include "services/search-index/extract/worker/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char open_dir[] = "/tmp/mirai-sandbox-open-XXXXXX";
static char other_dir[] = "/tmp/mirai-sandbox-other-XXXXXX";
static char open_file[64];
static char other_file[64];

/* How a child ended that entered the sandbox and did it: the exit status (0: as expected), or 1000 + the signal. */
static int in_sandbox(int (*what)(void))
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        const struct sandbox_options options = {
            .memory_bytes = 256 << 20, .cpu_seconds = 1, .data_dir = open_dir};
        _exit(sandbox_enter(&options) != 0 ? 99 : what());
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) ? 1000 + WTERMSIG(status) : WEXITSTATUS(status);
}

static int denied(long result)
{
    return result == -1 && (errno == EPERM || errno == EACCES) ? 0 : 1;
}

static bool has_landlock(void)
{
    return syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION) > 0;
}

/* ------------------------------------------------------------------ files */

static int read_open(void)
{
    return open(open_file, O_RDONLY) >= 0 ? 0 : 1;
}
static int read_other(void)
{
    return denied(open(other_file, O_RDONLY));
}
static int read_upwards(void)
{
    char path[200];
    strcpy(path, open_dir);
    strcat(path, "/../../etc/passwd");
    return denied(open(path, O_RDONLY));
}
static int write_open(void)
{
    return denied(open(open_file, O_WRONLY));
}
static int make_file(void)
{
    char path[200];
    strcpy(path, open_dir);
    strcat(path, "/new");
    return denied(open(path, O_RDONLY | O_CREAT, 0600)) ||
           denied(syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CREAT, 0600));
}
static int remove_file(void)
{
    return denied(unlink(open_file)) || denied(rename(open_file, other_file)) ||
           denied(chmod(open_file, 0777)) || denied(truncate(open_file, 0)) ||
           denied(mkdir("/tmp/mirai-sandbox-dir", 0700));
}

static void test_files(void **state)
{
    (void)state;
    if (has_landlock()) {
        assert_int_equal(in_sandbox(read_open), 0);
    }
    assert_int_equal(in_sandbox(read_other), 0);
    assert_int_equal(in_sandbox(read_upwards), 0);
    assert_int_equal(in_sandbox(write_open), 0);
    assert_int_equal(in_sandbox(make_file), 0);
    assert_int_equal(in_sandbox(remove_file), 0);
}

/* ------------------------------------------------------------------ processes and sockets */

static int start_program(void)
{
    char *const arguments[] = {"true", NULL};
    execv("/bin/true", arguments);
    return 1;
}
static int start_process(void)
{
    return syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL) == 0 ? 0 : 1;
}
static int open_socket(void)
{
    return socket(AF_INET, SOCK_STREAM, 0) >= 0 ? 0 : 1;
}
static int open_unix_socket(void)
{
    return socket(AF_UNIX, SOCK_STREAM, 0) >= 0 ? 0 : 1;
}
static int debug(void)
{
    return ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0 ? 0 : 1;
}
static int signal_parent(void)
{
    return denied(kill(getppid(), SIGTERM));
}
static int signal_others_by_tgkill(void)
{
    pid_t parent = getppid();
    return denied(syscall(SYS_tgkill, parent, parent, SIGTERM));
}
static int own_code(void)
{
    void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    void *plain = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return denied(page == MAP_FAILED ? -1 : 0) || denied(mprotect(plain, 4096, PROT_READ | PROT_EXEC));
}

static void test_processes(void **state)
{
    (void)state;
    assert_int_equal(in_sandbox(start_program), 1000 + SIGSYS);
    assert_int_equal(in_sandbox(start_process), 1000 + SIGSYS);
    assert_int_equal(in_sandbox(open_socket), 1000 + SIGSYS);
    assert_int_equal(in_sandbox(open_unix_socket), 1000 + SIGSYS);
    assert_int_equal(in_sandbox(debug), 1000 + SIGSYS);
    assert_int_equal(in_sandbox(signal_parent), 0);
    assert_int_equal(in_sandbox(signal_others_by_tgkill), 0);
    assert_int_equal(in_sandbox(own_code), 0);
}

/* ------------------------------------------------------------------ what it inherited, and limits */

static int inherited;

static int use_inherited(void)
{
    return fcntl(inherited, F_GETFD) == -1 && errno == EBADF ? 0 : 1;
}
static int spin(void)
{
    for (volatile unsigned long i = 0;; i++) {
    }
    return 1;
}
static int raise_limits(void)
{
    const struct rlimit more = {100, 100};
    return denied(setrlimit(RLIMIT_CPU, &more));
}
static int take_memory(void)
{
    void *room = mmap(NULL, 400 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return room == MAP_FAILED && errno == ENOMEM ? 0 : 1;
}

static void test_limits(void **state)
{
    (void)state;
    inherited = open(other_file, O_RDONLY);
    assert_true(inherited > 2);
    assert_int_equal(in_sandbox(use_inherited), 0);
    assert_int_equal(in_sandbox(spin), 1000 + SIGXCPU);
    assert_int_equal(in_sandbox(raise_limits), 0);
#if !defined(__SANITIZE_ADDRESS__)
    assert_int_equal(in_sandbox(take_memory), 0);
#else
    (void)take_memory; /* its shadow needs more than any bound */
#endif
    close(inherited);
}

static int set_up(void **state)
{
    (void)state;
    if (mkdtemp(open_dir) == NULL || mkdtemp(other_dir) == NULL) {
        return -1;
    }
    strcat(strcpy(open_file, open_dir), "/file");
    strcat(strcpy(other_file, other_dir), "/file");
    return close(open(open_file, O_CREAT | O_WRONLY, 0600)) |
           close(open(other_file, O_CREAT | O_WRONLY, 0600));
}

static int tear_down(void **state)
{
    (void)state;
    return unlink(open_file) | unlink(other_file) | rmdir(open_dir) | rmdir(other_dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_processes),
        cmocka_unit_test(test_limits),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
