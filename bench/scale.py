"""Simulates a large job on many machines: hours of video, cut into clips, each made by shards that a scheduler gives to the next
free machine; machines are lost and come back; then each clip is joined. Prints where the time goes, what fails, and what it costs.

The rates are those of one machine; measure them on yours: `rife benchmark --time` (a frame), `sh bench/shard.sh` (reading).

usage: python bench/scale.py [--hours 1000] [--machines 1000] [--shards 10] [--frame 0.24] [--lost 0.01] ...
"""

import argparse
import heapq
import random

MINUTE, HOUR = 60.0, 3600.0


def options():
    """Reads the command line."""
    given = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = given.add_argument
    add("--hours", type=float, default=1000, help="hours of video")
    add("--clip", type=float, default=1, help="mean hours of a clip; lengths vary from half to one and a half times of that")
    add("--rate", type=float, default=25, help="source frames a second, of which each gets one new frame")
    add("--machines", type=int, default=1000)
    add("--shards", type=int, default=10, help="shards of a clip")
    add("--segment", type=int, default=125, help="source frames of a segment")
    add("--frame", type=float, default=0.24, help="seconds of the network for a frame")
    add("--read", type=float, default=0.012, help="seconds to decode and look at a source frame")
    add("--around", type=int, default=236, help="source frames that a segment depends on beside its own, and are read, too")
    add("--start", type=float, default=20, help="seconds until a task computes: container, program, index of the clip")
    add("--lost", type=float, default=0.01, help="losses of a machine in an hour, as of spare capacity that is taken back")
    add("--replace", type=float, default=5, help="minutes until a lost machine is replaced")
    add("--bad", type=float, default=0.002, help="share of the clips that end with an error, at a random place")
    add("--megabits", type=float, default=10, help="megabits a second of the results")
    add("--network", type=float, default=1000, help="megabits a second to the shared storage, of one machine")
    add("--storage", type=float, default=100, help="gigabits a second of the shared storage, of all machines")
    add("--price", type=float, default=0.08, help="price of a machine for an hour")
    add("--seed", type=int, default=1)
    return given.parse_args()


class Machines:
    """Machines that become free in order of time."""

    def __init__(self, given, chance):
        self.given, self.chance = given, chance
        self.free = [(0.0, number) for number in range(given.machines)]
        self.lost, self.redone, self.busy, self.away = 0, 0.0, 0.0, 0.0

    def run(self, seconds, ready, segment):
        """Gives a task of so many seconds, not before `ready`, to the next free machine; returns the time of its end. Where a
        machine is lost, the task goes on elsewhere from its last segment, each of `segment` seconds."""
        while True:
            free, number = heapq.heappop(self.free)
            start = max(free, ready)
            begin = start + self.given.start
            until = self.chance.expovariate(self.given.lost / HOUR) if self.given.lost else float("inf")
            if until >= self.given.start + seconds:
                end = begin + seconds
                self.busy += end - start
                heapq.heappush(self.free, (end, number))
                return end
            done = max(0.0, until - self.given.start)
            kept = done - done % segment if segment else 0.0
            self.lost += 1
            self.redone += until - kept
            self.busy += until
            self.away += self.given.replace * MINUTE
            seconds -= kept
            ready = start + until
            heapq.heappush(self.free, (start + until + self.given.replace * MINUTE, number))


def main():
    """Simulates and prints."""
    given = options()
    chance = random.Random(given.seed)
    clips, total = [], given.hours
    while total > 0:
        clips.append(min(total, given.clip * chance.uniform(0.5, 1.5)))
        total -= clips[-1]
    machines = Machines(given, chance)
    bad = set(chance.sample(range(len(clips)), round(given.bad * len(clips))))
    network = reading = 0.0
    ends, failed = [], 0
    for clip, hours in sorted(enumerate(clips), key=lambda pair: -pair[1]):
        frames = hours * HOUR * given.rate
        own = frames / given.shards
        # All of the clip at most.
        read = min(frames, own * (1 + given.around / given.segment))
        parts = given.segment * (given.frame + given.read * read / own)
        end = 0.0
        for _ in range(given.shards):
            share = chance.random() if clip in bad else 1.0
            network += own * given.frame * share
            reading += read * given.read * share
            end = max(end, machines.run((own * given.frame + read * given.read) * share, 0.0, parts))
        failed += clip in bad
        ends.append((end, clip, hours))
    shards_end = max(end for end, _, _ in ends)
    joining = joins_end = 0.0
    for end, clip, hours in sorted(ends):
        if clip in bad:
            continue
        # The clip is decoded once more, and the segments are read and written.
        copy = 2 * hours * HOUR * given.megabits / min(given.network, given.storage * 1000 / given.machines)
        seconds = hours * HOUR * given.rate * given.read + copy
        joining += seconds
        joins_end = max(joins_end, machines.run(seconds, end, 0.0))
    tasks = len(clips) * (given.shards + 1)
    makespan = max(shards_end, joins_end)
    print(f"{given.hours:g} h of video in {len(clips)} clips, {tasks} tasks, {given.machines} machines")
    print(f"shards end after {shards_end / HOUR:.1f} h, the last join after {joins_end / HOUR:.1f} h")
    useful = network + reading + joining
    for what, seconds in [("network", network), ("reading for the shards", reading), ("joins", joining),
                          ("starts of tasks", tasks * given.start), ("work lost with machines", machines.redone)]:
        print(f"  {what}: {seconds / HOUR:.0f} machine hours, {100 * seconds / machines.busy:.1f} % of the work")
    print(f"machines lost: {machines.lost}; each costs {machines.redone / max(machines.lost, 1) / MINUTE:.1f} minutes of work and "
          f"{given.replace:g} minutes without a machine")
    print(f"clips with an error: {failed} of {len(clips)}")
    print(f"machines work {100 * machines.busy / (makespan * given.machines):.0f} % of the time until the last join; useful: "
          f"{100 * useful / machines.busy:.1f} % of the work")
    print(f"cost: {makespan * given.machines / HOUR * given.price:.0f} if all machines stay to the end, "
          f"{machines.busy / HOUR * given.price:.0f} if idle ones are given back, "
          f"{machines.busy / HOUR * given.price / given.hours:.2f} for an hour of video")


if __name__ == "__main__":
    main()
