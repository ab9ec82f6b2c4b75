/* SPDX-License-Identifier: MIT */
/*
 * error.h - what went wrong, where, and what to do about it.
 *
 * Every call that can fail returns an int: 0, or a negative number.
 *     -1 .. -4095    a system failure: the untouched -errno of the step that failed
 *     -20001 down    a VERSO_E_* code from the table below
 * The two ranges never meet. A failing public call also fills the calling thread's record, verso_error_last(),
 * with the step, the path, the offset and a hint. Successful calls leave the record alone, so read it only
 * after a failure. The library never prints, never aborts on bad input.
 */
#ifndef VERSO_ERROR_H
#define VERSO_ERROR_H

#include <verso/base.h>

VERSO_BEGIN_DECLS

/* The one table: X(name, code, sentence, what to do about it). */
#define VERSO_ERROR_TABLE(X)                                                                                           \
    X(VERSO_E_RANGE, -20001, "the range lies outside the file or the map", "ask for a range that ends within it")      \
    X(VERSO_E_OVERFLOW, -20002, "offset and length together do not fit in an address or a file offset",                \
      "use a smaller length; files end below 2^63 bytes")                                                              \
    X(VERSO_E_OPTIONS, -20003, "the options contradict each other or are unknown to this version",                     \
      "start from the _INIT macro and read the notes of each flag in the header")                                      \
    X(VERSO_E_WX, -20004, "memory may not be writable and executable at once (W^X)",                                   \
      "for machine code there is verso/code.h; or write first and protect afterwards")                                 \
    X(VERSO_E_READ_ONLY, -20005, "the map is not writable", "open it with VERSO_MAP_WRITE or VERSO_MAP_PRIVATE")       \
    X(VERSO_E_SPAN, -20006, "the map has reached the end of its reserved address span",                                \
      "open it with a larger span_bytes, or close it and open it again")                                               \
    X(VERSO_E_TORN, -20007, "part of the file could not be read: it was cut short or its storage failed",              \
      "treat what was read as incomplete; verso_map_refresh() takes the file as it is now")                            \
    X(VERSO_E_POISONED, -20008, "an earlier write-back of this map failed, so what reached the disk is unknown",       \
      "rewrite the file from a source that is known to be good; the map stays poisoned")                               \
    X(VERSO_E_UNSUPPORTED, -20009, "this system or file system cannot do that",                                        \
      "see `verso doctor` for what is present and what verso does without it")                                         \
    X(VERSO_E_NO_DESCRIPTOR, -20010, "this call needs the file's descriptor, which the map did not keep",              \
      "open the map with VERSO_MAP_KEEP_FD")                                                                           \
    X(VERSO_E_NOT_MAPPED, -20011, "this content was read into a private buffer; there is no file mapping behind it",   \
      "copy the data, or write it to a regular file and map that")                                                     \
    X(VERSO_E_CHANGED, -20012, "the file changed while it was being copied or compared",                               \
      "try again when its writer has finished, or accept a lower rung of stability")                                   \
    X(VERSO_E_GUARD, -20013, "the fault guard is not installed, or another handler has replaced it",                   \
      "call verso_guard_install() after the code that installs the other handler")                                     \
    X(VERSO_E_LEASE, -20014, "another process waits for this file: the read lease is being broken",                    \
      "call verso_map_settle() to keep a private copy and let the other process go on")                                \
    X(VERSO_E_TOO_LARGE, -20015, "there is more data than the limit allows", "raise the limit given in the options")   \
    X(VERSO_E_EXEC, -20016, "a policy of this system forbids new executable memory",                                   \
      "the record's cause is the kernel's answer; ask for the permission (SELinux execmem), or run without made code") \
    X(VERSO_E_NEAR, -20017, "there is no room left within reach of the address given",                                 \
      "ask for smaller segments, or open the pool before other memory takes the room")                                 \
    X(VERSO_E_UNTRACKED, -20018, "this memory is not tracked any more: it was unmapped, moved or mapped anew",         \
      "end the tracking, and begin it again over what is mapped there now")                                            \
    X(VERSO_E_FOREIGN, -20019, "the address is not that of an object of this slab",                                    \
      "free what verso_slab_alloc() of the same slab returned, at its first byte")                                     \
    X(VERSO_E_STALE, -20020, "the object has been freed already",                                                      \
      "look for the free that came first; handles (VERSO_SLAB_HANDLES) know when they are stale")                      \
    X(VERSO_E_OVERWRITTEN, -20021, "a freed object has been written to",                                               \
      "look for who kept its address; under ASan that store itself is reported")                                       \
    X(VERSO_E_CANCELLED, -20022, "a function of the caller ended the work early",                                      \
      "what was done until then is in the result; begin again when the work is wanted after all")                      \
    X(VERSO_E_VERIFY, -20023, "what was read back is not what was written",                                            \
      "the storage, the cable or the memory is failing: look at `dmesg`, and do not trust this copy")                  \
    X(VERSO_E_SAME_FILE, -20024, "source and target are one and the same file", "name another target")                 \
    X(VERSO_E_FORMAT, -20025, "this is not a region that processes share, or it is damaged",                           \
      "the hint of the record says what is wrong; `verso share remove` takes away what is left of a region")           \
    X(VERSO_E_MACHINE, -20026, "the region was made by another kind of machine, or by another version of verso",       \
      "make it anew with this one")                                                                                    \
    X(VERSO_E_KIND, -20027, "the region holds something else: another kind, version or layout",                        \
      "`verso share list` shows what it holds; was everything that uses it compiled from the same headers?")           \
    X(VERSO_E_OWNER, -20028, "it belongs to another user",                                                             \
      "VERSO_SHARE_ANY_OWNER attaches all the same; do so only if that user is to be trusted")                         \
    X(VERSO_E_UNSEALED, -20029, "the memory could be cut under its users: it is not sealed against shrinking",         \
      "let verso_share_create_anonymous() make it")                                                                    \
    X(VERSO_E_OWNER_DIED, -20030,                                                                                      \
      "the lock is yours, but an owner before you died: what it guards may be half changed",                           \
      "put the data right, then say so by the lock's _consistent() call; unlock it as always")                         \
    X(VERSO_E_PEER_DIED, -20031, "who was at the other end died",                                                      \
      "all it had sent has been received; go on, or wait for another to take its place")                               \
    X(VERSO_E_OVERRUN, -20032, "the message was overwritten while it was read: this reader is too slow",               \
      "forget what was read of it; make the ring larger, or copy by verso_channel_read()")                             \
    X(VERSO_E_CORRUPT, -20033, "what stands in the shared memory is nothing that this library writes",                 \
      "a process that shares it has scribbled there: make a new one, and find out which")

