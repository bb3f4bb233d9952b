"""The highest memory of a stretch of work, without disturbing what else is measured.

Contract: bytes; resident memory on a CPU, reserved device memory on a GPU.  If the process reached
a new peak meanwhile, that peak is exact (the kernel's); if not, it is the highest of samples taken
every 20 ms.
"""

from __future__ import annotations

import os
import threading
from typing import Any

from denizen.project.machine import peak_rss_bytes

_EVERY = 0.02


class PeakMeter:
    """`with PeakMeter() as meter: ...`, then `meter.peak`."""

    def __init__(self) -> None:
        self.peak = 0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> PeakMeter:
        import torch

        self._gpu = torch.cuda.is_available()
        if self._gpu:
            torch.cuda.reset_peak_memory_stats()
        self._before = peak_rss_bytes()
        self._thread.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._done.set()
        self._thread.join()
        if self._gpu:
            import torch

            self.peak = torch.cuda.max_memory_reserved()
        elif (now := peak_rss_bytes()) > self._before:
            self.peak = now

    def _sample(self) -> None:
        while True:
            self.peak = max(self.peak, resident_bytes())
            if self._done.wait(_EVERY):
                return


def resident_bytes() -> int:
    """Resident memory of this process now (Linux), else 0."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0
