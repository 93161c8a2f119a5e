/* SPDX-License-Identifier: MIT */
/*
 * A library for LD_PRELOAD that makes system calls on the files of one tree misbehave.
 *
 * FAULTS_ROOT  only files at and below this path are touched: never a library, never what the program needs itself.
 * FAULTS       rules separated by blanks, each CALL:ACTION:VALUE:FIRST:EVERY:NAME.
 *                CALL    read, write, open, stat, list (the next name in a folder) or close
 *                ACTION  error: fails with errno VALUE      end: returns 0
 *                        short: moves at most VALUE bytes, a random number of them if VALUE is 0
 *                        delay: waits VALUE milliseconds    stop: stops the process until somebody continues it
 *                        hold: waits for as long as the file FAULTS_HOLD is there
 *                FIRST   the first call that is struck, from 1
 *                EVERY   0: no other one; n: every n-th from there on
 *                NAME    the last part of the file's path, or * for every file
 *              A rule counts the calls that match it and that no rule before it decides; delay, stop and hold decide
 *              none.
 * FAULTS_LOG   gets a line "CALL PATH" for each strike, before the program feels it.
 *
 * open is struck when the real call is over, as what a path leads to is known then; so is close, which releases the
 * descriptor and then fails, as on Linux. The others are struck before the real call.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { most_rules = 8, longest_path = 2 * PATH_MAX };

struct rule {
    char call[16];
    char action[16];
    long value, first, every;
    char name[NAME_MAX + 1];
    atomic_long seen;
};

static struct rule rules[most_rules];
static int rule_count;
static const char* root;
static const char* log_path;
static const char* hold_path;

/* Looks up the function of this name behind this library, when it is first called: other libraries may call it before
 * this one is set up. */
#define FIND(real, name)                                                                                               \
    if ((real) == NULL) {                                                                                              \
        *(void**)&(real) = dlsym(RTLD_NEXT, name);                                                                     \
    }

static long kernel(long number, long first, long second, long third, long fourth, long fifth, long sixth) {
    static long (*real)(long, ...);
    FIND(real, "syscall")
    return real(number, first, second, third, fourth, fifth, sixth);
}

__attribute__((constructor)) static void read_rules(void) {
    root = getenv("FAULTS_ROOT");
    log_path = getenv("FAULTS_LOG");
    hold_path = getenv("FAULTS_HOLD");
    const char* const text = getenv("FAULTS");
    if (root == NULL || text == NULL) {
        return;
    }
    int count = 0;
    for (const char* at = text; *at != '\0'; at += strspn(at, " ")) {
        struct rule* const to = &rules[count];
        int length = 0;
        if (count == most_rules || sscanf(at, "%15[^:]:%15[^:]:%ld:%ld:%ld:%255s%n", to->call, to->action, &to->value,
                                          &to->first, &to->every, to->name, &length) != 6) {
            fprintf(stderr, "faults: no sense in '%s'\n", at);
            _exit(99);
        }
        at += length;
        ++count;
    }
    rule_count = count;
}

static int in_tree(const char* path) {
    const size_t length = strlen(root);
    return strncmp(path, root, length) == 0 && (path[length] == '/' || path[length] == '\0');
}

/* The path of an open file, or "". */
static void path_of(int number, char* path) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", number);
    const long length = kernel(SYS_readlinkat, AT_FDCWD, (long)link, (long)path, PATH_MAX - 1, 0, 0);
    path[length > 0 ? length : 0] = '\0';
}

/* The path of a name, as it is written: links and dots are left in it. */
static void path_at(int folder, const char* name, char* path) {
    char start[PATH_MAX] = "";
    if (name[0] != '/' && folder != AT_FDCWD) {
        path_of(folder, start);
    } else if (name[0] != '/' && kernel(SYS_getcwd, (long)start, sizeof start, 0, 0, 0, 0) < 0) {
        start[0] = '\0';
    }
    snprintf(path, longest_path, "%s%s%s", start, name[0] == '/' || name[0] == '\0' ? "" : "/", name);
}

static void note(const char* call, const char* path) {
    if (log_path == NULL) {
        return;
    }
    char line[longest_path + 32];
    const int length = snprintf(line, sizeof line, "%s %s\n", call, path);
    const int flags = O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC;
    const long log = kernel(SYS_openat, AT_FDCWD, (long)log_path, flags, 0666, 0, 0);
    if (log >= 0) {
        kernel(SYS_write, log, (long)line, length, 0, 0, 0);
        kernel(SYS_close, log, 0, 0, 0, 0, 0);
    }
}

