/* SPDX-License-Identifier: MIT */
/*
 * os.h - the whole contract with the kernel.
 *
 * Everything verso asks of an operating system is one of these functions; no other folder makes a system call or has an
 * #if on the system. linux/ fills them in. fake/ wraps each fallible one so that tests can make the n-th call fail.
 * The file is long because it is the whole: what is not here is not asked.
 *
 *   returns   0 or a positive answer where the comment says so; else the untouched -errno. Nothing here fills the error
 *             record: callers know the step and the path.
 *   outputs   out_*, last, untouched on failure.
 *   ranges    addresses and lengths handed to memory calls are whole pages unless the comment says otherwise.
 *   offsets   below 2^63; callers have checked (base/sums.h).
 *   missing   a call the running kernel does not have answers -ENOSYS, -EINVAL or -EOPNOTSUPP as the kernel does; the
 *             *caller* falls back, in the open. Never by kernel version.
 *   signals   EINTR never comes out of here, except where the comment says so.
 */
#ifndef VERSO_SRC_OS_H
#define VERSO_SRC_OS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* ---- The machine ---------------------------------------------------------------------------------------------- */

/* The base page size in bytes: a power of two. Cheap. */
size_t verso__os_page_bytes(void);

/* The size of a PMD huge page (2 MiB on x86-64), 0 when the machine has none. Cheap after the first call. */
size_t verso__os_huge_page_bytes(void);

/* User address space in bytes: 2^47 on x86-64, 2^32 or less on 32-bit systems. Cheap; async-signal-safe. */
uint64_t verso__os_address_space_bytes(void);

/* How many processors this process may run on, at least 1. Asks the kernel each time. */
unsigned verso__os_processor_count(void);

/* Nanoseconds on a clock that never goes back. Its zero is arbitrary. */
uint64_t verso__os_clock_ns(void);

/* Nanoseconds since the epoch, as far as the machine knows. */
int64_t verso__os_date_ns(void);

/* Which process and thread this is. Async-signal-safe. */
void verso__os_identity(pid_t *out_process, pid_t *out_thread);

/* ---- Files ---------------------------------------------------------------------------------------------------- */

enum verso__os_file_kind {
    VERSO__OS_FILE_REGULAR = 1,
    VERSO__OS_FILE_DIRECTORY,
    VERSO__OS_FILE_FIFO, /* pipes too */
    VERSO__OS_FILE_SOCKET,
    VERSO__OS_FILE_CHARACTER,
    VERSO__OS_FILE_BLOCK,
    VERSO__OS_FILE_LINK, /* a symbolic link, where they are not followed */
    VERSO__OS_FILE_OTHER,
};

struct verso__os_file_info {
    enum verso__os_file_kind kind;
    uint64_t bytes; /* st_size; of a block device, the device's size */
    uint64_t allocated_bytes;
    uint64_t device; /* with @inode: which file this is */
    uint64_t inode;
    uint64_t link_count;
    int64_t accessed_ns; /* atime, since the epoch */
    int64_t modified_ns; /* mtime */
    int64_t changed_ns;  /* ctime */
    uint32_t mode;       /* permission bits, set-id and sticky */
    uint32_t user;
    uint32_t group;
    uint64_t block_bytes;
};

enum verso__os_open_flags {
    VERSO__OS_OPEN_READ = 1 << 0,
    VERSO__OS_OPEN_WRITE = 1 << 1, /* with READ: both. A shared writable map needs both. */
    VERSO__OS_OPEN_CREATE = 1 << 2,
    VERSO__OS_OPEN_EXCLUSIVE = 1 << 3, /* with CREATE: -EEXIST when the name is taken */
    VERSO__OS_OPEN_NOFOLLOW = 1 << 4,  /* -ELOOP when the last part is a symbolic link */
    VERSO__OS_OPEN_NONBLOCK = 1 << 5,  /* don't wait for a FIFO's other end */
    VERSO__OS_OPEN_UNNAMED = 1 << 6,   /* @path is a directory; a file without a name in it (O_TMPFILE) */
    VERSO__OS_OPEN_DIRECTORY = 1 << 7, /* -ENOTDIR when it is not one */
    VERSO__OS_OPEN_PLACE = 1 << 8,     /* not for reading or writing (O_PATH): of any kind, with NOFOLLOW links too */
};

/* Where a path that is not absolute begins, for calls that take a directory: the current one. */
#define VERSO__OS_HERE (-100)

/* Opens, close-on-exec always. @mode: permission bits when created, before umask. */
int verso__os_open(const char *path, unsigned flags, unsigned mode, int *out_fd);

/* The same from an open directory, or VERSO__OS_HERE. */
int verso__os_open_at(int directory, const char *path, unsigned flags, unsigned mode, int *out_fd);

/* Closes. Cannot fail in a way that matters here: what can lose data was synced before. */
void verso__os_close(int fd);

/* Which file, how large, of what kind. */
int verso__os_file_info(int fd, struct verso__os_file_info *out_info);

/* The same by name, not following a final symbolic link unless @follow. */
int verso__os_path_info(const char *path, bool follow, struct verso__os_file_info *out_info);
int verso__os_path_info_at(int directory, const char *path, bool follow, struct verso__os_file_info *out_info);

/* How @fd was opened: VERSO__OS_OPEN_READ and/or _WRITE. */
int verso__os_open_mode(int fd, unsigned *out_flags);

/* A new descriptor for the same open file, close-on-exec. */
int verso__os_duplicate(int fd, int *out_fd);

/* The same file through an open file of its own (position, lease, access), by way of /proc. @flags: READ, WRITE,
 * NONBLOCK. */
