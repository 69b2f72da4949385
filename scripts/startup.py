#!/usr/bin/env python3
"""Measures how soon a monitor shows something: the first frame, and the first reading of a GPU.

    scripts/startup.py [--runs 20] [--size 160x50] [--data PATTERN] COMMAND

Each run starts the command in a pseudo-terminal. Counted from just before the exec: until the first bytes are
written to the terminal that put text on the screen (the skeleton), and until what was written matches PATTERN, which
is a regular expression (a power reading, by default). "q" is typed then, and the time to the exit is taken.
"""
import argparse
import os
import re
import signal
import statistics
import sys
import time

from monitors import Monitor, send

# What a frame is made of besides its text: cursor and colour sequences, titles, modes.
ESCAPE = re.compile(rb"\x1b\[[0-9;:?]*[A-Za-z]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[()=>78].?")


def run(command, size, pattern, patience):
    monitor = Monitor(command, size)
    written, frame, data, asked = b"", None, None, None
    while (part := monitor.read(0.05)) is not None:
        now = time.monotonic()
        written += part
        text = ESCAPE.sub(b"", written)
        if frame is None and text.strip():
            frame = now - monitor.started
        if data is None and frame is not None and pattern.search(text.decode(errors="replace")):
            data, asked = now - monitor.started, now
            monitor.type("q")
        if now - monitor.started > patience:
            send(monitor.pid, signal.SIGKILL)
            break
    os.waitpid(monitor.pid, 0)
    os.close(monitor.fd)
    if data is None:
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
    pattern = re.compile(options.data)
    runs = [run(options.command, options.size, pattern, options.patience) for _ in range(options.runs)]
    for name, times in zip(("first frame", "first data", "q to exit"), zip(*runs)):
        median, worst = statistics.median(times) * 1e3, max(times) * 1e3
        print(f"{name:<12} median {median:7.1f} ms   worst {worst:7.1f} ms   ({len(times)} runs)")


if __name__ == "__main__":
    main()
