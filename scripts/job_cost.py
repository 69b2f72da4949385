#!/usr/bin/env python3
"""Measures what a monitor costs the job: the step time of a training loop, with and without it.

    scripts/job_cost.py [--blocks 6] [--block-seconds 15] NAME=COMMAND [NAME=COMMAND ...]
    scripts/job_cost.py --load [--pulse SECONDS]

A small network is trained with PyTorch on GPU 0, and each step is timed from its launch until the GPU is done. Blocks
without a monitor and blocks with each of them alternate, there and back (nothing, A, B, B, A, nothing), so that warming
up and drifting weigh on all alike. A monitor runs in a pseudo-terminal that another process reads. The mean step time
of each block counts, so that a stall counts too; the spread is the standard deviation of the blocks without a monitor.

`--load` only trains, until it is killed: a load for other measurements; with `--pulse` it rests every other time.
"""
import argparse
import multiprocessing
import os
import statistics
import sys
import time

from monitors import Monitor, alive

WIDTH = 4096
BATCH = 8192
LAYERS = 4
# Of each block, what passes before steps count: the monitor starts meanwhile.
SETTLE = 2.5
# Less than this never counts as a cost, whatever the spread: 0.2 %.
LEAST = 0.002


def training_step():
    """One step of training, as a function; returns when the GPU is done."""
    import torch

    torch.manual_seed(0)
    layers = [layer for _ in range(LAYERS) for layer in (torch.nn.Linear(WIDTH, WIDTH), torch.nn.GELU())]
    model = torch.nn.Sequential(*layers).cuda().bfloat16()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    batch = torch.randn(BATCH, WIDTH, device="cuda", dtype=torch.bfloat16)

    def step():
        optimizer.zero_grad(set_to_none=True)
        model(batch).float().square().mean().backward()
        optimizer.step()
        torch.cuda.synchronize()

    return step


def counting_step():
    """A loop on the CPU, to try this script without a GPU."""
    return lambda: sum(range(100_000))


def watch(command, size, stop):
    monitor = Monitor(command, size)
    while not stop.is_set():
        monitor.drain(0.1)
        if not alive(monitor.pid):
            sys.exit(f"{command}: ended early: {monitor.tail[-200:]!r}")
    monitor.stop()


def block(step, command, options):
    """Mean and number of the steps of one block, with `command` running if there is one."""
    # Spawned, not forked: a fork of a process that holds a GPU context is no clean process.
    context, watcher = multiprocessing.get_context("spawn"), None
    if command:
        stop = context.Event()
        watcher = context.Process(target=watch, args=(command, options.size, stop))
        watcher.start()
    begin = time.perf_counter()
    while time.perf_counter() < begin + SETTLE:
        step()
    first, steps = time.perf_counter(), 0
    while (now := time.perf_counter()) < begin + options.block_seconds:
        step()
        steps += 1
    if watcher:
        stop.set()
        watcher.join()
        if watcher.exitcode:
            sys.exit(1)
    return (now - first) / steps, steps


def load(step, pulse):
    while True:
        begin = time.monotonic()
        while not pulse or time.monotonic() < begin + pulse:
            step()
        time.sleep(pulse)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--blocks", type=int, default=6, help="blocks of each kind; an even number")
    parser.add_argument("--block-seconds", type=float, default=15.0)
    parser.add_argument("--size", default="160x50", help="columns x rows")
    parser.add_argument("--cpu", action="store_true", help="a loop on the CPU instead, to try this script")
    parser.add_argument("--load", action="store_true")
    parser.add_argument("--pulse", type=float, default=0.0, help="seconds of work, then as many of rest")
    parser.add_argument("commands", nargs="*", metavar="NAME=COMMAND")
    options = parser.parse_args()
    step = counting_step() if options.cpu else training_step()
    if options.load:
        load(step, options.pulse)
    monitors = [tuple(item.partition("=")[::2]) for item in options.commands]
    if not monitors or not all(command for _, command in monitors):
        sys.exit("NAME=COMMAND is wanted")
    there = [("nothing", None), *monitors]
    order = (there + there[::-1]) * (options.blocks // 2)
    block(step, None, options)
    means = {name: [] for name, _ in there}
    for name, command in order:
        mean, steps = block(step, command, options)
        means[name].append(mean)
        print(f"{name:12} {mean * 1e3:9.4f} ms a step, {steps} steps", flush=True)
    without = statistics.mean(means["nothing"])
    spread = statistics.stdev(means["nothing"]) / without
    print(f"{'nothing':12} {without * 1e3:9.4f} ms, spread {spread * 100:.3f} % (standard deviation of its blocks)")
    well = True
    for name, _ in monitors:
        mean = statistics.mean(means[name])
        more = mean / without - 1
        free = more < max(LEAST, spread)
        well &= free
        print(
            f"{name:12} {mean * 1e3:9.4f} ms, {more * 100:+.3f} %:"
            f" {'less than 0.2 % or the spread' if free else 'MORE than 0.2 % and the spread'}"
        )
    sys.exit(0 if well else 1)


if __name__ == "__main__":
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "0")
    main()
