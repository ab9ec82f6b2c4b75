/* SPDX-License-Identifier: MIT */
/*
 * calls.h - every function of os.h, and how it can go wrong.
 *
 * The one list: fake.c makes a wrapper of each FAKE line, meson.build takes the linker's --wrap arguments from them,
 * and the test torture/calls holds the list against os.h, so that none is forgotten. One line a function, in os.h's
 * order:
 *
 *   FAKE(name, (errors), (parameters), (arguments))   errors: first the plainest, then those that callers answer in
 *                                                     another way, such as falling back
 *   FAKE_NOTED(...)                                   the same; and what it acquires goes into the ledger (fake.c)
 *   FAKE_BY_HAND(name)                                fake.c has its wrapper in full
 *   EXEMPT(name)                                      cannot fail, or what it says is an answer and not an error
 */
/* clang-format off */
EXEMPT(page_bytes)
EXEMPT(huge_page_bytes)
EXEMPT(address_space_bytes)
EXEMPT(clock_ns)

FAKE_NOTED(open, (EMFILE, EACCES), (const char *path, unsigned flags, unsigned mode, int *out_fd), (path, flags, mode, out_fd))
FAKE_BY_HAND(close)
FAKE(file_info, (EIO), (int fd, struct verso__os_file_info *out_info), (fd, out_info))
FAKE(path_info, (EACCES), (const char *path, bool follow, struct verso__os_file_info *out_info), (path, follow, out_info))
FAKE(open_mode, (EBADF), (int fd, unsigned *out_flags), (fd, out_flags))
FAKE_NOTED(duplicate, (EMFILE), (int fd, int *out_fd), (fd, out_fd))
FAKE_NOTED(reopen, (EMFILE, EACCES), (int fd, unsigned flags, int *out_fd), (fd, flags, out_fd))
EXEMPT(file_page_bytes)
FAKE(path_of, (ENOENT, ENAMETOOLONG), (int fd, char *out_path, size_t room_bytes), (fd, out_path, room_bytes))
FAKE_BY_HAND(read)
FAKE(wait_readable, (ENOMEM, EINTR), (int fd, int timeout_ms), (fd, timeout_ms))
FAKE(read_at, (EIO), (int fd, uint64_t offset, void *out_data, size_t bytes, size_t *out_done), (fd, offset, out_data, bytes, out_done))
FAKE_BY_HAND(write_at)
FAKE(remove, (EACCES, ENOENT), (const char *path), (path))
FAKE(truncate, (EIO, EFBIG), (int fd, uint64_t bytes), (fd, bytes))
FAKE(allocate, (ENOSPC, EOPNOTSUPP), (int fd, uint64_t offset, uint64_t bytes), (fd, offset, bytes))
FAKE(punch, (EOPNOTSUPP, EIO), (int fd, uint64_t offset, uint64_t bytes), (fd, offset, bytes))
FAKE(next_hole, (EIO, EINVAL), (int fd, uint64_t offset, uint64_t *out_offset), (fd, offset, out_offset))
FAKE(next_data, (EIO, ENXIO), (int fd, uint64_t offset, uint64_t *out_offset), (fd, offset, out_offset))
FAKE(sync_start, (EIO, EINVAL), (int fd, uint64_t offset, uint64_t bytes), (fd, offset, bytes))
FAKE(write_back, (EIO, ENOSPC), (int fd, uint64_t offset, uint64_t bytes), (fd, offset, bytes))
FAKE(sync_data, (EIO, ENOSPC), (int fd), (fd))
FAKE(sync_full, (EIO), (int fd), (fd))
FAKE(sync_file_system, (EIO), (int fd), (fd))
FAKE(cache_drop, (EINVAL), (int fd, uint64_t offset, uint64_t bytes), (fd, offset, bytes))
FAKE(clone_file, (EOPNOTSUPP, ENOSPC), (int source_fd, int target_fd), (source_fd, target_fd))
FAKE_BY_HAND(copy_range)
FAKE(lease_take, (EAGAIN, EACCES), (int fd), (fd))
FAKE(lease_state, (ENOLCK, EAGAIN), (int fd), (fd))
EXEMPT(lease_drop)
FAKE_NOTED(memory_file, (EMFILE, ENOMEM), (const char *name, unsigned flags, int *out_fd), (name, flags, out_fd))
FAKE(seals_add, (EBUSY, EPERM), (int fd, unsigned seals), (fd, seals))
FAKE(seals_get, (EINVAL), (int fd, unsigned *out_seals), (fd, out_seals))