static int strikes(struct rule* by, const char* call, const char* path) {
    const char* const slash = strrchr(path, '/');
    if (strcmp(by->call, call) != 0 || (strcmp(by->name, "*") != 0 && strcmp(by->name, slash + 1) != 0)) {
        return 0;
    }
    const long number = atomic_fetch_add(&by->seen, 1) + 1;
    return number == by->first || (by->every > 0 && number > by->first && (number - by->first) % by->every == 0);
}

static void wait_while_held(void) {
    while (hold_path != NULL && kernel(SYS_faccessat, AT_FDCWD, (long)hold_path, F_OK, 0, 0, 0) == 0) {
        nanosleep(&(struct timespec){0, 1000000}, NULL);
    }
}

/* Waits or stops if a rule says so. Returns the rule that decides what the call does, or NULL. */
static const struct rule* struck(const char* call, const char* path) {
    if (!in_tree(path)) {
        return NULL;
    }
    for (struct rule* by = rules; by < rules + rule_count; ++by) {
        if (!strikes(by, call, path)) {
            continue;
        }
        note(call, path);
        if (strcmp(by->action, "stop") == 0) {
            raise(SIGSTOP);
        } else if (strcmp(by->action, "delay") == 0) {
            nanosleep(&(struct timespec){by->value / 1000, by->value % 1000 * 1000000}, NULL);
        } else if (strcmp(by->action, "hold") == 0) {
            wait_while_held();
        } else {
            return by;
        }
    }
    return NULL;
}

static const struct rule* struck_descriptor(const char* call, int number) {
    if (rule_count == 0) {
        return NULL;
    }
    const int before = errno;
    char path[PATH_MAX];
    path_of(number, path);
    const struct rule* const by = struck(call, path);
    errno = before;
    return by;
}

static const struct rule* struck_path(const char* call, int folder, const char* name) {
    if (rule_count == 0) {
        return NULL;
    }
    const int before = errno;
    char path[longest_path];
    path_at(folder, name, path);
    const struct rule* const by = struck(call, path);
    errno = before;
    return by;
}

/* What the call returns at once, and 1; or 0, and how many bytes it may move. */
static int decided(const struct rule* by, size_t* size, long* result) {
    if (by == NULL) {
        return 0;
    }
    if (strcmp(by->action, "short") == 0) {
        const size_t most = by->value > 0 ? (size_t)by->value : 1 + (size_t)rand() % (*size == 0 ? 1 : *size);
        *size = *size < most ? *size : most;
        return 0;
    }
    *result = 0;
    if (strcmp(by->action, "error") == 0) {
        errno = (int)by->value;
        *result = -1;
    }
    return 1;
}

static long opened(long number) {
    long result = -1;
    size_t unused = 0;
    if (number >= 0 && decided(struck_descriptor("open", (int)number), &unused, &result)) {
        const int error = errno;
        kernel(SYS_close, number, 0, 0, 0, 0, 0);
        errno = error;
        return result;
    }
    return number;
}

