/* SPDX-License-Identifier: MIT */
/*
 * digest.h - checksums of the xxHash family, of all at once or piece by piece.
 *
 * They find accidents, fast; they do not withstand somebody who wants two contents with one checksum.
 */
#ifndef VERSO_DIGEST_H
#define VERSO_DIGEST_H

#include <verso/base.h>
#include <verso/error.h>

VERSO_BEGIN_DECLS

enum verso_digest_kind {
    VERSO_DIGEST_NONE = 0,
    VERSO_DIGEST_XXH3_64 = 1, /* the fastest; XXH3 in xxhsum's words */
    VERSO_DIGEST_XXH3_128 = 2,
    VERSO_DIGEST_XXH64 = 3,
    VERSO_DIGEST_XXH32 = 4,
};

#define VERSO_DIGEST_BYTES_MAX 16
#define VERSO_DIGEST_TEXT_BYTES (2 * VERSO_DIGEST_BYTES_MAX + 1)

/* A finished checksum, in the order in which it is written down: the highest byte first (xxHash's canonical form). */
struct verso_digest_value {
    unsigned kind;  /* enum verso_digest_kind */
    unsigned bytes; /* how many of the following count: 4, 8 or 16; 0 for NONE */
    unsigned char value[VERSO_DIGEST_BYTES_MAX];
};

/**
 * verso_digest_of() - the checksum of @bytes at @data
 *
 * Owns:    nothing. @out_value is filled in; untouched on error.
 * Errors:  VERSO_E_OPTIONS (no such kind, or NONE).
 * Threads: any.
 * Source:  XXH3 and XXH64 specifications, libxxhash; seed 0.
 */
VERSO_API VERSO_MUST_CHECK int verso_digest_of(enum verso_digest_kind kind, const void *data, size_t bytes,
                                               struct verso_digest_value *out_value);

/**
 * verso_digest_text() - a checksum in lower-case hexadecimal digits, as xxhsum prints it
 * @out_text: VERSO_DIGEST_TEXT_BYTES; always with a final NUL
 *
 * Errors:  none; returns @out_text. Threads: any.
 */
VERSO_API char *verso_digest_text(const struct verso_digest_value *value, char *out_text);

/** verso_digest_equal() - whether two checksums are of one kind and the same. 1 or 0. */
VERSO_API int verso_digest_equal(const struct verso_digest_value *a, const struct verso_digest_value *b);

struct verso_digest;

/**
 * verso_digest_open()   - begin a checksum that is fed piece by piece
 * verso_digest_close()  - let it go; takes NULL, cannot fail
 * verso_digest_update() - the next bytes
 * verso_digest_value()  - the checksum of what came so far; more may follow
 * verso_digest_reset()  - begin anew
 * verso_digest_copy()   - go on from where another of the same kind is: to try, and to come back
 *
 * Owns:    you own *out_digest until verso_digest_close().
 * Errors:  open: VERSO_E_OPTIONS (no such kind, or NONE), -ENOMEM. The others can't fail.
 * Threads: one at a time.
 */
VERSO_API VERSO_MUST_CHECK int verso_digest_open(enum verso_digest_kind kind, struct verso_digest **out_digest);
VERSO_API void verso_digest_close(struct verso_digest *digest);
VERSO_API void verso_digest_update(struct verso_digest *digest, const void *data, size_t bytes);
VERSO_API void verso_digest_value(const struct verso_digest *digest, struct verso_digest_value *out_value);
VERSO_API void verso_digest_reset(struct verso_digest *digest);
VERSO_API void verso_digest_copy(struct verso_digest *digest, const struct verso_digest *from);

VERSO_END_DECLS

#endif
