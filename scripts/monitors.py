"""What the measuring scripts share: a command in a pseudo-terminal, what it and its children cost, and its end."""
import argparse
import fcntl
import os
import pty
import select
import shlex
import signal
import struct
import sys
import termios
import time

TICK = os.sysconf("SC_CLK_TCK")
# A monitor that has not left this long after it was asked to is killed.
PATIENCE = 2.0


def parser(description, seconds, settle):
    """The arguments that the scripts have in common; the commands are read by `named`."""
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--seconds", type=float, default=seconds)
    made.add_argument("--settle", type=float, default=settle)
    made.add_argument("--size", default="160x50", help="columns x rows")
    made.add_argument("commands", nargs="+", metavar="NAME=COMMAND")
    return made


def named(commands):
    """NAME, COMMAND and the keys of each NAME[keys]=COMMAND."""
    for item in commands:
        name, _, command = item.partition("=")
        keys = ""
        if name.endswith("]"):
            name, _, keys = name[:-1].partition("[")
        if not command:
            sys.exit(f"{item}: NAME=COMMAND is wanted")
        yield name, command, keys


class Monitor:
    """A command that runs; in a pseudo-terminal of its own unless it begins with "@"."""

    def __init__(self, command, size="160x50"):
        bare = command.startswith("@")
        arguments = shlex.split(command.removeprefix("@"))
        columns, rows = (int(part) for part in size.split("x"))
        self.started = time.monotonic()
        if bare:
            self.pid, self.fd = os.fork(), None
        else:
            self.pid, self.fd = pty.fork()
        if self.pid == 0:
            try:
                os.environ["TERM"] = "xterm-256color"
                if bare:
                    null = os.open(os.devnull, os.O_RDWR)
                    for target in (0, 1):
                        os.dup2(null, target)
                else:
                    fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
                os.execvp(arguments[0], arguments)
            except OSError as error:
                os.write(2, f"{arguments[0]}: {error.strerror}\n".encode())
            os._exit(127)
        self.written = 0
        self.tail = b""

    def type(self, keys):
        if self.fd is not None and keys:
            os.write(self.fd, keys.encode())

    def read(self, patience):
        """What it wrote within `patience` seconds: bytes, or None at its end."""
        ready, _, _ = select.select([self.fd], [], [], patience)
        if not ready:
            return b""
        try:
            data = os.read(self.fd, 65536)
        except OSError:
            return None
        self.written += len(data)
        self.tail = (self.tail + data)[-400:]
        return data or None

    def drain(self, seconds):
        """Reads the terminal for so long, as a terminal would."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            if self.fd is None:
                time.sleep(left)
            elif self.read(left) is None:
                return

    def stop(self):
        """Ends it and what it started: asked first, then killed."""
        processes = tree(self.pid)
        for process in processes:
            send(process, signal.SIGTERM)
        until = time.monotonic() + PATIENCE
        while any(alive(process) for process in processes) and time.monotonic() < until:
            self.drain(0.05)
        for process in processes:
            send(process, signal.SIGKILL)
        try:
            os.waitpid(self.pid, 0)
        except ChildProcessError:
            pass
        if self.fd is not None:
            os.close(self.fd)


def send(pid, number):
    try:
        os.kill(pid, number)
    except OSError:
        pass


def stat(pid):
    """The fields of /proc/PID/stat after the name, or None."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()
    except OSError:
        return None


def alive(pid):
    fields = stat(pid)
    return fields is not None and fields[0] != "Z"


def tree(root):
    """PIDs of `root` and of everything below it, `root` first."""
    parents = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit() and (fields := stat(entry)):
            parents[int(entry)] = int(fields[1])
    found, todo = [], [root]
    while todo:
        pid = todo.pop()
        if pid in parents:
            found.append(pid)
            todo += [child for child, parent in parents.items() if parent == pid]
    return found


def cpu(pid):
    """Seconds on a CPU: of the threads that live, to the nanosecond, where the kernel counts so; else in ticks."""
    try:
        total = 0
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/schedstat") as file:
                total += int(file.read().split()[0])
        return total / 1e9
    except (OSError, IndexError):
        fields = stat(pid)
        return (int(fields[11]) + int(fields[12])) / TICK if fields else 0.0


def pss(pid):
    """Proportional memory in bytes."""
    try:
        with open(f"/proc/{pid}/smaps_rollup") as file:
            for line in file:
                if line.startswith("Pss:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0