int verso__os_reopen(int fd, unsigned flags, int *out_fd);

/* The size of the pages that maps of @fd consist of: of hugetlbfs files its huge page, else the base page. Offsets of
 * their maps must be multiples of it. */
size_t verso__os_file_page_bytes(int fd);

/* The name the kernel knows @fd by, for messages: at most @room_bytes with the NUL; -ENAMETOOLONG when it does not fit.
 */
int verso__os_path_of(int fd, char *out_path, size_t room_bytes);

/* Reads up to @bytes at the descriptor's position; *out_done 0 means the end. May be short. */
int verso__os_read(int fd, void *out_data, size_t bytes, size_t *out_done);

/* Waits until @fd can be read (or has ended) for at most @timeout_ms, -1 for ever. -ETIMEDOUT; -EINTR comes through. */
int verso__os_wait_readable(int fd, int timeout_ms);

/* Reads at an offset until @bytes are there or the file ends; *out_done < @bytes means the end was met. */
int verso__os_read_at(int fd, uint64_t offset, void *out_data, size_t bytes, size_t *out_done);

/* Writes all of @bytes where the descriptor stands, or to what has no offsets (a pipe, a terminal). Async-signal-safe.
 */
int verso__os_write(int fd, const void *data, size_t bytes);

/* Writes all of @bytes at an offset; on failure *out_done (always set) says how many got there. */
int verso__os_write_at(int fd, uint64_t offset, const void *data, size_t bytes, size_t *out_done);

/* Takes a name out of its directory. */
int verso__os_remove(const char *path);
int verso__os_remove_at(int directory, const char *path);

/* Another name for a file, in one step: nobody finds neither. @replace: who has the name @to loses it; else -EEXIST. */
int verso__os_rename(int directory, const char *from, const char *to, bool replace);

/* The first name of a file without one (VERSO__OS_OPEN_UNNAMED). -EEXIST when it is taken. */
int verso__os_name_file(int fd, int directory, const char *path);

/* Whether that can be had here: without /proc, ordinary users of older kernels can't. */
bool verso__os_can_name_file(void);

/* A directory of this user alone (0700 before umask). -EEXIST: there is something. */
int verso__os_make_directory(const char *path);

/* Calls @each with every name in a directory but . and ..; stops and returns its answer when that is not 0. */
int verso__os_names(const char *path, int (*each)(const char *name, void *arg), void *arg);

/* What a symbolic link says, with a NUL. -EINVAL when it is none; -ENAMETOOLONG when it does not fit. */
int verso__os_link_text(int directory, const char *path, char *out_text, size_t room_bytes);

/* A lock on the open file, until it is closed. -EBUSY: another open file has it. Never waits. */
int verso__os_lock_file(int fd);

/* A lock on one byte of the file, which may lie past its end, for the open file @fd: until it is given back or the last
 * descriptor of that open file, duplicates and forked ones too, is closed. Never waits: -EAGAIN when another open file
 * has one that excludes it. EXCLUSIVE wants @fd open for writing, SHARED for reading (-EBADF). Changes the mode of one
 * held. Unlocking can't fail as long as this open file has no lock of the same mode on the bytes beside it. */
enum verso__os_byte_lock {
    VERSO__OS_BYTE_SHARED = 1,
    VERSO__OS_BYTE_EXCLUSIVE,
};
int verso__os_byte_lock(int fd, uint64_t byte, enum verso__os_byte_lock how);
void verso__os_byte_unlock(int fd, uint64_t byte);

/* Whether another open file than @fd's holds a lock on any byte of a range: 1, 0, -errno. */
int verso__os_bytes_are_locked(int fd, uint64_t first, uint64_t count);

/* Sets the file's size; grown parts are holes. -EFBIG past RLIMIT_FSIZE, without the signal SIGXFSZ. */
int verso__os_truncate(int fd, uint64_t bytes);

/*
 * Gives [offset, offset + bytes) real disk space, zeros where nothing was, and grows the file to hold it.
 * -ENOSPC, -EDQUOT, -EFBIG as said by the file system; -EOPNOTSUPP where it has no such call. All or nothing is *not*
 * promised: after -ENOSPC, a part may have been allocated, and the size may have grown (tmpfs gives back, ext4 keeps).
 */
int verso__os_allocate(int fd, uint64_t offset, uint64_t bytes);

/* Gives back the space of [offset, offset + bytes), which then reads as zeros; the size stays. */
int verso__os_punch(int fd, uint64_t offset, uint64_t bytes);

/*
 * The first hole at or after @offset; the file's end counts as one. -ENXIO past the end; -EOPNOTSUPP or -EINVAL where
 * holes can't be seen. Both move the position of @fd's open file: reopen a caller's.
 */
int verso__os_next_hole(int fd, uint64_t offset, uint64_t *out_offset);

/* The first data at or after @offset; -ENXIO when only a hole follows. */
int verso__os_next_data(int fd, uint64_t offset, uint64_t *out_offset);

/* Asks the device to begin writing the dirty pages of a range; does not wait, promises nothing (sync_file_range). */
int verso__os_sync_start(int fd, uint64_t offset, uint64_t bytes);

/* Writes the dirty pages of a range and waits; promises nothing about the file's metadata (sync_file_range). @bytes 0:
 * to the end. A failed write is told once to each open file: when this has told of it, a sync of @fd does not. */
int verso__os_write_back(int fd, uint64_t offset, uint64_t bytes);

/*
 * Has the file system tell of failed writes that it keeps for close(2), as NFS and FUSE do: by closing a descriptor
 * made for that. Locks by fcntl(2) that this process has on the file go with it.
 */
