/* SPDX-License-Identifier: MIT */
/*
 * dump - names of blocks for perf: a jitdump.
 *
 * perf finds the file by a mapping of it that may be executed, the only kind it is told of. What is mapped for that is
 * a page far behind the file's end, so that nothing which can be written to the file could ever be run.
 */
#include "code/code.h"

#include "os/os.h"

#include <elf.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAGIC 0x4a695444U
#define VERSION 1
#define CODE_LOAD 0
#define MARKER_OFFSET ((uint64_t)1 << 40)

#if defined(__x86_64__)
#define MACHINE EM_X86_64
#elif defined(__i386__)
#define MACHINE EM_386
#elif defined(__aarch64__)
#define MACHINE EM_AARCH64
#elif defined(__arm__)
#define MACHINE EM_ARM
#elif defined(__riscv)
#define MACHINE EM_RISCV
#elif defined(__powerpc64__)
#define MACHINE EM_PPC64
#elif defined(__s390x__)
#define MACHINE EM_S390
#else
#define MACHINE EM_NONE
#endif

struct header {
    uint32_t magic;
    uint32_t version;
    uint32_t header_bytes;
    uint32_t machine;
    uint32_t padding;
    uint32_t process;
    uint64_t time_ns;
    uint64_t flags;
};

/* Followed by the name with its NUL, and the code. */
struct load {
    uint32_t id;
    uint32_t record_bytes;
    uint64_t time_ns;
    uint32_t process;
    uint32_t thread;
    uint64_t address;
    uint64_t code_address;
    uint64_t code_bytes;
    uint64_t index;
};

struct dump {
    int fd;
    void *marker;
    uint64_t bytes; /* written so far */
    uint64_t index;
};

static int write_header(struct dump *dump)
{
    const struct header header = {
        .magic = MAGIC,
        .version = VERSION,
        .header_bytes = sizeof(header),
        .machine = MACHINE,
        .process = (uint32_t)verso__os_process_id(),
        .time_ns = verso__os_clock_ns(),
    };
    size_t done;
    int r = verso__os_write_at(dump->fd, 0, &header, sizeof(header), &done);

    dump->bytes = sizeof(header);
    return r;
}

static int dump_make(struct dump *dump, const char *directory, const char **out_step)
{
    char path[PATH_MAX];
    int r, length = snprintf(path, sizeof(path), "%s/jit-%d.dump", directory, (int)verso__os_process_id());

    *out_step = "open";
    if (length < 0 || (size_t)length >= sizeof(path))
        return -ENAMETOOLONG;
    r = verso__os_open(path,
                       VERSO__OS_OPEN_READ | VERSO__OS_OPEN_WRITE | VERSO__OS_OPEN_CREATE | VERSO__OS_OPEN_EXCLUSIVE |
                           VERSO__OS_OPEN_NOFOLLOW,
                       0600, &dump->fd);
    if (r < 0)
        return r;
    *out_step = "write";
    r = write_header(dump);
    if (r == 0) {
        *out_step = "mmap";
        r = verso__os_map(NULL, verso__os_page_bytes(), VERSO__OS_ACCESS_READ | VERSO__OS_ACCESS_EXEC, 0, dump->fd,
                          MARKER_OFFSET, &dump->marker);
    }
    if (r < 0)
        (void)verso__os_remove(path);
    return r;
}

int verso__code_dump_open(const char *directory, struct dump **out_dump, const char **out_step)
{
    struct dump *dump = calloc(1, sizeof(*dump));
    int r;

    *out_step = "malloc";
    if (!dump)
        return -ENOMEM;
    dump->fd = -1;
    r = dump_make(dump, directory, out_step);
    if (r < 0) {
        verso__code_dump_close(dump);
        return r;
    }
    *out_dump = dump;
    return 0;
}

void verso__code_dump_close(struct dump *dump)
{
    if (!dump)
        return;
    if (dump->marker)
        (void)verso__os_unmap(dump->marker, verso__os_page_bytes());
    if (dump->fd >= 0)
        verso__os_close(dump->fd);
    free(dump);
}

/* One record, written in one go: what is cut short is written over by the next. */
int verso__code_dump_write(struct dump *dump, const void *code, size_t bytes, const char *name)
{
    size_t name_bytes = strlen(name) + 1, done;
    struct load load = {
        .id = CODE_LOAD,
        .time_ns = verso__os_clock_ns(),
        .process = (uint32_t)verso__os_process_id(),
        .thread = (uint32_t)verso__os_thread_id(),
        .address = (uintptr_t)code,
        .code_address = (uintptr_t)code,
        .code_bytes = bytes,
        .index = dump->index,
    };
    unsigned char *record;
    int r;

    if (bytes > UINT32_MAX / 2 || name_bytes > UINT32_MAX / 4)
        return -EFBIG;
    load.record_bytes = (uint32_t)(sizeof(load) + name_bytes + bytes);
    record = malloc(load.record_bytes);
    if (!record)
        return -ENOMEM;
    memcpy(record, &load, sizeof(load));
    memcpy(record + sizeof(load), name, name_bytes);
    memcpy(record + sizeof(load) + name_bytes, code, bytes);
    r = verso__os_write_at(dump->fd, dump->bytes, record, load.record_bytes, &done);
    if (r == 0) {
        dump->bytes += load.record_bytes;
        dump->index++;
    }
    free(record);
    return r;
}
