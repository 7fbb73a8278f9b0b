#include "services/search-index/extract/worker/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <seccomp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define FILES_MAX 32 /* descriptors: poppler opens its maps one after the other */

/* Not under AddressSanitizer: its shadow alone reserves terabytes. */
#if defined(__SANITIZE_ADDRESS__)
#define BOUNDS_MEMORY false
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define BOUNDS_MEMORY false
#endif
#endif
#ifndef BOUNDS_MEMORY
#define BOUNDS_MEMORY true
#endif

/* ------------------------------------------------------------------ limits */

static int limit(int resource, rlim_t value)
{
    const struct rlimit bounds = {value, value};
    return setrlimit((__rlimit_resource_t)resource, &bounds);
}

static int limit_all(const struct sandbox_options *options)
{
    /* SIGXCPU first, which tells the caller what happened; SIGKILL a second later. */
    const struct rlimit cpu = {options->cpu_seconds, options->cpu_seconds + 1};
    int failed = setrlimit(RLIMIT_CPU, &cpu);
    if (options->memory_bytes > 0 && BOUNDS_MEMORY) {
        failed |= limit(RLIMIT_AS, options->memory_bytes);
    }
    failed |= limit(RLIMIT_FSIZE, 0);
    failed |= limit(RLIMIT_CORE, 0);
    failed |= limit(RLIMIT_NPROC, 0);
    failed |= limit(RLIMIT_MEMLOCK, 0);
    failed |= limit(RLIMIT_NOFILE, FILES_MAX);
    return failed != 0 ? -1 : 0;
}

/* ------------------------------------------------------------------ files */

/* Landlock (landlock(7)): every access to files that the kernel can forbid is, but reading below one folder. The ABI
 * grows: rights that this kernel does not know are not asked for, and seccomp forbids most calls for them anyway.
 * *holds: whether the kernel has it. */
static int lock_files(const char *data_dir, bool *holds)
{
    static const uint64_t rights_by_abi[] = {0, (1u << 13) - 1, (1u << 14) - 1, (1u << 15) - 1};
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    *holds = abi > 0;
    if (!*holds) {
        return 0;
    }
    const struct landlock_ruleset_attr rules = {.handled_access_fs = rights_by_abi[abi < 3 ? abi : 3]};
    int ruleset = (int)syscall(SYS_landlock_create_ruleset, &rules, sizeof(rules), 0);
    if (ruleset < 0) {
        return -1;
    }
    struct landlock_path_beneath_attr allowed = {
        .allowed_access = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR,
        .parent_fd = data_dir != NULL ? open(data_dir, O_PATH | O_CLOEXEC) : -1};
    long err = 0;
    if (allowed.parent_fd >= 0) { /* not installed: nothing to read */
        err = syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &allowed, 0);
        close(allowed.parent_fd);
    }
    err = err == 0 ? syscall(SYS_landlock_restrict_self, ruleset, 0) : err;
    close(ruleset);
    return err == 0 ? 0 : -1;
}

/* ------------------------------------------------------------------ system calls */

/* What reading in memory needs; a C library may choose a sibling, so both are there. */
static const int allowed_calls[] = {
    SCMP_SYS(read),          SCMP_SYS(readv),       SCMP_SYS(pread64),         SCMP_SYS(write),
    SCMP_SYS(writev),        SCMP_SYS(close),       SCMP_SYS(fstat),           SCMP_SYS(newfstatat),
    SCMP_SYS(stat),          SCMP_SYS(lstat),       SCMP_SYS(statx),           SCMP_SYS(lseek),
    SCMP_SYS(access),        SCMP_SYS(faccessat),   SCMP_SYS(faccessat2),      SCMP_SYS(getdents64),
    SCMP_SYS(fadvise64),     SCMP_SYS(munmap),      SCMP_SYS(mremap),          SCMP_SYS(madvise),
    SCMP_SYS(brk),           SCMP_SYS(futex),       SCMP_SYS(sched_yield),     SCMP_SYS(getrandom),
    SCMP_SYS(clock_gettime), SCMP_SYS(time),        SCMP_SYS(gettimeofday),    SCMP_SYS(clock_nanosleep),
    SCMP_SYS(getpid),        SCMP_SYS(gettid),      SCMP_SYS(getuid),          SCMP_SYS(geteuid),
    SCMP_SYS(getgid),        SCMP_SYS(getegid),     SCMP_SYS(sysinfo),         SCMP_SYS(uname),
    SCMP_SYS(getrusage),     SCMP_SYS(times),       SCMP_SYS(rt_sigreturn),    SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(rt_sigaction),  SCMP_SYS(sigaltstack), SCMP_SYS(restart_syscall), SCMP_SYS(exit),
    SCMP_SYS(exit_group),    SCMP_SYS(poll),        SCMP_SYS(ppoll),
};