int verso__os_flush(int fd);

/* Waits until the file's data, and what is needed to read it back, is on stable storage (fdatasync). */
int verso__os_sync_data(int fd);

/* The same and all metadata (fsync). On a directory: the names in it. */
int verso__os_sync_full(int fd);

/* Waits until all of the file system that @fd is on is on stable storage (syncfs). */
int verso__os_sync_file_system(int fd);

/* Drops clean cached pages of a range (POSIX_FADV_DONTNEED); @bytes 0: to the end. Advice: what was not dropped is not
 * told. */
int verso__os_cache_drop(int fd, uint64_t offset, uint64_t bytes);

/* Makes @target_fd share the blocks of @source_fd (FICLONE). -EOPNOTSUPP, -EXDEV, -EINVAL where it can't. */
int verso__os_clone_file(int source_fd, int target_fd);

/* Copies in the kernel where it can; *out_done 0 means the source ended. -EXDEV, -EINVAL, -ENOSYS: copy by hand. */
int verso__os_copy_range(int source_fd, uint64_t source_offset, int target_fd, uint64_t target_offset, size_t bytes,
                         size_t *out_done);

/*
 * From a pipe (splice), or from a file, device or socket that can hand out pages (sendfile); without coming through
 * this process. *out_done 0: the source ended. A NULL offset: at the position. -EINVAL: not between these two.
 */
int verso__os_splice(int source_fd, int target_fd, uint64_t *target_offset, size_t bytes, size_t *out_done);
int verso__os_send_file(int source_fd, uint64_t *source_offset, int target_fd, size_t bytes, size_t *out_done);

/*
 * What a file has besides its content. @fd may be a place (PLACE). Names come one after the other, each with its NUL.
 * -ERANGE: no room; -ENODATA: no such attribute; -EOPNOTSUPP: not on this file system; -EPERM, -EACCES: not for us;
 * -ENOSYS: of a place, without /proc. So for the calls that follow.
 */
int verso__os_attribute_names(int fd, char *out_names, size_t room_bytes, size_t *out_bytes);
int verso__os_attribute_get(int fd, const char *name, void *out_value, size_t room_bytes, size_t *out_bytes);
int verso__os_attribute_set(int fd, const char *name, const void *value, size_t bytes);
int verso__os_attribute_remove(int fd, const char *name);

/* UINT32_MAX for @user or @group: leave it. Clears set-id bits. */
int verso__os_set_owner(int fd, uint32_t user, uint32_t group);
/* -EOPNOTSUPP for a symbolic link. */
int verso__os_set_mode(int fd, unsigned mode);
int verso__os_set_times(int fd, int64_t accessed_ns, int64_t modified_ns);

/* A read lease: opening for writing and truncating by others waits until it is given up (or the system's limit runs
 * out). */
int verso__os_lease_take(int fd);
/*
 * 0 while the lease stands, -EAGAIN when somebody waits for it to end, -ENOLCK when it is gone. Sends no signal. Cheap
 * while it stands; after that /proc/locks is read, and without /proc the answer is -EAGAIN.
 */
int verso__os_lease_state(int fd);
void verso__os_lease_drop(int fd);

enum verso__os_memory_file_flags {
    VERSO__OS_MEMORY_FILE_HUGE = 1 << 0, /* hugetlb pages */
    VERSO__OS_MEMORY_FILE_EXEC = 1 << 1, /* may be run as a program */
    /* Alone: out of the kernel's own sight (memfd_secret). Mapped shared only, counted as locked; no name, no seals. */
    VERSO__OS_MEMORY_FILE_SECRET = 1 << 2,
};

enum verso__os_seals {
    VERSO__OS_SEAL_SHRINK = 1 << 0,
    VERSO__OS_SEAL_GROW = 1 << 1,
    VERSO__OS_SEAL_WRITE = 1 << 2,
    VERSO__OS_SEAL_FUTURE_WRITE = 1 << 3,
    VERSO__OS_SEAL_SEAL = 1 << 4,
};

/* A file of memory without a name in any directory; sealable. Unless asked, one that can't be run as a program, where
 * the kernel can say so; parts of it may be mapped executable all the same. */
int verso__os_memory_file(const char *name, unsigned flags, int *out_fd);
int verso__os_seals_add(int fd, unsigned seals);
int verso__os_seals_get(int fd, unsigned *out_seals);

/* A descriptor through a Unix socket, with one byte beside it. Receive: -EPROTO: something else came, and is gone;
 * -ECONNRESET: the other end has closed. The new one is close-on-exec. */
int verso__os_send_descriptor(int socket_fd, int fd);
int verso__os_receive_descriptor(int socket_fd, int *out_fd);

/* ---- Memory --------------------------------------------------------------------------------------------------- */

enum verso__os_access {
    VERSO__OS_ACCESS_NONE = 0,
    VERSO__OS_ACCESS_READ = 1 << 0,
    VERSO__OS_ACCESS_WRITE = 1 << 1,
    VERSO__OS_ACCESS_EXEC = 1 << 2,
};

enum verso__os_map_flags {
    VERSO__OS_MAP_SHARED = 1 << 0,    /* stores reach the file; else private copy-on-write */
    VERSO__OS_MAP_NORESERVE = 1 << 1, /* no commit charge */
    VERSO__OS_MAP_HUGE = 1 << 2,      /* hugetlb pages (anonymous only) */
    VERSO__OS_MAP_AT = 1 << 3,        /* exactly at @wanted, -EEXIST when anything stands there */
    VERSO__OS_MAP_OVER = 1 << 4,      /* exactly at @wanted, replacing what stands there: only over a span of ours */
    VERSO__OS_MAP_POPULATE = 1 << 5,  /* fault in now; failures to do so are silent, see verso__os_populate() */
    VERSO__OS_MAP_LOCKED = 1 << 6,
    VERSO__OS_MAP_DROPPABLE = 1 << 7, /* the kernel may drop the pages under pressure (anonymous only) */
    VERSO__OS_MAP_SYNC = 1 << 8,      /* DAX: stores are durable without msync; -EOPNOTSUPP elsewhere */
};

