/* SPDX-License-Identifier: MIT */
/*
 * table.h - every kernel feature verso knows of: X(name, since, what verso uses it for, what verso does without it).
 *
 * In the order of the manual. os/linux/probe.c knows by the name how to try each one.
 */
#ifndef VERSO_SRC_FEATURES_TABLE_H
#define VERSO_SRC_FEATURES_TABLE_H

#define FEATURE_TABLE(X)                                                                                       \
    X("MAP_FIXED_NOREPLACE", "Linux 4.17", "placing a map at an address without destroying what stands there", \
      "asks for the address as a hint and gives the map back when it lands elsewhere")                         \
    X("cachestat", "Linux 6.5", "cached, dirty, writeback and evicted pages of a file, without mapping it",    \
      "maps the file and asks mincore, which knows of cached pages only")

#endif