/* No reader ever asks for these: someone has taken over. */
static const int deadly_calls[] = {
    SCMP_SYS(execve),
    SCMP_SYS(execveat),
    SCMP_SYS(fork),
    SCMP_SYS(vfork),
    SCMP_SYS(clone),
    SCMP_SYS(clone3),
    SCMP_SYS(socket),
    SCMP_SYS(socketpair),
    SCMP_SYS(connect),
    SCMP_SYS(ptrace),
    SCMP_SYS(process_vm_readv),
    SCMP_SYS(process_vm_writev),
    SCMP_SYS(bpf),
    SCMP_SYS(perf_event_open),
    SCMP_SYS(io_uring_setup),
    SCMP_SYS(userfaultfd),
    SCMP_SYS(mount),
    SCMP_SYS(unshare),
    SCMP_SYS(setns),
    SCMP_SYS(keyctl),
};

static int allow_list(scmp_filter_ctx filter)
{
    int err = 0;
    for (size_t i = 0; i < sizeof(allowed_calls) / sizeof(allowed_calls[0]) && err == 0; i++) {
        err = seccomp_rule_add(filter, SCMP_ACT_ALLOW, allowed_calls[i], 0);
    }
    for (size_t i = 0; i < sizeof(deadly_calls) / sizeof(deadly_calls[0]) && err == 0; i++) {
        err = seccomp_rule_add(filter, SCMP_ACT_KILL_PROCESS, deadly_calls[i], 0);
    }
    return err;
}

/* Calls whose arguments decide. */
static int allow_some(scmp_filter_ctx filter, bool may_open)
{
    int err = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1,
                               SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
    err = err != 0 ? err
                   : seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
                                      SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
    err = err != 0 ? err
                   : seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(fcntl), 1,
                                      SCMP_A1(SCMP_CMP_LE, F_SETFL, 0));
    /* abort() */
    err = err != 0 ? err
                   : seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1,
                                      SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid(), 0));
    const uint64_t writing = O_ACCMODE | O_CREAT | O_TRUNC | O_APPEND | O_PATH | (O_TMPFILE & ~O_DIRECTORY);
    if (err == 0 && may_open) {
        err = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(openat), 1,
                               SCMP_A2(SCMP_CMP_MASKED_EQ, writing, O_RDONLY));
        err = err != 0 ? err
                       : seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(open), 1,
                                          SCMP_A1(SCMP_CMP_MASKED_EQ, writing, O_RDONLY));
    }
    return err;
}

static int filter_calls(bool may_open)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    if (filter == NULL) {
        errno = ENOMEM;
        return -1;
    }
    int err = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
    err = err != 0 ? err : allow_list(filter);
    err = err != 0 ? err : allow_some(filter, may_open);
    err = err != 0 ? err : seccomp_load(filter);
    seccomp_release(filter);
    errno = -err;
    return err == 0 ? 0 : -1;
}

int sandbox_enter(const struct sandbox_options *options)
{
    bool holds;
    if (close_range(3, ~0U, 0) != 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0 || limit_all(options) != 0 ||
        lock_files(options->data_dir, &holds) != 0) {
        return -1;
    }
    return filter_calls(holds);
}