/*
 * Maps @bytes of @fd from @offset (whole pages), or anonymous zeros when @fd is -1. @wanted is an address for AT and
 * OVER, else a hint or NULL. The mapping outlives the descriptor.
 */
int verso__os_map(void *wanted, size_t bytes, unsigned access, unsigned flags, int fd, uint64_t offset,
                  void **out_address);

/* Address space without memory: PROT_NONE, no commit charge until verso__os_protect() makes it writable. @align_bytes:
 * a power of two, at least a page. */
int verso__os_reserve(size_t bytes, size_t align_bytes, void **out_address);

/* Async-signal-safe. Fails only for an address that is not page-aligned, or with -ENOMEM when it would split a mapping
 * too many. */
int verso__os_unmap(void *address, size_t bytes);

/* Async-signal-safe. -ENOMEM: part of it is not mapped, or it would split a mapping too many. */
int verso__os_protect(void *address, size_t bytes, unsigned access);

/* Whether every page of a range belongs to some mapping; -ENOMEM when one does not. Looks at no page: cheap. */
int verso__os_check_mapped(void *address, size_t bytes);

/* Grows, shrinks or moves. @may_move false: -ENOMEM when the room behind is taken. */
int verso__os_remap(void *address, size_t old_bytes, size_t new_bytes, bool may_move, void **out_address);

/* A second mapping of the pages of a shared one, over @target, which is ours (mremap of 0 bytes): also where no new
 * mapping could be made, as of a file sealed against writing since. */
int verso__os_map_again(void *address, size_t bytes, void *target);

/* Moves the pages of a mapping over @target, which is ours and does not overlap it; where they stood is nothing then.
 * -EFAULT when the range is several mappings and the kernel moves only one (before 6.17). */
int verso__os_move(void *address, size_t bytes, void *target);

enum verso__os_advice {
    VERSO__OS_ADVICE_NORMAL = 1,
    VERSO__OS_ADVICE_RANDOM,
    VERSO__OS_ADVICE_SEQUENTIAL,
    VERSO__OS_ADVICE_WILLNEED,
    VERSO__OS_ADVICE_COLD,     /* next to be reclaimed */
    VERSO__OS_ADVICE_PAGEOUT,  /* reclaim now */
    VERSO__OS_ADVICE_DONTNEED, /* drop our pages: private changes are lost */
    VERSO__OS_ADVICE_FREE,     /* anonymous: may be dropped until written again */
    VERSO__OS_ADVICE_HUGE,
    VERSO__OS_ADVICE_NO_HUGE,
    VERSO__OS_ADVICE_COLLAPSE, /* make huge pages now */
    VERSO__OS_ADVICE_NO_CORE,
    VERSO__OS_ADVICE_CORE,
    VERSO__OS_ADVICE_NO_FORK, /* a child does not get the range */
    VERSO__OS_ADVICE_FORK,
    VERSO__OS_ADVICE_REMOVE,       /* punch a hole under the range (shared maps) */
    VERSO__OS_ADVICE_WIPE_ON_FORK, /* a child gets zeros (anonymous, private) */
    VERSO__OS_ADVICE_MERGE,        /* equal pages may become one (KSM) */
    /* Guards without a mapping of their own: content goes, any access is SIGSEGV; -EINVAL for locked and hugetlb pages.
     * What DONTNEED and forks leave alone, REMOVE and mapping anew take away. */
    VERSO__OS_ADVICE_GUARD_INSTALL,
    VERSO__OS_ADVICE_GUARD_REMOVE,
};

int verso__os_advise(void *address, size_t bytes, enum verso__os_advice advice);

/*
 * Faults a range in. Past the end of the file or on failed storage -EFAULT, never a signal; -EHWPOISON for broken
 * memory; -ENOMEM when part of the range is not mapped. -EINVAL on a kernel without it.
 */
int verso__os_populate(void *address, size_t bytes, bool for_writing);

/* @on_fault: lock pages as they come in, instead of bringing all in now. */
int verso__os_lock(void *address, size_t bytes, bool on_fault);
int verso__os_unlock(void *address, size_t bytes);

/* Refuses munmap, mremap and mprotect of the range until the process ends. -ENOSYS before Linux 6.10. */
int verso__os_seal_mapping(void *address, size_t bytes);

/* Pages that come in from now on are taken from these NUMA nodes while those have any (bit n: node n, not 0). -EINVAL
 * for a node that is not there, -ENOSYS on kernels without NUMA. */
int verso__os_prefer_nodes(void *address, size_t bytes, uint64_t nodes);

/* A name for anonymous memory in /proc/PID/maps; letters, digits and -_. survive, at most 79 bytes. Best effort. */
int verso__os_name(void *address, size_t bytes, const char *name);

/* Writes the dirty pages of a shared map back and waits (MS_SYNC). */
int verso__os_sync_mapping(void *address, size_t bytes);

/* ---- Code ------------------------------------------------------------------------------------------------------ */

/* Makes instruction fetches of this CPU see what was stored to a range that is mapped executable at @address, through
 * whichever mapping. Any range. */
void verso__os_code_flush(void *address, size_t bytes);

