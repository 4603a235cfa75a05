/*
 * A disk that fails on command, for tests: loaded before libc by LD_PRELOAD (Linux, glibc).
 *
 * Files below FAULTFS_ROOT are watched. FAULTFS_CONTROL names a file that says, one fault a line, what goes wrong from
 * now on; it is looked at before every call, so a test only has to replace it:
 *
 *     fsync eio           fsync and fdatasync fail; what they covered is lost in a power cut, even if a later sync
 *                         succeeds, as Linux has it: a failed page counts as clean
 *     fsync delay 500     they take 500 ms longer
 *     write eio           every write fails
 *     write enospc        every write that would make a file longer fails, as on a full disk
 *
 * With FAULTFS_LOG set, what each write replaces is saved there first, and what each successful sync made safe is noted.
 * After a SIGKILL (which loses nothing by itself, since the kernel keeps the pages) the test can then take back what a
 * power cut would have lost; that half is in testkit/power_cut.rs. Real syncs are left out then: the log stands for them.
 *
 * Not watched: mapped files (the -shm file, which a power cut deletes), directory entries.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#define MAGIC 0x66734c67u
#define FDS 65536
#define FILES 1024

enum kind { WROTE = 1, RESIZED = 2, SYNCED = 3, FAILED = 4 };

/* Followed by `saved` bytes: what stood at `offset` before. */
struct record {
    uint32_t magic;
    uint32_t kind;
    uint64_t inode;
    uint64_t offset;
    uint64_t length;   /* of the write; the new size of a resize */
    uint64_t old_size; /* of the file */
    uint64_t saved;
};

static int (*real_open)(const char *, int, ...);
static int (*real_openat)(int, const char *, int, ...);
static int (*real_close)(int);
static int (*real_dup2)(int, int);
static ssize_t (*real_write)(int, const void *, size_t);
static ssize_t (*real_pwrite)(int, const void *, size_t, off64_t);
static int (*real_ftruncate)(int, off64_t);
static int (*real_fallocate)(int, off64_t, off64_t);
static int (*real_fsync)(int);
static int (*real_fdatasync)(int);

static char root[PATH_MAX];
static size_t root_length;
static const char *control;
static int log_fd = -1;

static unsigned char watched[FDS];
static struct { uint64_t inode; uint64_t dirty; } files[FILES];
static unsigned file_count;
static int keep_log; /* after a failed sync, or what another process left: it is needed to the end */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static struct { int fsync_eio, write_eio, write_enospc; long fsync_delay_ms; } faults;
static struct timespec control_time;
static ino_t control_inode;

static void start(void)
{
    real_open = (int (*)(const char *, int, ...))dlsym(RTLD_NEXT, "open64");
    real_openat = (int (*)(int, const char *, int, ...))dlsym(RTLD_NEXT, "openat64");
    real_close = (int (*)(int))dlsym(RTLD_NEXT, "close");
    real_dup2 = (int (*)(int, int))dlsym(RTLD_NEXT, "dup2");
    real_write = (ssize_t (*)(int, const void *, size_t))dlsym(RTLD_NEXT, "write");
    real_pwrite = (ssize_t (*)(int, const void *, size_t, off64_t))dlsym(RTLD_NEXT, "pwrite64");
    real_ftruncate = (int (*)(int, off64_t))dlsym(RTLD_NEXT, "ftruncate64");
    real_fallocate = (int (*)(int, off64_t, off64_t))dlsym(RTLD_NEXT, "posix_fallocate64");
    real_fsync = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
    real_fdatasync = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");

    const char *folder = getenv("FAULTFS_ROOT");
    if (!folder || !realpath(folder, root))
        return;
    root_length = strlen(root);
    control = getenv("FAULTFS_CONTROL");
    const char *log = getenv("FAULTFS_LOG");
    if (log) {
        log_fd = real_open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        if (log_fd < 0) {
            perror("faultfs: cannot open FAULTFS_LOG");
            abort();
        }
        struct stat left;
        keep_log = fstat(log_fd, &left) == 0 && left.st_size > 0;
    }
}

