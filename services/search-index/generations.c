#include "services/search-index/generations.h"

#include "libcommon/log.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct generation {
    struct index *index;
    atomic_uint users;
    atomic_bool retired;
};

struct generations {
    char *dir;
    struct analyzer_model *model;
    pthread_mutex_t lock; /* for current */
    struct generation *current;
    unsigned number; /* highest given */
};

static void number_path(const struct generations *generations, unsigned number, const char *ending,
                        char path[PATH_MAX])
{
    snprintf(path, PATH_MAX, "%s/index-%u.db%s", generations->dir, number, ending);
}

static struct generation *generation_new(struct index *index)
{
    struct generation *generation = mirai_alloc(sizeof(*generation));
    generation->index = index;
    atomic_init(&generation->users, 1); /* being current */
    return generation;
}

struct index *generation_index(const struct generation *generation)
{
    return generation->index;
}

bool generation_retired(const struct generation *generation)
{
    return atomic_load(&generation->retired);
}

void generation_release(struct generation *generation)
{
    if (generation == NULL || atomic_fetch_sub(&generation->users, 1) != 1) {
        return;
    }
    char *path = mirai_str_dup(mirai_str(index_path(generation->index)));
    bool retired = generation_retired(generation);
    index_close(generation->index);
    if (retired) {
        index_remove(path);
    }
    free(path);
    free(generation);
}

struct generation *generations_acquire(struct generations *generations)
{
    pthread_mutex_lock(&generations->lock);
    struct generation *generation = generations->current;
    atomic_fetch_add(&generation->users, 1);
    pthread_mutex_unlock(&generations->lock);
    return generation;
}

int generations_build(struct generations *generations, struct index **building)
{
    char path[PATH_MAX];
    number_path(generations, generations->number + 1, ".tmp", path);
    index_remove(path);
    return index_create(path, generations->model, building);
}

void generations_abandon(struct index *building)
{
    if (building != NULL) {
        char *path = mirai_str_dup(mirai_str(index_path(building)));
        index_close(building);
        index_remove(path);
        free(path);
    }
}

int generations_swap(struct generations *generations, struct index *building)
{
    char path[PATH_MAX];
    number_path(generations, ++generations->number, "", path);
    index_remove(path);
    int err = index_publish(building, path);
    if (err != 0) {
        generations_abandon(building);
        return err;
    }
    struct generation *fresh = generation_new(building);
    pthread_mutex_lock(&generations->lock);
    struct generation *old = generations->current;
    generations->current = fresh;
    pthread_mutex_unlock(&generations->lock);
    if (old != NULL) {
        atomic_store(&old->retired, true);
        generation_release(old);
    }
    return 0;
}

/* Number of "index-<n>.db"; 0: another name. */
static unsigned file_number(const char *name)
{
    int64_t number = 0;
    size_t len = strlen(name);
    if (len < 10 || strncmp(name, "index-", 6) != 0 || strcmp(name + len - 3, ".db") != 0) {
        return 0;
    }
    return mirai_parse_int((struct mirai_str){name + 6, len - 9}, 1, 1000000000, &number) == 0
               ? (unsigned)number
               : 0;
}

/* The highest number below `below`; 0: none. */
static unsigned newest_below(const char *dir, unsigned below)
{
    DIR *handle = opendir(dir);
    unsigned newest = 0;
    struct dirent *entry;
    while (handle != NULL && (entry = readdir(handle)) != NULL) {
        unsigned number = file_number(entry->d_name);
        newest = number > newest && number < below ? number : newest;
    }
    if (handle != NULL) {
        closedir(handle);
    }
    return newest;
}

/* Remove what earlier runs left: index-* but the current file and its companions. */
static void remove_others(const struct generations *generations, unsigned keep)
{
    char kept[32];
    DIR *handle = opendir(generations->dir);
    struct dirent *entry;
    int len = snprintf(kept, sizeof(kept), "index-%u.db", keep);
    while (handle != NULL && (entry = readdir(handle)) != NULL) {
        const char *name = entry->d_name;
        bool ours = strncmp(name, "index-", 6) == 0;
        bool current = strncmp(name, kept, (size_t)len) == 0 && (name[len] == '\0' || name[len] == '-');
        if (ours && !current) {
            unlinkat(dirfd(handle), name, 0);
        }
    }
    if (handle != NULL) {
        closedir(handle);
    }
}

static int open_newest(struct generations *generations)
{
    char path[PATH_MAX];
    unsigned number = UINT_MAX;
    while ((number = newest_below(generations->dir, number)) != 0) {
        struct index *index = NULL;
        generations->number = number > generations->number ? number : generations->number;
        number_path(generations, number, "", path);
        if (index_open(path, generations->model, &index) == 0) {
            generations->current = generation_new(index);
            remove_others(generations, number);
            return 0;
        }
    }
    struct index *empty = NULL;
    int err = generations_build(generations, &empty);
    err = err == 0 ? generations_swap(generations, empty) : err;
    if (err == 0) {
        remove_others(generations, generations->number);
    }
    return err;
}

struct generations *generations_open(const char *dir, struct analyzer_model *model)
{
    if (mkdir(dir, 0750) != 0 && errno != EEXIST) {
        mirai_log(ERROR, "cannot make the index directory", MIRAI_LOG_Z("path", dir),
                  MIRAI_LOG_Z("reason", strerror(errno)));
        return NULL;
    }
    struct generations *generations = mirai_alloc(sizeof(*generations));
    generations->dir = mirai_str_dup(mirai_str(dir));
    generations->model = model;
    pthread_mutex_init(&generations->lock, NULL);
    if (open_newest(generations) != 0) {
        generations_close(generations);
        return NULL;
    }
    return generations;
}

void generations_close(struct generations *generations)
{
    if (generations != NULL) {
        generation_release(generations->current);
        pthread_mutex_destroy(&generations->lock);
        free(generations->dir);
        free(generations);
    }
}