/* Announces verso__os_code_barrier(), once per process; a child of fork() inherits it. -EINVAL where the CPU or kernel
 * has no such thing. */
int verso__os_code_barrier_announce(void);

/* When this returns, every thread of the process has executed an instruction that makes its CPU forget what it had
 * fetched ahead. -EPERM when it was not announced. */
int verso__os_code_barrier(void);

/* ---- Threads ---------------------------------------------------------------------------------------------------- */

enum verso__os_futex_flags {
    VERSO__OS_FUTEX_SHARED = 1 << 0, /* sleepers may be in other processes, the word in memory they share */
};

/* A deadline that never comes. */
#define VERSO__OS_NEVER UINT64_MAX

/*
 * Sleeps as long as *@word is @expected, nobody wakes and @deadline_ns (of verso__os_clock_ns()) is ahead. 0: woken, or
 * the word is another, or for no reason at all: callers look again. -ETIMEDOUT. Because the deadline is absolute, a
 * signal does not lengthen the sleep: its handler runs, then the rest is slept.
 */
int verso__os_futex_wait(const _Atomic uint32_t *word, uint32_t expected, uint64_t deadline_ns, unsigned flags);

/* Wakes up to @count of those who sleep at @word, with the same @flags. Async-signal-safe. Cannot fail while @word is
 * mapped; a word that no longer is wakes nobody. */
void verso__os_futex_wake(const _Atomic uint32_t *word, unsigned count, unsigned flags);

/* Lets others run on this processor first, when there are any. */
void verso__os_yield(void);

/*
 * A full memory barrier in every running thread of this process, paid for by the caller alone: against it, the other
 * threads need none of their own between a store and a load, only keep the compiler from swapping the two. Once per
 * process, announce comes first; it costs 5 us, but 10 to 25 ms when there are threads already. -ENOSYS, -EINVAL
 * (before Linux 4.14), -EPERM (seccomp): every thread must have barriers of its own.
 */
int verso__os_barrier_announce(void);
int verso__os_barrier(void);

/* The same in every process that has announced it, this one among them: for memory that they share. 0.2 us when none of
 * them runs elsewhere, else some 3 us. */
int verso__os_barrier_shared_announce(void);
int verso__os_barrier_shared(void);

/* A word in memory that processes share, and what it has to be for the sleep to go on. */
struct verso__os_futex_word {
    const _Atomic uint32_t *word;
    uint32_t expected;
};
#define VERSO__OS_FUTEX_WORDS_MAX 128

/* verso__os_futex_wait() at several words at once, all SHARED: until one of them is woken or is another. -ENOSYS before
 * Linux 5.16. */
int verso__os_futex_wait_any(const struct verso__os_futex_word *words, unsigned count, uint64_t deadline_ns);

/* How many fork()s lie between the first process that asked and this one: another number than before, and this process
 * is a child. Cheap: no system call. Children of clone(2) and vfork(2) are not seen. */
unsigned verso__os_forks(void);

/* ---- Life and death ---- */

/* Which process, for all times: the id alone comes round again. */
struct verso__os_life_mark {
    uint32_t process; /* as it sees itself */
    uint64_t start_ticks;
    uint64_t namespace; /* of process ids: its inode number */
    char command[16];   /* of its program, as ps shows it */
};
/* Of the caller; what can't be had without /proc is 0. */
void verso__os_life_mark(struct verso__os_life_mark *out_mark);

/* When the calling thread began, in the same ticks; 0: not known. */
uint64_t verso__os_life_thread_ticks(void);

/* The inode number of this process's namespace of ids, 0 without /proc. Cheaper than the whole mark. */
uint64_t verso__os_life_namespace(void);

/* True is proof that the process (or thread) @id, of this process's own namespace, which began at @start_ticks, has
 * ended: not there, another one, or a zombie. False: not known, as where /proc is another namespace's, or the clock
 * that start times are told by. */
bool verso__os_is_gone(uint32_t id, uint64_t start_ticks);

/*
 * The life word of the calling thread: its first four bytes hold the thread's id and FUTEX_WAITERS until the thread
 * ends, however it does; then the kernel puts VERSO__OS_LIFE_OVER there, and wakes one of those who sleep at it. @page
 * is a page of a shared map; the word is its last 8 bytes, and nobody else's until life_end(). *out_life is the same
 * word in a mapping of its own. The kernel writes only if what stands there is what was put there, so a process that
 * scribbles over the word can hide a death or feign one, nothing else.
 * -EOPNOTSUPP: this libc's mutexes don't lie so. -ENOMEM, -EINVAL.
 */
#define VERSO__OS_LIFE_BYTES 8
#define VERSO__OS_LIFE_OVER UINT32_C(0x40000000)
int verso__os_life_begin(void *page, void **out_life);

/* By the same thread: the word is 0, its mapping gone. -EBUSY: somebody has scribbled over it, and it can't be ended;
 * nothing is done, try again or leave it. */
int verso__os_life_end(void *life);

/* By any thread: cuts a life off from the shared page, which can then go. Its thread still has to end it. */
int verso__os_life_detach(void *life);

/* Frees the mappings of a life whose thread has ended, or that belonged to the parent of this process. */
void verso__os_life_forget(void *life);

/* ---- Descriptors that tell ---- */

/*
 * A socket in a directory (which may be open as a PLACE) at which others ring: readable from then on. Only the user who
 * made it, and root, can ring. -EADDRINUSE: the name is taken; -ENOENT: no directory, or no /proc.
 */
int verso__os_bell_make(int directory, const char *name, int *out_fd);

/* To ring there. -ENOENT: no such name; -ECONNREFUSED: nobody is left who could hear it; -EACCES. */
int verso__os_bell_open(int directory, const char *name, int *out_fd);

