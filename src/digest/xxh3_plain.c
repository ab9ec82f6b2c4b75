/* SPDX-License-Identifier: MIT */
/* xxh3_plain - XXH3 by what every processor of this kind has: SSE2, NEON, or plain C. */
#include "digest/xxh3_loops.h"

const struct verso__xxh3 verso__xxh3_plain = XXH3_TABLE;