/* Defines a function that may be struck before the real one is called; `size` is what it may move. */
#define BEFORE(type, name, parameters, by, size, arguments)                                                            \
    type name parameters {                                                                                             \
        static type(*real) parameters;                                                                                 \
        FIND(real, #name)                                                                                              \
        long result = 0;                                                                                               \
        return decided(by, &(size), &result) ? (type)result : real arguments;                                          \
    }
#define STAT(name, parameters, by, arguments)                                                                          \
    int name parameters {                                                                                              \
        static int(*real) parameters;                                                                                  \
        FIND(real, #name)                                                                                              \
        long result = 0;                                                                                               \
        size_t unused = 0;                                                                                             \
        return decided(by, &unused, &result) ? (int)result : real arguments;                                           \
    }
#define OPEN(name, parameters, last, arguments)                                                                        \
    int name parameters {                                                                                              \
        static int(*real) parameters;                                                                                  \
        FIND(real, #name)                                                                                              \
        va_list more;                                                                                                  \
        va_start(more, last);                                                                                          \
        const mode_t mode = (last) & (O_CREAT | O_TMPFILE) ? va_arg(more, mode_t) : 0;                                 \
        va_end(more);                                                                                                  \
        return (int)opened(real arguments);                                                                            \
    }
#define CHECKED_OPEN(name, parameters, arguments)                                                                      \
    int name parameters;                                                                                               \
    int name parameters {                                                                                              \
        static int(*real) parameters;                                                                                  \
        FIND(real, #name)                                                                                              \
        return (int)opened(real arguments);                                                                            \
    }
#define LIST(type, name)                                                                                               \
    type* name(DIR* folder) {                                                                                          \
        static type* (*real)(DIR*);                                                                                    \
        FIND(real, #name)                                                                                              \
        long result = 0;                                                                                               \
        size_t unused = 0;                                                                                             \
        return decided(struck_descriptor("list", dirfd(folder)), &unused, &result) ? NULL : real(folder);              \
    }

BEFORE(ssize_t, read, (int number, void* to, size_t size), struck_descriptor("read", number), size, (number, to, size))
BEFORE(ssize_t, pread, (int number, void* to, size_t size, off_t at), struck_descriptor("read", number), size,
       (number, to, size, at))
BEFORE(ssize_t, pread64, (int number, void* to, size_t size, off64_t at), struck_descriptor("read", number), size,
       (number, to, size, at))
ssize_t __read_chk(int number, void* to, size_t size, size_t space);
BEFORE(ssize_t, __read_chk, (int number, void* to, size_t size, size_t space), struck_descriptor("read", number), size,
       (number, to, size, space))
BEFORE(ssize_t, write, (int number, const void* from, size_t size), struck_descriptor("write", number), size,
       (number, from, size))

STAT(fstat, (int number, struct stat* status), struck_descriptor("stat", number), (number, status))
STAT(fstat64, (int number, struct stat64* status), struck_descriptor("stat", number), (number, status))
STAT(stat, (const char* path, struct stat* status), struck_path("stat", AT_FDCWD, path), (path, status))
STAT(stat64, (const char* path, struct stat64* status), struck_path("stat", AT_FDCWD, path), (path, status))
STAT(lstat, (const char* path, struct stat* status), struck_path("stat", AT_FDCWD, path), (path, status))
STAT(lstat64, (const char* path, struct stat64* status), struck_path("stat", AT_FDCWD, path), (path, status))
STAT(fstatat, (int folder, const char* path, struct stat* status, int flags), struck_path("stat", folder, path),
     (folder, path, status, flags))
STAT(fstatat64, (int folder, const char* path, struct stat64* status, int flags), struck_path("stat", folder, path),
     (folder, path, status, flags))
STAT(statx, (int folder, const char* path, int flags, unsigned mask, struct statx* status),
     struck_path("stat", folder, path), (folder, path, flags, mask, status))

OPEN(open, (const char* path, int flags, ...), flags, (path, flags, mode))
OPEN(open64, (const char* path, int flags, ...), flags, (path, flags, mode))
OPEN(openat, (int folder, const char* path, int flags, ...), flags, (folder, path, flags, mode))
OPEN(openat64, (int folder, const char* path, int flags, ...), flags, (folder, path, flags, mode))
CHECKED_OPEN(__open_2, (const char* path, int flags), (path, flags))
CHECKED_OPEN(__open64_2, (const char* path, int flags), (path, flags))
CHECKED_OPEN(__openat_2, (int folder, const char* path, int flags), (folder, path, flags))
CHECKED_OPEN(__openat64_2, (int folder, const char* path, int flags), (folder, path, flags))

LIST(struct dirent, readdir)
LIST(struct dirent64, readdir64)

int close(int number) {
    static int (*real)(int);
    FIND(real, "close")
    const struct rule* const by = struck_descriptor("close", number);
    long result = real(number);
    size_t unused = 0;
    decided(by, &unused, &result);
    return (int)result;
}

long syscall(long number, ...) {
    long with[6];
    va_list more;
    va_start(more, number);
    for (int position = 0; position < 6; ++position) {
        with[position] = va_arg(more, long);
    }
    va_end(more);

    long result = 0;
    size_t unused = 0;
    size_t* size = &unused;
    const struct rule* by = NULL;
    if (number == SYS_read || number == SYS_pread64 || number == SYS_write) {
        by = struck_descriptor(number == SYS_write ? "write" : "read", (int)with[0]);
        size = (size_t*)&with[2];
    } else if (number == SYS_getdents64) {
        by = struck_descriptor("list", (int)with[0]);
    }
    if (decided(by, size, &result)) {
        return result;
    }
    result = kernel(number, with[0], with[1], with[2], with[3], with[4], with[5]);
    return number == SYS_openat2 || number == SYS_openat ? opened(result) : result;
}