/* @fd: of bell_open. 0 also when it has been rung often and not been heard: it is readable. -ECONNREFUSED. */
int verso__os_bell_ring(int fd);

/* @fd: of bell_make. Not readable any more, until it is rung again. */
void verso__os_bell_hush(int fd);

/* Readable once the process has ended, also before its parent knows. -ESRCH; -ENOSYS before Linux 5.3. */
int verso__os_process_open(pid_t process, int *out_fd);

/* Readable @wait_ns after it was set, and until it is set again; 0: not at all. */
int verso__os_timer_make(int *out_fd);
int verso__os_timer_set(int fd, uint64_t wait_ns);

/* Readable while one of those that were added is. @name: whatever look() shall call it. Who is closed, is out of it. */
#define VERSO__OS_POLL_MOST 16
int verso__os_poll_make(int *out_fd);
int verso__os_poll_add(int poll_fd, int fd, uint64_t name);
void verso__os_poll_remove(int poll_fd, int fd);

/* Which are readable now, up to @room or POLL_MOST of them; never waits. */
int verso__os_poll_look(int poll_fd, uint64_t *out_names, size_t room, size_t *out_count);

/* ---- Residency ------------------------------------------------------------------------------------------------ */

/* Counts of pages of a file range, from the page cache. */
struct verso__os_cache_counts {
    uint64_t cached_pages;
    uint64_t dirty_pages;
    uint64_t writeback_pages;
    uint64_t evicted_pages;          /* once cached, since reclaimed */
    uint64_t recently_evicted_pages; /* and missed soon: reading them back would be thrashing */
};

/* -ENOSYS before Linux 6.5; -EPERM for a file one may not write; -EOPNOTSUPP for hugetlbfs. @bytes 0: to the end. */
int verso__os_cache_counts(int fd, uint64_t offset, uint64_t bytes, struct verso__os_cache_counts *out_counts);

/* One byte per page, bit 0: in memory. Answers "all" for files one may neither write nor own (Linux 5.2): callers must
 * know. */
int verso__os_resident(void *address, size_t bytes, unsigned char *out_pages);

/* Whether verso__os_resident() about maps of @fd gets true answers: 1 yes (owner, or may write the file), 0 no, or not
 * surely. */
int verso__os_residency_is_honest(int fd);

/* ---- Faults --------------------------------------------------------------------------------------------------- */

enum verso__os_fault_signal {
    VERSO__OS_FAULT_BUS = 0, /* SIGBUS: the memory is mapped, its content can't be had */
    VERSO__OS_FAULT_SEGV,    /* SIGSEGV: not mapped, or not for this */
};

enum verso__os_fault_cause {
    VERSO__OS_FAULT_PAST_END = 1, /* BUS_ADRERR: past the end, no space, or I/O error */
    VERSO__OS_FAULT_POISON,       /* BUS_MCEERR_*: broken or poisoned memory */
    VERSO__OS_FAULT_NOT_MAPPED,   /* SEGV_MAPERR: nothing there, or a guard */
    VERSO__OS_FAULT_NO_ACCESS,    /* SEGV_ACCERR, SEGV_PKUERR: there, but not for this */
    VERSO__OS_FAULT_OTHER,        /* another code (x86-64: no address at all, @address is 0), or sent by a process */
};

struct verso__os_fault {
    enum verso__os_fault_signal signal;
    enum verso__os_fault_cause cause;
    unsigned access; /* enum verso__os_access: what was tried; NONE when the machine doesn't say */
    void *address;   /* the byte whose access failed (page-granular for some causes) */
    uintptr_t stack_pointer;
    uintptr_t *pc;       /* the program counter; what is stored here is where execution goes on */
    uintptr_t *word;     /* a register, rax or x16, that the code at the new *pc may take something from */
    const void *context; /* for verso__os_fault_leave() */
};

/*
 * Called in signal context on the faulting thread; async-signal-safe code only. True: handled, go on at *fault->pc. May
 * also not return, by siglongjmp, after verso__os_fault_leave().
 */
typedef bool verso__os_fault_function(const struct verso__os_fault *fault);

/* When a function is asked. One function per signal and rank. */
enum verso__os_fault_rank {
    VERSO__OS_FAULT_ANSWERS = 0, /* first, and by each of our handlers that the signal passes */
    VERSO__OS_FAULT_REPORTS,     /* when no answer was given; once, by the topmost of our handlers; never handles */
};

/* Gives the thread back the signal mask it had when it faulted: a handler over ours may have blocked what it likes. */
void verso__os_fault_leave(const struct verso__os_fault *fault);

/*
 * Installs one process-wide handler of @signal (on the alternate stack where a thread has one) that asks @function and
 * passes on what it refuses, as the action found at installation wishes: handler with or without SA_SIGINFO, its mask,
 * SA_RESETHAND, SIG_IGN, SIG_DFL. Installing again counts, and comes on top again where another handler has been put
 * over ours. -EBUSY when that has happened too often. Any thread; also after fork().
 */
int verso__os_fault_install(enum verso__os_fault_signal signal, enum verso__os_fault_rank rank,
                            verso__os_fault_function *function);

/*
 * Undoes one install. The last one of a signal puts the earlier action back. -EINVAL when there was none. -EBUSY when
 * another handler has been installed over ours: ours then stays beneath it, passing on.
 */
int verso__os_fault_remove(enum verso__os_fault_signal signal, enum verso__os_fault_rank rank);

/* Installed more often than removed. Cheap: no system call. */
bool verso__os_fault_is_wanted(enum verso__os_fault_signal signal, enum verso__os_fault_rank rank);

