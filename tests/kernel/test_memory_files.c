/* SPDX-License-Identifier: MIT */
/* memory files - seals: what they forbid, and to whom. */
#include "kernel_facts.h"

#ifndef F_SEAL_EXEC
#define F_SEAL_EXEC 0x0020
#endif

static int memory_file(unsigned flags)
{
    int fd = memfd_create("fact", MFD_CLOEXEC | flags);

    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, (off_t)page_bytes()), 0);
    return fd;
}

/* map/stability.c seals its copy only after it has let go of the writable mapping. */
static void test_write_seal_waits_for_writable_maps(void **state)
{
    int fd = memory_file(MFD_ALLOW_SEALING);
    unsigned char *data = mapped_shared(fd, 1), *reading;

    (void)state;
    assert_int_equal(error_of(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE)), EBUSY);
    data[0] = 'x';
    assert_int_equal(munmap(data, page_bytes()), 0);
    reading = mapped(fd, page_bytes(), PROT_READ, MAP_PRIVATE);
    assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), 0);
    assert_int_equal(reading[0], 'x');
    assert_int_equal(error_of(pwrite(fd, "y", 1, 0)), EPERM);
    assert_int_equal(mmap_error(NULL, page_bytes(), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), EPERM);
    assert_int_equal(mmap_error(NULL, page_bytes(), PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0), 0);
    assert_int_equal(munmap(reading, page_bytes()), 0);
    assert_int_equal(close(fd), 0);
}

/* A shared read-only mapping of a descriptor that can write could be made writable: older kernels count it. */
static void test_shared_reading_map_and_the_write_seal(void **state)
{
    int fd = memory_file(MFD_ALLOW_SEALING), error;
    unsigned char *data = mapped(fd, page_bytes(), PROT_READ, MAP_SHARED);

    (void)state;
    error = error_of(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE));
    assert_true(error == EBUSY || error == 0);
    if (error == 0) /* then neither may become writable */
        assert_int_equal(error_of(mprotect(data, page_bytes(), PROT_READ | PROT_WRITE)), EACCES);
    print_message("# a shared read-only map %s the write seal\n", error ? "hinders" : "does not hinder");
    assert_int_equal(munmap(data, page_bytes()), 0);
    assert_int_equal(close(fd), 0);
}

static void test_future_write_seal_leaves_the_map_that_is_there(void **state)
{
    int fd = memory_file(MFD_ALLOW_SEALING);
    unsigned char *data = mapped_shared(fd, 1);

    (void)state;
    if (fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE) < 0)
        skip_because("this kernel has no F_SEAL_FUTURE_WRITE");
    data[0] = 'x';
    assert_int_equal(error_of(pwrite(fd, "y", 1, 0)), EPERM);
    assert_int_equal(mmap_error(NULL, page_bytes(), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), EPERM);
    assert_int_equal(munmap(data, page_bytes()), 0);
    assert_int_equal(close(fd), 0);
}

static void test_size_seals(void **state)
{
    int fd = memory_file(MFD_ALLOW_SEALING);
    off_t bytes = (off_t)page_bytes();

    (void)state;
    assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK), 0);
    assert_int_equal(error_of(ftruncate(fd, bytes - 1)), EPERM);
    assert_int_equal(ftruncate(fd, 2 * bytes), 0);
    assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW), 0);
    assert_int_equal(error_of(ftruncate(fd, 3 * bytes)), EPERM);
    assert_int_equal(error_of(pwrite(fd, "x", 1, 2 * bytes)), EPERM);
    assert_int_equal(error_of(fallocate(fd, 0, 0, 3 * bytes)), EPERM);
    assert_int_equal(pwrite(fd, "x", 1, 0), 1);
    assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL), 0);
    assert_int_equal(error_of(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE)), EPERM);
    assert_int_equal(close(fd), 0);
}

static void test_files_without_seals(void **state)
{
    int fd = memory_file(0), other = file_of_pages("f", 1);

    (void)state;
    assert_int_equal(fcntl(fd, F_GET_SEALS) & F_SEAL_SEAL, F_SEAL_SEAL); /* sealed against seals from the start */
    assert_int_equal(error_of(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK)), EPERM);
    if (fcntl(other, F_GET_SEALS) < 0)
        assert_int_equal(errno, EINVAL); /* a file of tmpfs has seals, others have none */
    assert_int_equal(close(fd) + close(other), 0);
}

static void test_noexec_seal_keeps_the_execute_bits_off(void **state)
{
    struct stat status;
    int fd = memfd_create("fact", MFD_CLOEXEC | MFD_NOEXEC_SEAL);

    (void)state;
    if (fd < 0)
        skip_because("this kernel has no MFD_NOEXEC_SEAL");
    assert_int_equal(fstat(fd, &status), 0);
    assert_int_equal(status.st_mode & 0111, 0);
    assert_int_equal(fcntl(fd, F_GET_SEALS), F_SEAL_EXEC); /* and F_SEAL_SEAL is not there: it allows seals */
    assert_int_equal(error_of(fchmod(fd, 0700)), EPERM);
    assert_int_equal(fchmod(fd, 0600), 0); /* what verso__os_memory_file() does next */
    assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), 0);
    assert_int_equal(close(fd), 0);
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_write_seal_waits_for_writable_maps),
        cmocka_unit_test(test_shared_reading_map_and_the_write_seal),
        cmocka_unit_test(test_future_write_seal_leaves_the_map_that_is_there),
        cmocka_unit_test(test_size_seals),
        cmocka_unit_test(test_files_without_seals),
        cmocka_unit_test(test_noexec_seal_keeps_the_execute_bits_off),
    };

    return run_test_list(list);
}
