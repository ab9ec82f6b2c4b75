#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""channel_talk - send and receive through libverso, by ctypes.

    $ channel_talk.py send NAME TEXT...
    $ channel_talk.py receive NAME COUNT

The library is the installed one, or $VERSO_LIBRARY. Channel, Writer and Reader below are all that a program needs; its
messages are bytes. While a call waits other threads of Python run on.
"""
import ctypes
import ctypes.util
import os
import sys

PEER_DIED = -20031
FOREVER = -1


class Error(Exception):
    def __init__(self, code):
        text = ctypes.create_string_buffer(512)
        verso.verso_error_message(text, ctypes.c_size_t(len(text)))
        super().__init__(text.value.decode(errors="replace"))
        self.code = code


class Message(ctypes.Structure):
    _fields_ = [
        ("data", ctypes.c_void_p), ("bytes", ctypes.c_size_t), ("writer", ctypes.c_uint), ("number", ctypes.c_uint64),
        ("lost", ctypes.c_uint64),
    ]


def load():
    library = ctypes.CDLL(os.environ.get("VERSO_LIBRARY") or ctypes.util.find_library("verso") or "libverso.so")
    handle, out_handle, text, size = ctypes.c_void_p, ctypes.POINTER(ctypes.c_void_p), ctypes.c_char_p, ctypes.c_size_t
    message = ctypes.POINTER(Message)
    calls = {
        "open": (text, handle, out_handle), "writer_open": (handle, handle, out_handle),
        "reader_open": (handle, handle, out_handle), "send": (handle, text, size, ctypes.c_int),
        "receive": (handle, ctypes.c_int, message), "release": (handle,),
        "close": (handle,), "writer_close": (handle,), "reader_close": (handle,),
    }
    for name, arguments in calls.items():
        call = getattr(library, "verso_channel_" + name)
        call.argtypes = arguments
        call.restype = None if name.endswith("close") else ctypes.c_int
    library.verso_error_message.restype = size
    return library


verso = load()


def check(code):
    if code < 0:
        raise Error(code)
    return code


class Handle:
    """What is opened by a call and closed by another: at the end of a `with`."""

    def __init__(self, open_it, close_it, *arguments):
        self.handle, self.close_it = ctypes.c_void_p(), close_it
        check(open_it(*arguments, None, ctypes.byref(self.handle)))

    def __enter__(self):
        return self

    def __exit__(self, *trouble):
        self.close_it(self.handle)


class Channel(Handle):
    def __init__(self, name):
        super().__init__(verso.verso_channel_open, verso.verso_channel_close, os.fsencode(name))


class Writer(Handle):
    def __init__(self, channel):
        super().__init__(verso.verso_channel_writer_open, verso.verso_channel_writer_close, channel.handle)

    def send(self, data, timeout_ms=FOREVER):
        """True; False where the channel is full and made to drop what is new."""
        return check(verso.verso_channel_send(self.handle, data, len(data), timeout_ms)) == 0


class Reader(Handle):
    def __init__(self, channel):
        super().__init__(verso.verso_channel_reader_open, verso.verso_channel_reader_close, channel.handle)

    def receive(self, timeout_ms=FOREVER):
        message = Message()
        check(verso.verso_channel_receive(self.handle, timeout_ms, ctypes.byref(message)))
        data = ctypes.string_at(message.data, message.bytes)
        check(verso.verso_channel_release(self.handle))
        return data


def main():
    if len(sys.argv) < 4 or sys.argv[1] not in ("send", "receive"):
        raise SystemExit(__doc__)
    what, name, *rest = sys.argv[1:]
    with Channel(name) as channel:
        if what == "send":
            with Writer(channel) as writer:
                for text in rest:
                    writer.send(os.fsencode(text))
            return
        with Reader(channel) as reader:
            left = int(rest[0])
            while left > 0:
                try:
                    print(reader.receive().decode(errors="replace"), flush=True)
                    left -= 1
                except Error as error:
                    if error.code != PEER_DIED:
                        raise


if __name__ == "__main__":
    try:
        main()
    except Error as error:
        raise SystemExit(f"channel_talk.py: {error}")