enum verso_error_code {
#define VERSO_ERROR_ENUM(name, code, sentence, remedy) name = (code),
    VERSO_ERROR_TABLE(VERSO_ERROR_ENUM)
#undef VERSO_ERROR_ENUM
    VERSO_E_FIRST = -20001
};

/* The record of a thread's last failure. */
struct verso_error {
    int code;              /* what the call returned */
    int cause;             /* -errno beneath a VERSO_E_* code (EIO behind POISONED), else 0 */
    uint64_t offset_bytes; /* where in the file, or VERSO_OFFSET_NONE */
    const char *step;      /* what was being tried: "open", "mmap", "fallocate"; never NULL */
    const char *hint;      /* what to do about it; never NULL, may be "" */
    const char *path;      /* which file; never NULL, "" when there is none */
};

/**
 * verso_error_last() - the calling thread's record of its last failed call
 *
 * Before the first failure all its fields are 0 or "", but the offset, which is VERSO_OFFSET_NONE.
 *
 * Owns:    the library; valid until the thread's next failing verso call. Copy what you keep.
 * Errors:  none; never NULL.
 * Threads: each has its own record. Not for signal handlers.
 */
VERSO_API const struct verso_error *verso_error_last(void);

/**
 * verso_error_name() - the name of a code: "VERSO_E_RANGE", "ENOSPC", "OK" for 0
 * verso_error_text() - its sentence: "No space left on device"
 * @code: what a verso call returned
 *
 * Owns:    constant strings; do not free them. Unknown codes answer "UNKNOWN" and "unknown error".
 * Errors:  none; never NULL.
 * Threads: any.
 */
VERSO_API const char *verso_error_name(int code);
VERSO_API const char *verso_error_text(int code);

/**
 * verso_error_message() - the last record as one line for people
 * @out_text:   where to write; may be NULL when @text_bytes is 0
 * @text_bytes: its size; the line is cut there, always with a final NUL
 *
 * For example: `open: data.bin: No such file or directory (ENOENT); check the name, ...`. Bytes of the path that
 * are not printable UTF-8 come as \xNN, so the line stays one line whatever the file is called.
 *
 * Units:   returns the bytes the whole line needs without the NUL, as snprintf does.
 * Errors:  none.
 * Threads: writes about the calling thread's record.
 */
VERSO_API size_t verso_error_message(char *out_text, size_t text_bytes);

VERSO_END_DECLS

#endif