FAKE_NOTED(map, (ENOMEM, ENODEV, EACCES), (void *wanted, size_t bytes, unsigned access, unsigned flags, int fd, uint64_t offset, void **out_address), (wanted, bytes, access, flags, fd, offset, out_address))
FAKE_NOTED(reserve, (ENOMEM), (size_t bytes, size_t align_bytes, void **out_address), (bytes, align_bytes, out_address))
FAKE_BY_HAND(unmap)
FAKE_NOTED(protect, (ENOMEM, EACCES), (void *address, size_t bytes, unsigned access), (address, bytes, access))
FAKE_BY_HAND(remap)
FAKE_BY_HAND(move)
FAKE_NOTED(advise, (EINVAL, EAGAIN), (void *address, size_t bytes, enum verso__os_advice advice), (address, bytes, advice))
FAKE_NOTED(populate, (EFAULT, EINVAL, ENOMEM), (void *address, size_t bytes, bool for_writing), (address, bytes, for_writing))
FAKE_NOTED(lock, (ENOMEM, EAGAIN), (void *address, size_t bytes, bool on_fault), (address, bytes, on_fault))
FAKE_NOTED(unlock, (ENOMEM), (void *address, size_t bytes), (address, bytes))
FAKE_NOTED(seal_mapping, (ENOSYS, ENOMEM), (void *address, size_t bytes), (address, bytes))
FAKE_NOTED(prefer_nodes, (EINVAL, ENOSYS), (void *address, size_t bytes, uint64_t nodes), (address, bytes, nodes))
FAKE_NOTED(name, (EINVAL), (void *address, size_t bytes, const char *name), (address, bytes, name))
FAKE_NOTED(sync_mapping, (EIO, ENOMEM), (void *address, size_t bytes), (address, bytes))
EXEMPT(code_flush)
FAKE(code_barrier_announce, (EINVAL, ENOSYS), (void), ())
FAKE(code_barrier, (ENOMEM), (void), ())

FAKE(futex_wait, (EPERM), (const _Atomic uint32_t *word, uint32_t expected, uint64_t deadline_ns, unsigned flags), (word, expected, deadline_ns, flags))
EXEMPT(futex_wake)
FAKE(barrier_announce, (ENOSYS), (void), ())
FAKE(barrier, (EPERM), (void), ())

FAKE(cache_counts, (ENOSYS, EPERM), (int fd, uint64_t offset, uint64_t bytes, struct verso__os_cache_counts *out_counts), (fd, offset, bytes, out_counts))
FAKE(resident, (ENOMEM), (void *address, size_t bytes, unsigned char *out_pages), (address, bytes, out_pages))
EXEMPT(residency_is_honest)

EXEMPT(fault_leave)
FAKE(fault_install, (EINVAL), (enum verso__os_fault_signal signal, enum verso__os_fault_rank rank, verso__os_fault_function *function), (signal, rank, function))
FAKE_BY_HAND(fault_remove)
EXEMPT(fault_is_wanted)
EXEMPT(fault_is_installed)
FAKE_NOTED(zero_over, (ENOMEM), (void *address, size_t bytes, unsigned access), (address, bytes, access))
FAKE_BY_HAND(file_bytes_now)

FAKE(mappings, (EACCES, ESRCH), (pid_t pid, int (*each)(const struct verso__os_mapping *mapping, void *arg), void *arg), (pid, each, arg))
FAKE(mapping_at, (EACCES, ENOENT), (pid_t pid, uint64_t address, struct verso__os_mapping *out_mapping, char *out_name, size_t room_bytes), (pid, address, out_mapping, out_name, room_bytes))
FAKE(mappings_memory, (EACCES, ESRCH), (pid_t pid, int (*each)(const struct verso__os_mapping *mapping, const struct verso__os_mapping_memory *memory, void *arg), void *arg), (pid, each, arg))
FAKE(pagemap, (EIO), (int pagemap_fd, uint64_t address, size_t count, uint64_t *out_entries), (pagemap_fd, address, count, out_entries))
FAKE(pagemap_open, (EACCES), (pid_t pid, int *out_fd), (pid, out_fd))
FAKE(page_scan, (ENOTTY, ENOMEM), (int pagemap_fd, uint64_t start, uint64_t end, uint64_t wanted, struct verso__os_page_run *out_runs, size_t room, size_t *out_count, uint64_t *out_walked), (pagemap_fd, start, end, wanted, out_runs, room, out_count, out_walked))
FAKE(frame_flags, (EPERM), (uint64_t frame, size_t count, uint64_t *out_flags), (frame, count, out_flags))
FAKE(frame_counts, (EPERM), (uint64_t frame, size_t count, uint64_t *out_counts), (frame, count, out_counts))
FAKE(extents, (EOPNOTSUPP, EIO), (int fd, uint64_t offset, struct verso__os_extent *out_extents, size_t room, size_t *out_count), (fd, offset, out_extents, room, out_count))
EXEMPT(process_id)
EXEMPT(thread_id)
FAKE(processes, (EMFILE), (int (*each)(pid_t pid, void *arg), void *arg), (each, arg))
FAKE(process_info, (ESRCH), (pid_t pid, struct verso__os_process_info *out_info), (pid, out_info))

FAKE(probe, (ENOSYS), (const char *feature, const char **out_note), (feature, out_note))
FAKE(setting, (ENOENT), (const char *path, uint64_t *out_value, char *out_word, size_t room_bytes), (path, out_value, out_word, room_bytes))
FAKE(memory_totals, (EFAULT), (uint64_t *out_memory_bytes, uint64_t *out_swap_bytes), (out_memory_bytes, out_swap_bytes))
FAKE(limit, (EINVAL), (const char *name, uint64_t *out_soft, uint64_t *out_hard), (name, out_soft, out_hard))
