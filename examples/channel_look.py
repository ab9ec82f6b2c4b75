#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""channel_look - what is in a channel, by its bytes alone: no library, and nobody in it notices.

    $ channel_look.py NAME|PATH

Prints how the channel was made, its statistics, and each message that lies in the ring and has not been received. The
layout is the one of docs/internals/channel.md, in a region as in shared-memory.md.

Nothing is locked, so all of it may change meanwhile. A record is believed only if the head, loaded after it was copied,
has not passed it: writers don't write there before.
"""
import mmap
import os
import struct
import sys

KINDS = {1: "SPSC", 2: "MPSC", 3: "MPMC", 4: "BROADCAST"}
FULL = {0: "waits", 1: "refuses", 2: "drops the newest", 3: "drops the oldest"}
NOTHING, RESERVED, COMMITTED, VOID, TAKEN, DONE = range(6)
DROP_OLDEST = 3
MPMC = 3
BROADCAST = 4
PLACES = 63
OLDEST = 152


class Channel:
    def __init__(self, path):
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        memory = mmap.mmap(file, 0, mmap.MAP_SHARED, mmap.PROT_READ)
        os.close(file)
        if len(memory) < 272 or struct.unpack_from("=QII", memory) != (0x4552414853535256, 0x01020304, 1):
            raise SystemExit("channel_look.py: that is no region of this machine's")
        version, = struct.unpack_from("=I", memory, 80)
        if memory[104:136].split(b"\0")[0] != b"verso channel" or version != 1:
            raise SystemExit("channel_look.py: that region holds no channel, or one of another version")
        self.memory = memory
        self.content, = struct.unpack_from("=Q", memory, 32)
        (self.kind, self.full, self.flags, self.header_bytes, self.capacity, self.writers_most, self.readers_most,
         self.clients_most, _, self.answers_capacity, self.ring, lanes, _) = struct.unpack_from(
             "=IIIIQIIIIQQQQ", memory, self.content + 8)
        self.lane = self.content + lanes
        if self.kind not in KINDS or self.capacity & (self.capacity - 1) or self.header_bytes not in (8, 16):
            raise SystemExit("channel_look.py: its plan is none")

    def number(self, offset):
        """One load of eight bytes: a view of them, not a copy byte by byte."""
        return memoryview(self.memory)[offset:offset + 8].cast("Q")[0]

    def of_lane(self, offset):
        return self.number(self.lane + offset)

    def in_ring(self, position, count):
        at = self.content + self.ring
        start = position % self.capacity
        first = self.memory[at + start:at + min(start + count, self.capacity)]
        return first + self.memory[at:at + count - len(first)]

    def head(self):
        """All before it is free, or may be written to at any time."""
        if self.kind == BROADCAST:
            return self.of_lane(OLDEST)
        if self.full == DROP_OLDEST or self.kind == MPMC:
            return self.of_lane(144)
        return self.of_lane(9088 + 128)

    def messages(self):
        """Those that lie in the ring from the head on, each as its number of the writer's place and its content."""
        position = self.head()
        while True:
            header = self.number(self.content + self.ring + position % self.capacity)
            state, place, length = header & 0xff, header >> 16 & 0xffff, header >> 32
            front = 8 if state == VOID else self.header_bytes
            if state not in (COMMITTED, VOID, TAKEN, DONE) or front + length > self.capacity - 8:
                return
            content = self.in_ring(position + front, length)
            head = self.head()
            if head > position:
                position = head
                continue
            if state == COMMITTED:
                yield place, content
            position += (front + length + 7) // 8 * 8

    def sum_of_writers(self, offset):
        return sum(self.of_lane(1024 + 128 * i + offset) for i in range(min(self.writers_most, PLACES)))

    def sum_of_readers(self, offset):
        return sum(self.of_lane(9088 + 256 * i + offset) for i in range(min(self.readers_most, PLACES)))


def main():
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    name = sys.argv[1]
    directory = os.environ.get("VERSO_SHARE_DIRECTORY") or f"/dev/shm/verso-{os.geteuid()}"
    channel = Channel(name if "/" in name else os.path.join(directory, name))
    print(f"{KINDS[channel.kind]}, ring of {channel.capacity} bytes, when full {FULL.get(channel.full, '?')}")
    print(f"sent {channel.sum_of_writers(16)} messages, {channel.sum_of_writers(24)} bytes")
    print(f"received {channel.sum_of_readers(144)} messages, {channel.sum_of_readers(152)} bytes")
    for place, content in channel.messages():
        print(f"writer {place}: {content[:60].decode(errors='replace')!r}")


if __name__ == "__main__":
    main()
