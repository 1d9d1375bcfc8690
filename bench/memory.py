#!/usr/bin/env python3
"""Compares the memory that a drawing is planned to take with what the system counted.

    bench/memory.py [--tolerance 0.1] SFUMATO generate OPTION ... PROMPT

Runs the command with --dry-run --json and then for real (the picture goes to a temporary file), and
prints planned and counted bytes (VmHWM). Exit status 1: they differ by more than the tolerance, or
more was taken than --max-memory allows.
"""
import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time


def plan(command):
    output = subprocess.run(command + ["--dry-run", "--json"], check=True, stdout=subprocess.PIPE)
    return json.loads(output.stdout)["memory"]


def draw(command):
    """Seconds, and the largest resident set in bytes of the command (the dry run's is smaller)."""
    with tempfile.TemporaryDirectory() as folder:
        begin = time.monotonic()
        subprocess.run(command + ["--quiet", "--output", os.path.join(folder, "x.png")], check=True)
        seconds = time.monotonic() - begin
    return seconds, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tolerance", type=float, default=0.1)
    parser.add_argument("command", nargs=argparse.REMAINDER)
    given = parser.parse_args()
    memory = plan(given.command)
    seconds, counted = draw(given.command)
    planned, limit = memory["peak_bytes"], memory["limit_bytes"]
    print(f"planned {planned / 1e6:.1f} MB, counted {counted / 1e6:.1f} MB "
          f"({100 * counted / planned - 100:+.1f} %), limit {limit / 1e6:.1f} MB, {seconds:.1f} s")
    far = abs(counted - planned) > given.tolerance * planned
    return 1 if far or (limit and counted > limit) else 0


if __name__ == "__main__":
    sys.exit(main())
