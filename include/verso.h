/* SPDX-License-Identifier: MIT */
/* verso.h - everything. One header per subject; read the one you need. */
#ifndef VERSO_H
#define VERSO_H

#include <verso/arena.h>    /* blocks in a row, taken back all at once */
#include <verso/base.h>     /* version, page size */
#include <verso/cache.h>    /* files into the page cache, and out of it */
#include <verso/channel.h>  /* messages between processes, whoever of them dies */
#include <verso/clone.h>    /* memory shared until written; which pages were written */
#include <verso/code.h>     /* memory for machine code: W^X */
#include <verso/copy.h>     /* a file from here to there */
#include <verso/digest.h>   /* checksums */
#include <verso/error.h>    /* what went wrong, and what to do about it */
#include <verso/features.h> /* what this machine can do */
#include <verso/guard.h>    /* faults in maps, without dying */
#include <verso/inspect.h>  /* seeing address spaces, pages, frames, caches, extents */
#include <verso/lock.h>     /* locks in shared memory that outlive their owners */
#include <verso/map.h>      /* a range of a file as memory */
#include <verso/pack.h>     /* thousands of files at once */
#include <verso/pages.h>    /* memory from nothing, and guards */
#include <verso/ring.h>     /* a byte ring between two threads */
#include <verso/scan.h>     /* one pass through a file, for all there is to know */
#include <verso/share.h>    /* memory that processes share, and that survives them */
#include <verso/slab.h>     /* objects of one size */
#include <verso/window.h>   /* files larger than memory */

#endif
