"""Facts of this machine that results depend on: processor, cores, memory, versions.

No host name and no user path, so a record can be published as it is.
"""

from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path
from typing import Any

_LIBRARIES = ("torch", "transformers", "trl", "peft", "xllamacpp", "gguf", "denizen")


def cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def memory_bytes() -> int:
    """Physical memory."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def available_bytes() -> int:
    """Memory that can be had now (Linux), else all of it."""
    for line in _read("/proc/meminfo").splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return memory_bytes()


def peak_rss_bytes() -> int:
    """Highest resident memory of this process so far."""
    import resource

    # getrusage counts what the process was before exec, too: the size of whoever started it.
    for line in _read("/proc/self/status").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def give_back_freed() -> None:
    """Hand freed memory that the allocator holds to the system (glibc), else nothing."""
    import ctypes

    if platform.libc_ver()[0] == "glibc":
        ctypes.CDLL(None).malloc_trim(0)


def cpu_flags() -> frozenset[str]:
    """Instruction-set flags of the processor (Linux), else nothing."""
    for line in _read("/proc/cpuinfo").splitlines():
        if line.startswith(("flags", "Features")):
            return frozenset(line.split(":", 1)[1].split())
    return frozenset()


def native_bfloat16() -> bool:
    """Whether the CPU multiplies bf16 itself; elsewhere it is emulated, about 6x slower."""
    return bool(cpu_flags() & {"avx512_bf16", "amx_bf16", "bf16"})


def facts() -> dict[str, Any]:
    """Everything above that explains a measurement."""
    return {
        "cpu": _cpu_name(),
        "cores": cores(),
        "memory_gib": round(memory_bytes() / 2**30, 1),
        "avx2": "avx2" in cpu_flags(),
        "avx512": "avx512f" in cpu_flags(),
        "bf16": native_bfloat16(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "libraries": {name: version for name in _LIBRARIES if (version := _version(name))},
    }


def _cpu_name() -> str:
    for line in _read("/proc/cpuinfo").splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor() or "unknown"


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _read(path: str) -> str:
    try:
        return Path(path).read_text("utf-8", errors="replace")
    except OSError:
        return ""
