#!/usr/bin/env python3
"""Measures how soon a monitor shows something: the first frame, and the first reading of a GPU.

    scripts/startup.py [--runs 20] [--size 160x50] [--data PATTERN] COMMAND

Each run starts the command in a pseudo-terminal. Counted from just before the exec: until the first bytes are
written to the terminal that put text on the screen (the skeleton), and until what was written matches PATTERN, which
is a regular expression (a power reading, by default). "q" is typed then, and the time to the exit is taken.
"""
import argparse
import fcntl
import os
import pty
import re
import select
import shlex
import signal
import statistics
import struct
import sys
import termios
import time

# What a frame is made of besides its text: cursor and colour sequences, titles, modes.
ESCAPE = re.compile(rb"\x1b\[[0-9;:?]*[A-Za-z]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[()=>78].?")


def run(arguments, columns, rows, pattern, patience):
    start = time.monotonic()
    pid, fd = pty.fork()
    if pid == 0:
        os.environ["TERM"] = "xterm-256color"
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        os.execvp(arguments[0], arguments)
    written, frame, data, asked, seen = b"", None, None, None, 0
    while True:
        ready, _, _ = select.select([fd], [], [], 0.05)
        now = time.monotonic()
        if ready:
            try:
                part = os.read(fd, 65536)
            except OSError:
                break
            if not part:
                break
            written += part
        text = ESCAPE.sub(b"", written)
        if frame is None and text.strip():
            frame = now - start
        if data is None and frame is not None and pattern.search(text.decode(errors="replace")):
            data, asked = now - start, now
            os.write(fd, b"q")
        if now - start > patience:
            os.kill(pid, signal.SIGKILL)
            break
    os.waitpid(pid, 0)
    os.close(fd)
    if frame is None or data is None:
        sys.exit(f"nothing that matches within {patience} s; written: {written[-400:]!r}")
    return frame, data, time.monotonic() - asked


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--size", default="160x50", help="columns x rows")
    parser.add_argument("--data", default=r"[0-9]+/[0-9]+ W|[0-9]+ W\b", help="what a GPU's first reading looks like")
    parser.add_argument("--patience", type=float, default=20.0, help="seconds after which a run has failed")
    parser.add_argument("command")
    options = parser.parse_args()
    columns, rows = (int(part) for part in options.size.split("x"))
    pattern = re.compile(options.data)
    arguments = shlex.split(options.command)
    runs = [run(arguments, columns, rows, pattern, options.patience) for _ in range(options.runs)]
    for name, times in zip(("first frame", "first data", "q to exit"), zip(*runs)):
        median, worst = statistics.median(times) * 1e3, max(times) * 1e3
        print(f"{name:<12} median {median:7.1f} ms   worst {worst:7.1f} ms   ({len(times)} runs)")


if __name__ == "__main__":
    main()
