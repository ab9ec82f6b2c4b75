/* SPDX-License-Identifier: MIT */
/*
 * table.h - every kernel feature verso knows of: X(name, since, what it is for, what verso does without it); N the same
 * for what some of verso does not work without.
 *
 * In the order of the manual: maps, advice, files, faults, seeing, lives. os/linux/probe_*.c knows by the name how to
 * try each one.
 */
#ifndef VERSO_SRC_FEATURES_TABLE_H
#define VERSO_SRC_FEATURES_TABLE_H

/* clang-format off */
#define FEATURE_TABLE(X, N) \
    N("MAP_SHARED", "Linux 2.0", \
      "files as memory that all their users share", \
      "reads a file of such a file system into private memory; stores to it are refused") \
    X("MAP_SHARED_VALIDATE", "Linux 4.15", \
      "maps whose unknown flags are refused instead of ignored", \
      "opens no map as VERSO_MAP_DURABLE") \
    X("MAP_SYNC", "Linux 4.15", \
      "maps of persistent memory (DAX) whose stores are durable without a system call", \
      "refuses VERSO_MAP_DURABLE; verso_map_sync() makes stores durable") \
    X("MAP_FIXED_NOREPLACE", "Linux 4.17", \
      "placing a map at an address without destroying what stands there", \
      "asks for the address as a hint, and gives the map back when it lands elsewhere") \
    X("MAP_DROPPABLE", "Linux 6.11", \
      "memory that the kernel may drop under pressure and never swaps", \
      "spans of kind VERSO_PAGES_DROPPABLE answer VERSO_E_UNSUPPORTED") \
    X("MAP_HUGETLB", "Linux 2.6.32", \
      "huge pages from the reserved pool", \
      "takes transparent huge pages, else base pages; verso_map_info() and verso_pages_info() say which") \
    X("MREMAP_DONTUNMAP", "Linux 5.7", \
      "moving pages away and leaving an empty map behind", \
      "nothing: no part of verso asks for it") \
    X("mremap of several", "Linux 6.17", \
      "moving a span that consists of several mappings in one call", \
      "verso_pages_resize() moves only spans whose content is one mapping") \
    X("mseal", "Linux 6.10", \
      "maps that nobody may unmap, move or re-protect", \
      "verso_map_seal(), verso_pages_seal() and verso_code_open() with SEAL answer VERSO_E_UNSUPPORTED") \
    X("membarrier", "Linux 4.14", \
      "memory barriers in every thread, paid for by the one that asks", \
      "each commit to a ring has a barrier of its own, some ns; verso_ring_info() says \"fence\"") \
    X("membarrier for code", "Linux 4.16", \
      "making every thread's CPU forget what it had fetched of code that changed", \
      "uses freed memory for code at once, and says so: verso_code_info()") \
    X("PR_SET_VMA_ANON_NAME", "Linux 5.17", \
      "names for memory without a file, in /proc/PID/maps", \
      "such memory has no name in /proc/PID/maps; `verso maps` shows it as anonymous") \
    X("PR_SET_MDWE", "Linux 6.3", \
      "a process giving up, for good, the right to make memory executable that was writable", \
      "nothing: no part of verso asks for it; code with two views works under it, toggled code does not") \
    X("executable memory", "Linux 2.0", \
      "code in one view that is toggled (VERSO_CODE_TOGGLE)", \
      "verso_code_open() with TOGGLE answers VERSO_E_EXEC") \
    X("executable memfd", "Linux 3.17", \
      "code with a view for writing and one for running (VERSO_CODE_DUAL)", \
      "code gets one view that is toggled; verso_code_info() says so") \
    N("memfd seals", "Linux 3.17", \
      "copies of files that nobody can change (VERSO_MAP_COPY); memory to clone; rings; code with two views", \
      "VERSO_MAP_COPY and verso_clone_base_make() answer VERSO_E_UNSUPPORTED, verso_ring_open() the error") \
    X("F_SEAL_FUTURE_WRITE", "Linux 5.1", \
      "shared memory that only its maker may write (verso_clone_base_freeze); code with a view for writing and one for running", \
      "VERSO_CLONE_FROZEN_FOR_OTHERS answers VERSO_E_UNSUPPORTED; code gets one view that is toggled; verso_code_info() says so") \
    X("MFD_NOEXEC_SEAL", "Linux 6.3", \
      "files of memory that can never be made executable", \
      "makes them without that promise") \
    X("MFD_HUGETLB", "Linux 4.14", \
      "files of memory made of huge pages", \
      "copies in memory get base pages; rings and shared spans transparent huge pages where they can be had") \
    X("memfd_secret", "Linux 5.14", \
      "memory that the kernel itself does not map", \
      "spans of kind VERSO_PAGES_SECRET answer VERSO_E_UNSUPPORTED") \
    X("MADV_FREE", "Linux 4.5", \
      "giving memory back lazily", \
      "VERSO_MAP_ADVICE_FREE answers EINVAL, spans discard; DONTNEED gives memory back at once") \
    X("MADV_COLD", "Linux 5.4", \
      "marking pages as the first to be reclaimed", \
      "VERSO_MAP_ADVICE_COLD and VERSO_PAGES_ADVICE_COLD answer EINVAL") \
    X("MADV_PAGEOUT", "Linux 5.4", \
      "writing back and reclaiming a range now", \
      "VERSO_MAP_ADVICE_PAGEOUT and VERSO_PAGES_ADVICE_PAGEOUT answer EINVAL") \
    X("MADV_POPULATE_READ", "Linux 5.14", \
      "bringing pages in with an error code instead of a signal", \
      "touches the pages under guard") \
    X("MADV_POPULATE_WRITE", "Linux 5.14", \
      "the same for writing", \
      "touches the pages, those of files under guard") \
    X("MADV_GUARD_INSTALL", "Linux 6.13", \
      "guard pages that cost no mapping of their own", \
      "makes guards of spans by mprotect, each two mappings; verso_pages_info() counts them") \
    X("MADV_GUARD_INSTALL, files", "Linux 6.15", \
      "the same in maps of files", \
      "the same for spans of kind VERSO_PAGES_SHARED") \
    X("MADV_WIPEONFORK", "Linux 4.14", \
      "memory that a child of fork() finds empty", \
      "spans with VERSO_PAGES_WIPE_ON_FORK answer EINVAL") \
    X("MADV_MERGEABLE", "Linux 2.6.32", \
      "equal pages becoming one (KSM)", \
      "VERSO_PAGES_ADVICE_MERGE answers EINVAL") \
    X("mbind", "Linux 2.6.7", \
      "memory from the NUMA nodes that were asked for", \
      "takes it from wherever the kernel likes; verso_pages_info() says so") \
    X("MADV_HUGEPAGE", "Linux 2.6.38", \
      "transparent huge pages where they were asked for", \
      "uses base pages; verso_map_info() and verso_pages_info() say so") \
    X("MADV_COLLAPSE", "Linux 6.1", \
      "making huge pages now instead of when the kernel comes by", \
      "VERSO_MAP_ADVICE_COLLAPSE and VERSO_PAGES_ADVICE_COLLAPSE answer EINVAL; khugepaged comes by") \
    X("MADV_COLLAPSE, files", "Linux 6.1", \
      "the same in maps of files", \
      "maps of files get the folios that their file system has cached") \
    X("mTHP", "Linux 6.8", \
      "anonymous pages of sizes between base and huge", \
      "nothing: it is the kernel's choice, where its settings allow it") \
    X("PR_THP_DISABLE_EXCEPT_ADVISED", "Linux 6.18", \
      "huge pages in this process only where they were asked for", \
      "nothing: no part of verso asks for it") \
    X("MLOCK_ONFAULT", "Linux 4.4", \
      "locking pages as they are first used", \
      "verso_map_lock() answers ENOSYS") \
    X("process_madvise", "Linux 5.10", \
      "advice for many ranges in one call", \
      "nothing: no part of verso asks for it") \
    X("process_madvise, any advice", "Linux 6.13", \
      "the same with advice that drops pages", \
      "nothing: no part of verso asks for it") \
    X("fallocate", "Linux 2.6.23", \
      "disk space before stores need it, so that a full disk is an error and not a fault", \
      "faults holes in for writing, which takes the space just as well") \
    X("FALLOC_FL_PUNCH_HOLE", "Linux 2.6.38", \
      "giving back disk space inside a file: holes in what is copied over", \
      "verso_copy_file() writes zeros where the source has a hole") \
    X("SEEK_HOLE", "Linux 3.1", \
      "finding holes without reading", \
      "asks for space under the whole range, holes or not") \
    X("sync_file_range", "Linux 2.6.17", \
      "starting write-back without waiting (VERSO_MAP_SYNC_START)", \
      "VERSO_MAP_SYNC_START and verso_cache_drop() with WRITE_BACK answer its error; the data level still works") \
    X("O_TMPFILE", "Linux 3.11", \
      "files without a name: snapshots, and copies and shared regions until they are whole", \
      "VERSO_MAP_SNAPSHOT takes the copy in memory; the others have a name of their own meanwhile") \
    X("FICLONE", "Linux 4.5", \
      "instant snapshots and copies that share their blocks", \
      "VERSO_MAP_SNAPSHOT takes the copy in memory; verso_copy_file() copies the bytes") \
    X("copy_file_range", "Linux 4.5", \
      "copying without the data passing through the program", \
      "verso_copy_file() maps, or reads and writes") \
    X("F_SETLEASE", "Linux 2.4", \
      "making writers wait while a file is read (VERSO_MAP_LEASED)", \
      "no lease: VERSO_MAP_LEASED takes a snapshot or a copy") \
    X("FIEMAP", "Linux 2.6.28", \
      "where a file lies on its disk", \
      "shows no extents, and says why") \
    X("cachestat", "Linux 6.5", \
      "cached, dirty, writeback and evicted pages of a file, without mapping it", \
      "maps the file and asks mincore, which knows of cached pages only") \
    X("large folios", "Linux 5.18", \
      "fewer faults: the file system caches runs of pages as one", \
      "more faults: one for every 16 pages") \
    X("RWF_DONTCACHE", "Linux 6.14", \
      "reading and writing that leaves nothing in the cache", \
      "nothing: no part of verso asks for it") \
    X("RWF_ATOMIC", "Linux 6.11", \
      "writes that a power cut can't tear", \
      "nothing: no part of verso asks for it") \
    X("userfaultfd", "Linux 4.3", \
      "serving and injecting faults in user space", \
      "as without its asynchronous write-protect; tests that inject faults by it are skipped") \
    X("userfaultfd write-protect", "Linux 5.7", \
      "knowing which pages are written, one fault each", \
      "nothing: no part of verso asks for it") \
    X("userfaultfd minor", "Linux 5.13", \
      "faults on shared memory that is in the cache already", \
      "nothing: no part of verso asks for it") \
    X("userfaultfd poison", "Linux 6.6", \
      "pages that answer as broken memory would", \
      "nothing: tests of broken memory are skipped") \
    X("userfaultfd async write-protect", "Linux 6.7", \
      "knowing which pages were written, without faults (verso_clone_track_begin)", \
      "makes pages read-only and notes the first store to each by SIGSEGV") \
    X("userfaultfd move", "Linux 6.8", \
      "moving pages into place without copying", \
      "nothing: no part of verso asks for it") \
    N("/proc/PID/smaps", "Linux 2.6.14", \
      "the memory of each mapping", \
      "knows of mappings and not of their memory; /proc may not be mounted") \
    X("PROCMAP_QUERY", "Linux 6.11", \
      "the mapping at an address, by a binary call", \
      "reads /proc/PID/maps up to it") \
    X("PAGEMAP_SCAN", "Linux 6.7", \
      "runs of pages in the same state", \
      "reads /proc/PID/pagemap entry by entry; counts no guards; notes stores by SIGSEGV") \
    X("PAGEMAP_SCAN, guards", "Linux 6.15", \
      "finding guard pages, which are no mappings", \
      "`verso maps` and verso_inspect_guards() say that guards are not known") \
    X("/proc/PID/pagemap frames", "Linux 2.6.25", \
      "which frame holds a page", \
      "shows pages without their frame numbers; needs CAP_SYS_ADMIN") \
    X("/proc/kpageflags", "Linux 2.6.25", \
      "what the kernel thinks of a frame", \
      "shows frames without their flags; needs root") \
    X("/proc/kpagecount", "Linux 2.6.25", \
      "how often a frame is mapped", \
      "shows frames without their users; needs root") \
    X("perf page faults", "Linux 2.6.32", \
      "each page fault with its address", \
      "nothing: faults are counted, not listed; see kernel.perf_event_paranoid") \
    X("filemap tracepoints", "Linux 3.10", \
      "pages as they enter and leave the cache", \
      "nothing: `verso watch` looks again and again") \
    N("F_OFD_SETLK", "Linux 3.15", \
      "knowing which processes have shared memory attached", \
      "no verso_share_create(), no verso_share_attach()") \
    X("life words", "Linux 2.6.17", \
      "the kernel marking a word in shared memory when a thread ends (a robust mutex across two pages)", \
      "looks every 10 ms whether who is waited for still lives") \
    X("futex_waitv", "Linux 5.16", \
      "sleeping at a word and at the lives of those who should change it", \
      "looks every 10 ms whether who is waited for still lives")
/* clang-format on */

#endif
