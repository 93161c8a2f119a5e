# SPDX-License-Identifier: MIT
"""How much of the machine others used while something was measured."""
import dataclasses
import os
import pathlib
import resource
import time


@dataclasses.dataclass
class Noise:
    others: float = 0.0   # cores that other processes kept busy, on average
    stolen: float = 0.0   # cores that the host took away, on average
    spread: float = 0.0   # of runs of the same pure work, longest by shortest, less one
    cores: int = 1

    @staticmethod
    def counters():
        """The time, and seconds: busy, stolen, of this process and its children."""
        ticks = os.sysconf("SC_CLK_TCK")
        fields = [int(word) / ticks for word in pathlib.Path("/proc/stat").read_text().splitlines()[0].split()[1:]]
        user, nice, system, _, _, interrupts, soft, stolen = (fields + [0] * 8)[:8]
        own = sum(usage.ru_utime + usage.ru_stime for usage in map(resource.getrusage,
                                                                   (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)))
        return time.monotonic(), user + nice + system + interrupts + soft, stolen, own

    @classmethod
    def since(cls, before):
        wall, busy, stolen, own = (after - then for after, then in zip(cls.counters(), before))
        wall = max(wall, 1e-3)
        return cls(max(busy - own, 0) / wall, max(stolen, 0) / wall, cores=os.cpu_count() or 1)

    def note_calibration(self, lengths):
        if lengths:
            self.spread = max(lengths) / min(lengths) - 1

    def complaints(self):
        """What makes the numbers doubtful."""
        found = []
        if self.others > 0.05 * self.cores:
            found.append(f"other processes kept {self.others:.2f} cores busy")
        if self.stolen > 0.01 * self.cores:
            found.append(f"the host took {self.stolen:.2f} cores away")
        if self.spread > 0.1:
            found.append(f"the same pure work took up to {1 + self.spread:.2f} times as long as at best")
        return found
