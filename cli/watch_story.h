/* SPDX-License-Identifier: MIT */
/* watch_story.h - one file page in words: where on the disk, how in the cache, in which frame, at which address. */
#ifndef VERSO_CLI_WATCH_STORY_H
#define VERSO_CLI_WATCH_STORY_H

#include "watch_model.h"

enum story_part {
    STORY_PAGE,
    STORY_DISK,
    STORY_CACHE,
    STORY_FRAME,
    STORY_VIRTUAL,
    STORY_PARTS
};

/* What a row as a whole says, besides the picture: "13,120 of 28,640 pages (45.8 %)". */
enum summary_row {
    SUMMARY_DISK,
    SUMMARY_CACHE,
    SUMMARY_FRAMES,
    SUMMARY_VIRTUAL,
    SUMMARY_ROWS
};

/* One line each; caller frees; never NULL. @process: the one whose address is told, NULL for the first that maps it. */
char *story_text(const struct watch_model *model, enum story_part part, uint64_t page,
                 const struct watch_process *process);
char *summary_text(const struct watch_model *model, enum summary_row row);
char *process_text(const struct watch_model *model, const struct watch_process *process);

/* Where a row's numbers come from: "cachestat". */
const char *summary_source(const struct watch_model *model, enum summary_row row);

#endif