/* 1: wanted, and the handler that the kernel calls is ours. 0: not. */
int verso__os_fault_is_installed(enum verso__os_fault_signal signal, enum verso__os_fault_rank rank);

/* Zero pages over [address, address + bytes), keeping @access. Async-signal-safe: for substituting torn pages. */
int verso__os_zero_over(void *address, size_t bytes, unsigned access);

/* A regular file's size now, or negative. Async-signal-safe. */
int64_t verso__os_file_bytes_now(int fd);

/* ---- Seeing processes and files (inspect) --------------------------------------------------------------------- */

struct verso__os_mapping {
    uint64_t start;
    uint64_t end;
    uint64_t offset;
    uint64_t device_major;
    uint64_t device_minor;
    uint64_t inode;
    unsigned access; /* enum verso__os_access */
    bool shared;
    const char *name; /* path, "[heap]", "[anon:...]" or ""; octal escapes undone; valid during the callback */
};

/* Calls @each for every mapping, by address; stops and returns its answer when that is not 0. @pid 0: this process.
 * -ESRCH when it ended before the list did; no call at all for a process without memory (a kernel thread). */
int verso__os_mappings(pid_t pid, int (*each)(const struct verso__os_mapping *mapping, void *arg), void *arg);

/* The mapping that holds @address: PROCMAP_QUERY, else by reading. -ENOENT when none does. @out_name (may be NULL) gets
 * up to @room_bytes with the NUL, a longer name's end becomes "..."; the mapping's name points to it. */
int verso__os_mapping_at(pid_t pid, uint64_t address, struct verso__os_mapping *out_mapping, char *out_name,
                         size_t room_bytes);

/* A mapping of this process, with as much of its name as fits; a longer one's end becomes "...". */
struct verso__os_neighbour {
    uint64_t start; /* start == end: there is none */
    uint64_t end;
    uint64_t offset;
    uint64_t inode;
    unsigned access; /* enum verso__os_access */
    bool shared;
    char name[128]; /* as the kernel writes it in maps */
};
struct verso__os_neighbours {
    struct verso__os_neighbour before; /* the last one below the address */
    struct verso__os_neighbour at;     /* the one that holds it */
    struct verso__os_neighbour after;  /* the first one above it */
};

/* What stands at @address and next to it. Async-signal-safe; needs two KiB of stack. Reads all mappings below it. */
int verso__os_neighbours(uint64_t address, struct verso__os_neighbours *out_neighbours);

/* Numbers of /proc/PID/smaps for one mapping, bytes. */
struct verso__os_mapping_memory {
    uint64_t resident;
    uint64_t proportional;
    uint64_t shared_clean;
    uint64_t shared_dirty;
    uint64_t private_clean;
    uint64_t private_dirty;
    uint64_t referenced;
    uint64_t anonymous;
    uint64_t swapped;
    uint64_t locked;
    uint64_t anonymous_huge;
    uint64_t file_huge; /* ShmemPmdMapped + FilePmdMapped */
    uint64_t hugetlb;
    uint64_t page_bytes; /* KernelPageSize */
    char flags[200];     /* VmFlags, as the kernel writes them: at most 64 of two letters */
};

/* As verso__os_mappings(), with memory. Slower: the kernel walks the page tables. */
int verso__os_mappings_memory(pid_t pid,
                              int (*each)(const struct verso__os_mapping *mapping,
                                          const struct verso__os_mapping_memory *memory, void *arg),
                              void *arg);

/* Raw entries of /proc/PID/pagemap for @count pages from @address (page-aligned); frame numbers are 0 without
 * privilege. -ESRCH when the process ended, -EFAULT above its address space. */
int verso__os_pagemap(int pagemap_fd, uint64_t address, size_t count, uint64_t *out_entries);
int verso__os_pagemap_open(pid_t pid, int *out_fd);

/* A run of pages with equal categories, from PAGEMAP_SCAN. -ENOTTY before Linux 6.7; -EINVAL for a category it does not
 * have (GUARD before 6.15). */
struct verso__os_page_run {
    uint64_t start;
    uint64_t end;
    uint64_t categories; /* enum verso__os_page_category */
};
enum verso__os_page_category {
    VERSO__OS_PAGE_WRITE_ALLOWED = 1 << 0,
    VERSO__OS_PAGE_WRITTEN = 1 << 1,
    VERSO__OS_PAGE_FILE = 1 << 2,
    VERSO__OS_PAGE_PRESENT = 1 << 3,
    VERSO__OS_PAGE_SWAPPED = 1 << 4,
    VERSO__OS_PAGE_ZERO = 1 << 5,
    VERSO__OS_PAGE_HUGE = 1 << 6,
    VERSO__OS_PAGE_SOFT_DIRTY = 1 << 7,
    VERSO__OS_PAGE_GUARD = 1 << 8,
};
/* Fills up to @room runs whose pages have any of @wanted, and says FILE and HUGE of them as well; *out_walked is where
 * to go on from, *out_count how many were filled. */
int verso__os_page_scan(int pagemap_fd, uint64_t start, uint64_t end, uint64_t wanted,
                        struct verso__os_page_run *out_runs, size_t room, size_t *out_count, uint64_t *out_walked);

/*
 * The runs among [start, end) whose pages are the process's own: neither of a file nor of shared memory, and not
 * absent. Says SWAPPED, WRITTEN and WRITE_ALLOWED of them. A page that is SWAPPED and WRITE_ALLOWED, but not WRITTEN,
 * may in truth be absent, and only watched (below): touch it, and ask again. Room, count, walked, errors: as the scan
 * above.
 */
