#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""share_attach - become a member of a region without the library, by the bytes alone.

    $ share_attach.py NAME|PATH [TEXT]

Prints what the region is and how its content begins; with TEXT, writes it there first. The layout is the one of
docs/internals/shared-memory.md. Python's only part in it that is not in the language itself is the lock, by fcntl.
"""
import ctypes
import fcntl
import mmap
import os
import struct
import sys
import time

GATE = 1 << 62
MEMBERS = GATE + (1 << 20)
F_OFD_SETLK = 37


class Header(ctypes.Structure):
    _fields_ = [
        ("magic", ctypes.c_uint64), ("order", ctypes.c_uint32), ("format", ctypes.c_uint32),
        ("checksum", ctypes.c_uint64), ("file_bytes", ctypes.c_uint64), ("content_offset", ctypes.c_uint64),
        ("most_bytes", ctypes.c_uint64), ("members_offset", ctypes.c_uint64), ("seats_offset", ctypes.c_uint64),
        ("page_bytes", ctypes.c_uint32), ("member_count", ctypes.c_uint32), ("seat_count", ctypes.c_uint32),
        ("flags", ctypes.c_uint32), ("version", ctypes.c_uint32), ("creator", ctypes.c_uint32),
        ("layout", ctypes.c_uint64), ("created_ns", ctypes.c_int64), ("kind", ctypes.c_char * 32),
        ("reserved", ctypes.c_char * 120), ("bytes", ctypes.c_uint64), ("seats_made", ctypes.c_uint32),
        ("padding", ctypes.c_uint32),
    ]


class Member(ctypes.Structure):
    _fields_ = [
        ("process", ctypes.c_uint32), ("user", ctypes.c_uint32), ("start_ticks", ctypes.c_uint64),
        ("namespace", ctypes.c_uint64), ("attached_ns", ctypes.c_int64), ("generation", ctypes.c_uint32),
        ("padding", ctypes.c_uint32), ("name", ctypes.c_char * 16), ("reserved", ctypes.c_char * 72),
    ]


assert ctypes.sizeof(Header) == 272 and ctypes.sizeof(Member) == 128


def lock(file, byte, kind):
    """A lock of the open file on one byte; False when somebody else's excludes it."""
    try:
        fcntl.fcntl(file, F_OFD_SETLK, struct.pack("hhqqixxxx", kind, os.SEEK_SET, byte, 1, 0))
        return True
    except BlockingIOError:
        return False


def join(file, memory, header):
    """Takes a place: the lock is what counts, the entry is for people."""
    for number in range(header.member_count):
        if not lock(file, MEMBERS + number, fcntl.F_WRLCK):
            continue
        member = Member.from_buffer(memory, header.members_offset + number * ctypes.sizeof(Member))
        with open("/proc/self/stat", "rb") as stat:
            member.start_ticks = int(stat.read().rsplit(b")", 1)[1].split()[19])
        member.user = os.geteuid()
        member.namespace = os.stat("/proc/self/ns/pid").st_ino
        member.attached_ns = time.time_ns()
        member.name = b"python"
        member.process = os.getpid()
        member.generation += 1
        return number
    raise SystemExit("share_attach.py: all places are taken")


def attach(path):
    file = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    if not lock(file, GATE, fcntl.F_RDLCK) or os.fstat(file).st_nlink == 0:
        raise SystemExit("share_attach.py: it is just being removed")
    head = os.pread(file, ctypes.sizeof(Header), 0)
    if len(head) < ctypes.sizeof(Header):
        raise SystemExit("share_attach.py: that is no region")
    header = Header.from_buffer_copy(head)
    if header.magic != 0x4552414853535256 or header.order != 0x01020304 or header.format != 1:
        raise SystemExit("share_attach.py: that is no region of this machine's")
    if os.fstat(file).st_size != header.file_bytes or header.page_bytes != mmap.PAGESIZE:
        raise SystemExit("share_attach.py: its header contradicts the file")
    memory = mmap.mmap(file, header.file_bytes)
    number = join(file, memory, header)
    lock(file, GATE, fcntl.F_UNLCK)
    return memory, header, number


def main():
    if len(sys.argv) < 2:
        raise SystemExit(__doc__)
    name = sys.argv[1]
    directory = os.environ.get("VERSO_SHARE_DIRECTORY") or f"/dev/shm/verso-{os.geteuid()}"
    memory, header, number = attach(name if "/" in name else os.path.join(directory, name))
    start = header.content_offset
    if len(sys.argv) > 2:
        text = sys.argv[2].encode() + b"\0"
        if len(text) > header.bytes:
            raise SystemExit("share_attach.py: the text is longer than the content")
        memory[start:start + len(text)] = text
    content = memory[start:start + min(64, header.bytes)].split(b"\0")[0]
    print(f"member {number} of {header.kind.decode() or 'no kind'}, version {header.version}, {header.bytes} bytes")
    print(f"it begins: {content.decode(errors='replace')!r}")


if __name__ == "__main__":
    main()
