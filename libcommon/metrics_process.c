/* What this process uses: names and meanings as in Prometheus' client libraries
 * (https://prometheus.io/docs/instrumenting/writing_clientlibs/#process-metrics). */
#include "libcommon/metrics.h"
#include "libcommon/service.h"
#include "libcommon/time.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static double read_cpu_seconds(void *unused)
{
    (void)unused;
    struct timespec ts;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static double read_resident_bytes(void *unused)
{
    (void)unused;
    return (double)mirai_process_rss();
}

/* Entries of a directory under /proc/self. */
static double count_entries(void *path)
{
    DIR *dir = opendir(path);
    const struct dirent *entry;
    double entries = 0;
    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        entries += entry->d_name[0] != '.';
    }
    if (dir != NULL) {
        closedir(dir);
    }
    return entries;
}

static double read_start_time(void *started_ms)
{
    return (double)*(const int64_t *)started_ms / 1000;
}

/* The second number of /proc/self/statm, in pages (proc(5)). */
int64_t mirai_process_rss(void)
{
    char line[128];
    int64_t pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (file == NULL) {
        return 0;
    }
    if (fgets(line, sizeof(line), file) != NULL) {
        char *end;
        strtoll(line, &end, 10);
        pages = strtoll(end, NULL, 10);
    }
    fclose(file);
    return pages * sysconf(_SC_PAGESIZE);
}

void mirai_metrics_register_process(void)
{
    static int64_t started_ms;
    char labels[64];
    started_ms = mirai_now_ms();
    snprintf(labels, sizeof(labels), "version=\"%s\"", mirai_version());
    mirai_gauge_set(mirai_metric_gauge("mirai_build_info", "Version of the program; always 1", labels), 1);
    mirai_metric_counter_from("process_cpu_seconds_total", "User and system CPU time", NULL, read_cpu_seconds,
                              NULL);
    mirai_metric_gauge_from("process_resident_memory_bytes", "Resident memory", NULL, read_resident_bytes,
                            NULL);
    mirai_metric_gauge_from("process_open_fds", "Open file descriptors", NULL, count_entries,
                            "/proc/self/fd");
    mirai_metric_gauge_from("process_threads", "Threads", NULL, count_entries, "/proc/self/task");
    mirai_metric_gauge_from("process_start_time_seconds", "Start of the process, Unix time", NULL,
                            read_start_time, &started_ms);
}