static void ready(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, start);
}

static void read_control(void)
{
    struct stat now;
    if (!control || stat(control, &now) != 0) {
        memset(&faults, 0, sizeof faults);
        control_inode = 0;
        return;
    }
    if (now.st_ino == control_inode && now.st_mtim.tv_sec == control_time.tv_sec
        && now.st_mtim.tv_nsec == control_time.tv_nsec)
        return;
    control_inode = now.st_ino;
    control_time = now.st_mtim;
    memset(&faults, 0, sizeof faults);

    char text[1024];
    int fd = real_open(control, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    ssize_t length = read(fd, text, sizeof text - 1);
    real_close(fd);
    text[length < 0 ? 0 : length] = 0;
    char *rest = text, *line;
    while ((line = strsep(&rest, "\n"))) {
        if (!strcmp(line, "fsync eio"))
            faults.fsync_eio = 1;
        else if (!strncmp(line, "fsync delay ", 12))
            faults.fsync_delay_ms = atol(line + 12);
        else if (!strcmp(line, "write eio"))
            faults.write_eio = 1;
        else if (!strcmp(line, "write enospc"))
            faults.write_enospc = 1;
        else if (*line) {
            fprintf(stderr, "faultfs: no such fault: %s\n", line);
            abort();
        }
    }
}

static int below_root(const char *path)
{
    return root_length && !strncmp(path, root, root_length) && path[root_length] == '/';
}

static int is_watched(int fd)
{
    return fd >= 0 && fd < FDS && watched[fd];
}

static void append(const void *bytes, size_t length)
{
    const char *at = bytes;
    while (length) {
        ssize_t wrote = real_write(log_fd, at, length);
        if (wrote < 0) {
            if (errno == EINTR)
                continue;
            perror("faultfs: cannot write the undo log");
            abort();
        }
        at += wrote;
        length -= (size_t)wrote;
    }
}

/* What is not yet safe of a file: the number of its records since its last sync. */
static uint64_t *dirty(uint64_t inode)
{
    for (unsigned i = 0; i < file_count; i++)
        if (files[i].inode == inode)
            return &files[i].dirty;
    if (file_count == FILES) {
        fprintf(stderr, "faultfs: more than %d files\n", FILES);
        abort();
    }
    files[file_count].inode = inode;
    files[file_count].dirty = 0;
    return &files[file_count++].dirty;
}

/* Saves what lies at [offset, offset + length) of fd, as far as there is any. */
static void save(int fd, enum kind kind, const struct stat *now, uint64_t offset, uint64_t length, uint64_t keep)
{
    if (log_fd < 0 || !S_ISREG(now->st_mode))
        return;
    uint64_t size = (uint64_t)now->st_size;
    uint64_t saved = offset >= size ? 0 : (keep < size - offset ? keep : size - offset);
    struct record record = { MAGIC, kind, now->st_ino, offset, length, size, saved };
    char *old = malloc(sizeof record + saved);
    if (!old)
        abort();
    memcpy(old, &record, sizeof record);
    /* The file may be open for writing only. */
    char name[64];
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    int reader = real_open(name, O_RDONLY | O_CLOEXEC);
    if (reader < 0 || (saved && pread64(reader, old + sizeof record, saved, (off64_t)offset) != (ssize_t)saved)) {
        perror("faultfs: cannot read what is about to be replaced");
        abort();
    }
    real_close(reader);
    append(old, sizeof record + saved);
    free(old);
    (*dirty(now->st_ino))++;
}

static void note_sync(const struct stat *now)
{
    if (log_fd < 0 || !S_ISREG(now->st_mode))
        return;
    uint64_t *mine = dirty(now->st_ino);
    if (!*mine)
        return;
    *mine = 0;
    int safe = !keep_log;
    for (unsigned i = 0; i < file_count; i++)
        safe = safe && !files[i].dirty;
    if (!safe) {
        struct record record = { MAGIC, SYNCED, now->st_ino, 0, 0, (uint64_t)now->st_size, 0 };
        append(&record, sizeof record);
        return;
    }
    /* All is safe: nothing in the log matters any more. */
    if (real_ftruncate(log_fd, 0) != 0)
        abort();
}

static void note_failed_sync(const struct stat *now)
{
    if (log_fd < 0 || !S_ISREG(now->st_mode))
        return;
    struct record record = { MAGIC, FAILED, now->st_ino, 0, 0, (uint64_t)now->st_size, 0 };
    append(&record, sizeof record);
    keep_log = 1;
}

static void track(int fd)
{
    char name[64], path[PATH_MAX];
    if (fd < 0 || fd >= FDS || !root_length)
        return;
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(name, path, sizeof path - 1);
    if (length < 0)
        return;
    path[length] = 0;
    watched[fd] = (unsigned char)below_root(path);
}

/* Opening with O_TRUNC empties a file before we have its descriptor. */
static void save_before_truncation(int folder, const char *path, int flags)
{
    if (log_fd < 0 || !(flags & O_TRUNC))
        return;
    int fd = real_openat(folder, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    track(fd);
    struct stat now;
    if (watched[fd] && fstat(fd, &now) == 0 && now.st_size > 0)
        save(fd, RESIZED, &now, 0, 0, (uint64_t)now.st_size);
    watched[fd] = 0;
    real_close(fd);
}

static int open_at(int folder, const char *path, int flags, mode_t mode)
{
    ready();
    pthread_mutex_lock(&lock);
    save_before_truncation(folder, path, flags);
    int fd = real_openat(folder, path, flags, mode);
    int error = errno;
    track(fd);
    pthread_mutex_unlock(&lock);
    errno = error;
    return fd;
}

#define MODE_ARGUMENT(flags, mode)                                                                                     \
    mode_t mode = 0;                                                                                                   \
    if (((flags) & O_CREAT) || ((flags) & O_TMPFILE) == O_TMPFILE) {                                                                             \
        va_list arguments;                                                                                             \
        va_start(arguments, flags);                                                                                    \
        mode = (mode_t)va_arg(arguments, int);                                                                         \
        va_end(arguments);                                                                                             \
    }

int open(const char *path, int flags, ...)
{
    MODE_ARGUMENT(flags, mode)
    return open_at(AT_FDCWD, path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
    MODE_ARGUMENT(flags, mode)
    return open_at(AT_FDCWD, path, flags, mode);
}

int openat(int folder, const char *path, int flags, ...)
{
    MODE_ARGUMENT(flags, mode)
    return open_at(folder, path, flags, mode);
}

int openat64(int folder, const char *path, int flags, ...)
{
    MODE_ARGUMENT(flags, mode)
    return open_at(folder, path, flags, mode);
}

int dup2(int fd, int as)
{
    ready();
    int result = real_dup2(fd, as);
    if (result >= 0 && result < FDS)
        watched[result] = (unsigned char)is_watched(fd);
    return result;
}

int close(int fd)
{
    ready();
    if (is_watched(fd))
        watched[fd] = 0;
    return real_close(fd);
}

/* Whether a write may go on; if not, errno says why. */
static int may_write(const struct stat *now, uint64_t end)
{
    read_control();
    if (faults.write_eio) {
        errno = EIO;
        return 0;
    }
    if (faults.write_enospc && end > (uint64_t)now->st_size) {
        errno = ENOSPC;
        return 0;
    }
    return 1;
}

static ssize_t write_at(int fd, const void *bytes, size_t length, off64_t offset, int moves)
{
    pthread_mutex_lock(&lock);
    ssize_t wrote = -1;
    struct stat now;
    if (fstat(fd, &now) == 0) {
        if (moves)
            offset = (fcntl(fd, F_GETFL) & O_APPEND) ? now.st_size : lseek64(fd, 0, SEEK_CUR);
        if (may_write(&now, (uint64_t)offset + length)) {
            save(fd, WROTE, &now, (uint64_t)offset, length, length);
            wrote = moves ? real_write(fd, bytes, length) : real_pwrite(fd, bytes, length, offset);
        }
    }
    int error = errno;
    pthread_mutex_unlock(&lock);
    errno = error;
    return wrote;
}

ssize_t write(int fd, const void *bytes, size_t length)
{
    ready();
    return is_watched(fd) ? write_at(fd, bytes, length, 0, 1) : real_write(fd, bytes, length);
}

ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t offset)
{
    ready();
    return is_watched(fd) ? write_at(fd, bytes, length, offset, 0) : real_pwrite(fd, bytes, length, offset);
}

ssize_t pwrite(int fd, const void *bytes, size_t length, off_t offset)
{
    return pwrite64(fd, bytes, length, offset);
}

int ftruncate64(int fd, off64_t size)
{
    ready();
    if (!is_watched(fd))
        return real_ftruncate(fd, size);
    pthread_mutex_lock(&lock);
    int result = -1;
    struct stat now;
    if (fstat(fd, &now) == 0) {
        read_control();
        if (faults.write_eio)
            errno = EIO;
        else {
            save(fd, RESIZED, &now, (uint64_t)size, (uint64_t)size, (uint64_t)now.st_size);
            result = real_ftruncate(fd, size);
        }
    }
    int error = errno;
    pthread_mutex_unlock(&lock);
    errno = error;
    return result;
}

int ftruncate(int fd, off_t size)
{
    return ftruncate64(fd, size);
}

int posix_fallocate64(int fd, off64_t offset, off64_t length)
{
    ready();
    if (!is_watched(fd))
        return real_fallocate(fd, offset, length);
    pthread_mutex_lock(&lock);
    int result = EIO;
    struct stat now;
    if (fstat(fd, &now) == 0) {
        uint64_t end = (uint64_t)(offset + length);
        if (!may_write(&now, end))
            result = errno;
        else {
            if (end > (uint64_t)now.st_size)
                save(fd, RESIZED, &now, end, end, 0);
            result = real_fallocate(fd, offset, length);
        }
    }
    pthread_mutex_unlock(&lock);
    return result;
}

int posix_fallocate(int fd, off_t offset, off_t length)
{
    return posix_fallocate64(fd, offset, length);
}

static int sync_file(int fd, int (*real)(int))
{
    pthread_mutex_lock(&lock);
    read_control();
    long delay = faults.fsync_delay_ms;
    pthread_mutex_unlock(&lock);

    /* Outside of the lock: a slow disk keeps no other file from being written to. Before anything counts as safe: a
     * power cut during the wait loses it. */
    if (delay > 0) {
        struct timespec left = { delay / 1000, (delay % 1000) * 1000000 };
        while (nanosleep(&left, &left) != 0 && errno == EINTR)
            ;
    }

    pthread_mutex_lock(&lock);
    read_control();
    int fails = faults.fsync_eio, result = 0;
    struct stat now;
    if (log_fd >= 0 && (result = fstat(fd, &now)) == 0) {
        if (fails)
            note_failed_sync(&now);
        else
            note_sync(&now);
    }
    pthread_mutex_unlock(&lock);
    if (fails) {
        errno = EIO;
        return -1;
    }
    return log_fd < 0 ? real(fd) : result;
}

int fsync(int fd)
{
    ready();
    return is_watched(fd) ? sync_file(fd, real_fsync) : real_fsync(fd);
}

int fdatasync(int fd)
{
    ready();
    return is_watched(fd) ? sync_file(fd, real_fdatasync) : real_fdatasync(fd);
}