int verso__os_private_scan(int pagemap_fd, uint64_t start, uint64_t end, struct verso__os_page_run *out_runs,
                           size_t room, size_t *out_count, uint64_t *out_walked);

/*
 * Watching what this process writes (userfaultfd, write-protected without faults to answer; Linux 6.7). A page that is
 * watched counts as unwritten until something is stored to it through its address here, by the program or by a system
 * call, or until it is dropped (DONTNEED) or cut away. A page never present counts too. Mappings made later in the same
 * place are not watched, nor is what mremap() moved; a child of fork() has none of it: there, only close @fd.
 */

/* For this process. -ENOSYS, -EPERM, -EINVAL: not to be had here. */
int verso__os_write_watch_open(int *out_fd);

/* Watches a range, all of it unwritten. -EBUSY: somebody else watches part of it. -EPERM: a shared mapping of what may
 * not be written; -EINVAL: mappings that can't be watched. On failure nothing is watched. */
int verso__os_write_watch_add(int fd, void *address, size_t bytes);
void verso__os_write_watch_remove(int fd, void *address, size_t bytes);

/*
 * Fills up to @room runs of pages of a watched range that have been written; *out_walked is where to go on from. With
 * @reset they count as unwritten again: page by page in one step with being told, so that no store is lost between.
 * What was dropped is told here or by verso__os_dropped_scan(): kernels differ. -EPERM: part of it is not watched;
 * -ENOTTY before Linux 6.7.
 */
int verso__os_written_scan(int pagemap_fd, uint64_t start, uint64_t end, bool reset,
                           struct verso__os_page_run *out_runs, size_t room, size_t *out_count, uint64_t *out_walked);
int verso__os_dropped_scan(int pagemap_fd, uint64_t start, uint64_t end, bool reset,
                           struct verso__os_page_run *out_runs, size_t room, size_t *out_count, uint64_t *out_walked);

/* 1: the written scan tells all that was dropped; 0: the dropped scan must be asked as well; negative: it could not be
 * tried, so ask both. Cheap after the first answer. */
int verso__os_written_tells_dropped(void);

/* Flags and map counts of @count physical frames from @frame (/proc/kpageflags, /proc/kpagecount). -EACCES/-EPERM
 * without root, -ERANGE past the last frame. */
int verso__os_frame_flags(uint64_t frame, size_t count, uint64_t *out_flags);
int verso__os_frame_counts(uint64_t frame, size_t count, uint64_t *out_counts);

struct verso__os_extent {
    uint64_t logical_bytes;
    uint64_t physical_bytes;
    uint64_t length_bytes;
    uint32_t flags; /* enum verso__os_extent_flags */
};
enum verso__os_extent_flags {
    VERSO__OS_EXTENT_LAST = 1 << 0,
    VERSO__OS_EXTENT_UNKNOWN = 1 << 1, /* no physical address */
    VERSO__OS_EXTENT_DELAYED = 1 << 2, /* not yet allocated */
    VERSO__OS_EXTENT_UNWRITTEN = 1 << 3,
    VERSO__OS_EXTENT_SHARED = 1 << 4,
    VERSO__OS_EXTENT_INLINE = 1 << 5, /* inside the inode; the address means nothing to others */
    VERSO__OS_EXTENT_ENCODED = 1 << 6,
};
/* Up to @room extents from @offset on (FIEMAP, no sync); the first may begin before it. It was the last batch when
 * *out_count is 0 or an extent is LAST. -EOPNOTSUPP where the file system has no blocks to tell of. */
int verso__os_extents(int fd, uint64_t offset, struct verso__os_extent *out_extents, size_t room, size_t *out_count);

/* Who is calling: ids that are true now, also after fork(). */
pid_t verso__os_process_id(void);
pid_t verso__os_thread_id(void);
uint32_t verso__os_user(void); /* the effective user: who owns what is made */

/* Calls @each for every process id; stops as verso__os_mappings() does. */
int verso__os_processes(int (*each)(pid_t pid, void *arg), void *arg);

struct verso__os_process_info {
    char command[64]; /* the kernel's comm: at most 15 bytes */
    uint64_t minor_faults;
    uint64_t major_faults;
    uint64_t resident_bytes;
    uint64_t virtual_bytes;
    uint64_t start_ticks; /* with the pid: which process this is */
    char state;           /* as ps shows it: 'R', 'S', 'Z' (ended, not yet waited for) ... */
    bool is_kernel_thread;
};
/* @pid 0: this process. -ESRCH when it is gone. */
int verso__os_process_info(pid_t pid, struct verso__os_process_info *out_info);

/* ---- What the machine can do (features) ----------------------------------------------------------------------- */

/* 0: tried, and works. Negative: the -errno with which the kernel refused. -EAGAIN: could not be tried here (see
 * @out_note, a constant string, untouched when there is nothing to say). -ENOKEY: no probe has this name. */
int verso__os_probe(const char *feature, const char **out_note);

/* A number from /proc/sys or /sys, such as "vm/max_map_count", a negative one as 0; text settings give their chosen
 * word ("[madvise]") in @out_word. -EFBIG for what is longer than any setting. */
int verso__os_setting(const char *path, uint64_t *out_value, char *out_word, size_t room_bytes);

/* Main memory and swap space of the machine. */
int verso__os_memory_totals(uint64_t *out_memory_bytes, uint64_t *out_swap_bytes);

/* Soft and hard limits by name: "memlock", "address space", "data", "files", "file size"; UINT64_MAX is no limit. */
int verso__os_limit(const char *name, uint64_t *out_soft, uint64_t *out_hard);

#endif
