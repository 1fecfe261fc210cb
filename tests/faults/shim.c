/* Fails, cuts short or kills the n-th system call on files below a folder; for LD_PRELOAD.
 *
 * The file that FAULTS_STATE names is mapped by every process that has this library loaded, so they share one
 * order and one count of calls. Its layout, in the machine's byte order, is `struct state`; plan.py writes the
 * first three fields. With mode OFF, nothing is counted and every call passes.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum mode { OFF, COUNT, IO_ERROR, NO_SPACE, SHORT, FULL, KILL, TORN, KILL_AFTER };
enum step { PASS, FAIL, HALF, HALF_THEN_KILL, PASS_THEN_KILL };

#define MAX_CALLS 65536

struct state {
    int64_t mode;
    int64_t at;              /* the call that meets the fault, counted from 1 */
    char root[PATH_MAX];     /* calls on other paths pass uncounted */
    int64_t calls;
    char what[2 * PATH_MAX]; /* name and path of the call that met the fault */
    char kinds[MAX_CALLS];   /* a letter for each call: w write, m makes a name, o opens to read, s sync, u removes */
};

static struct state *state;

__attribute__((constructor)) static void start(void)
{
    const char *name = getenv("FAULTS_STATE");
    int fd = name ? (int)syscall(SYS_openat, AT_FDCWD, name, O_RDWR | O_CLOEXEC) : -1;
    if (fd < 0)
        return;
    void *mapped = mmap(NULL, sizeof(struct state), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (mapped != MAP_FAILED)
        state = mapped;
    syscall(SYS_close, fd);
}

static _Noreturn void die(void)
{
    syscall(SYS_kill, getpid(), SIGKILL);
    for (;;)
        pause();
}

static int below_root(const char *path)
{
    size_t length = strlen(state->root);
    return length && !strncmp(path, state->root, length) && (path[length] == '/' || !path[length]);
}

/* What becomes of this call. `kind` is a letter of `kinds`; a write or a new name needs space. */
static enum step step(const char *call, char kind, const char *path)
{
    if (!below_root(path))
        return PASS;
    int64_t number = __atomic_add_fetch(&state->calls, 1, __ATOMIC_SEQ_CST);
    if (number <= MAX_CALLS)
        state->kinds[number - 1] = kind;
    int needs_space = kind == 'w' || kind == 'm';
    if (state->mode == COUNT || number < state->at)
        return PASS;
    if (number > state->at) {
        if (state->mode != FULL || !needs_space)
            return PASS;
        errno = ENOSPC;
        return FAIL;
    }
    snprintf(state->what, sizeof state->what, "%s %s", call, path);
    errno = state->mode == IO_ERROR ? EIO : ENOSPC;
    switch (state->mode) {
    case SHORT: return kind == 'w' ? HALF : PASS;
    case FULL: return kind == 'w' ? HALF : needs_space ? FAIL : PASS;
    case KILL: die();
    case TORN: return kind == 'w' ? HALF_THEN_KILL : PASS_THEN_KILL;
    case KILL_AFTER: return PASS_THEN_KILL;
    default: return FAIL;
    }
}

static int on(void)
{
    return state && state->mode != OFF;
}

/* The absolute path of a name as the *at calls take it; empty where there is none. */
static const char *absolute(int folder, const char *name, char *buffer)
{
    char link[64];
    ssize_t length = 0;
    buffer[0] = 0;
    if (name[0] != '/') {
        if (folder == AT_FDCWD)
            strcpy(link, "/proc/self/cwd");
        else
            snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
        length = syscall(SYS_readlinkat, AT_FDCWD, link, buffer, PATH_MAX - 1);
        if (length < 0)
            length = 0;
        if (length && name[0])
            buffer[length++] = '/';
    }
    snprintf(buffer + length, PATH_MAX - length, "%s", name);
    return buffer;
}

#define REAL(name) ((__typeof__(&name))real(&cached_##name, #name))
static void *real(void **cached, const char *name)
{
    if (!*cached)
        *cached = dlsym(RTLD_NEXT, name);
    return *cached;
}

/* A call that succeeds or fails as a whole. */
#define WHOLE(type, name, kind, folder, path, declared, given)                                                \
    static void *cached_##name;                                                                               \
    type name declared                                                                                        \
    {                                                                                                         \
        char buffer[PATH_MAX];                                                                                \
        enum step met = on() ? step(#name, kind, absolute(folder, path, buffer)) : PASS;                      \
        if (met == FAIL)                                                                                      \
            return -1;                                                                                        \
        type result = REAL(name) given;                                                                       \
        if (met == PASS_THEN_KILL)                                                                            \
            die();                                                                                            \
        return result;                                                                                        \
    }

/* A call that may write a part of what it is given; `half` are its arguments for half of it. */
#define PARTIAL(name, fd, count, declared, given, half)                                                       \
    static void *cached_##name;                                                                               \
    ssize_t name declared                                                                                     \
    {                                                                                                         \
        char buffer[PATH_MAX];                                                                                \
        enum step met = on() ? step(#name, 'w', absolute(fd, "", buffer)) : PASS;                             \
        if (met == FAIL || (met == HALF && (count) < 2 && state->mode == FULL))                               \
            return -1;                                                                                        \
        int halved = (met == HALF || met == HALF_THEN_KILL) && (count) > 1;                                   \
        ssize_t result = halved ? REAL(name) half : REAL(name) given;                                         \
        if (met == PASS_THEN_KILL || met == HALF_THEN_KILL)                                                   \
            die();                                                                                            \
        return result;                                                                                        \
    }

PARTIAL(write, fd, n, (int fd, const void *data, size_t n), (fd, data, n), (fd, data, n / 2))
PARTIAL(pwrite, fd, n, (int fd, const void *data, size_t n, off_t at), (fd, data, n, at), (fd, data, n / 2, at))
PARTIAL(pwrite64, fd, n, (int fd, const void *data, size_t n, off64_t at), (fd, data, n, at), (fd, data, n / 2, at))
PARTIAL(writev, fd, n, (int fd, const struct iovec *data, int n), (fd, data, n), (fd, data, n / 2))
PARTIAL(sendfile, to, n, (int to, int from, off_t *at, size_t n), (to, from, at, n), (to, from, at, n / 2))
PARTIAL(sendfile64, to, n, (int to, int from, off64_t *at, size_t n), (to, from, at, n), (to, from, at, n / 2))
PARTIAL(copy_file_range, to, n, (int from, off64_t *a, int to, off64_t *b, size_t n, unsigned flags),
        (from, a, to, b, n, flags), (from, a, to, b, n / 2, flags))

/* C's buffered writing does not reach `write` through this library; here its caller meets the fault. */
static void *cached_fwrite;
size_t fwrite(const void *data, size_t size, size_t n, FILE *file)
{
    char buffer[PATH_MAX];
    enum step met = on() ? step("fwrite", 'w', absolute(fileno(file), "", buffer)) : PASS;
    if (met == FAIL)
        return 0;
    size_t result = REAL(fwrite)(data, size, met == HALF || met == HALF_THEN_KILL ? n / 2 : n, file);
    if (met == PASS_THEN_KILL || met == HALF_THEN_KILL) {
        fflush(file);
        die();
    }
    return result;
}

WHOLE(int, fsync, 's', fd, "", (int fd), (fd))
WHOLE(int, fdatasync, 's', fd, "", (int fd), (fd))
WHOLE(int, ftruncate, 'm', fd, "", (int fd, off_t n), (fd, n))
WHOLE(int, ftruncate64, 'm', fd, "", (int fd, off64_t n), (fd, n))
WHOLE(int, truncate, 'm', AT_FDCWD, path, (const char *path, off_t n), (path, n))
WHOLE(int, truncate64, 'm', AT_FDCWD, path, (const char *path, off64_t n), (path, n))
WHOLE(int, rename, 'm', AT_FDCWD, to, (const char *from, const char *to), (from, to))
WHOLE(int, renameat, 'm', b, to, (int a, const char *from, int b, const char *to), (a, from, b, to))
WHOLE(int, link, 'm', AT_FDCWD, to, (const char *from, const char *to), (from, to))
WHOLE(int, linkat, 'm', b, to, (int a, const char *from, int b, const char *to, int flags), (a, from, b, to, flags))
WHOLE(int, symlink, 'm', AT_FDCWD, to, (const char *from, const char *to), (from, to))
WHOLE(int, mkdir, 'm', AT_FDCWD, path, (const char *path, mode_t mode), (path, mode))
WHOLE(int, mkdirat, 'm', folder, path, (int folder, const char *path, mode_t mode), (folder, path, mode))
WHOLE(int, unlink, 'u', AT_FDCWD, path, (const char *path), (path))
WHOLE(int, unlinkat, 'u', folder, path, (int folder, const char *path, int flags), (folder, path, flags))
WHOLE(int, rmdir, 'u', AT_FDCWD, path, (const char *path), (path))

/* The open calls take a mode where they may make the file. */
#define OPENING(flags) ((flags) & (O_CREAT | O_TRUNC) ? 'm' : 'o')
#define OPEN(name, folder, declared, given)                                                                   \
    static void *cached_##name;                                                                               \
    int name declared                                                                                         \
    {                                                                                                         \
        char buffer[PATH_MAX];                                                                                \
        va_list more;                                                                                         \
        va_start(more, flags);                                                                                \
        mode_t mode = flags & O_CREAT || (flags & O_TMPFILE) == O_TMPFILE ? va_arg(more, mode_t) : 0;         \
        va_end(more);                                                                                         \
        enum step met = on() ? step(#name, OPENING(flags), absolute(folder, path, buffer)) : PASS;            \
        if (met == FAIL)                                                                                      \
            return -1;                                                                                        \
        int result = REAL(name) given;                                                                        \
        if (met == PASS_THEN_KILL)                                                                            \
            die();                                                                                            \
        return result;                                                                                        \
    }

OPEN(open, AT_FDCWD, (const char *path, int flags, ...), (path, flags, mode))
OPEN(open64, AT_FDCWD, (const char *path, int flags, ...), (path, flags, mode))
OPEN(openat, folder, (int folder, const char *path, int flags, ...), (folder, path, flags, mode))
OPEN(openat64, folder, (int folder, const char *path, int flags, ...), (folder, path, flags, mode))

/* What glibc's _FORTIFY_SOURCE makes of the open calls without a mode. */
int __open_2(const char *path, int flags) { return open(path, flags, 0); }
int __open64_2(const char *path, int flags) { return open64(path, flags, 0); }
int __openat_2(int folder, const char *path, int flags) { return openat(folder, path, flags, 0); }
int __openat64_2(int folder, const char *path, int flags) { return openat64(folder, path, flags, 0); }
