"""Which device and which number format a checkpoint runs in, found without loading torch where that is possible."""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import os
import platform
import struct
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from evalharness.core.errors import UsageError

__all__ = ["checkpoint_dtype", "free_bytes", "resolve_device", "resolve_devices", "resolve_dtype", "steady_attention"]

_SAFETENSORS_NAMES = {"F32": "float32", "F16": "float16", "BF16": "bfloat16", "F64": "float64"}

_steady_lock = threading.Lock()
_n_steady = 0
_cudnn_before = True


def _cuda_is_possible() -> bool:
    """False where this torch or this machine certainly has no CUDA (or ROCm) device; torch is not loaded."""
    if os.environ.get("CUDA_VISIBLE_DEVICES", "unset").strip() in ("", "-1"):
        return False
    version = importlib.metadata.version("torch")
    if "+cpu" in version or sys.platform == "darwin":
        return False
    if sys.platform.startswith("linux"):
        devices = Path("/dev")
        return any(devices.glob("nvidia[0-9]*")) or (devices / "dxg").exists() or (devices / "kfd").exists()
    return True


def _best_device() -> str:
    if _cuda_is_possible():
        import torch

        if torch.cuda.is_available():
            return "cuda"
    if sys.platform == "darwin" and platform.machine() == "arm64":
        import torch

        if torch.backends.mps.is_available():
            return "mps"
    return "cpu"


def resolve_device(device: str) -> str:
    """The device to run on: `auto` is CUDA, else MPS, else the CPU.

    Raises:
        UsageError: `device` is asked for by name and this machine has none (or this torch cannot use it).
    """
    if device == "auto":
        return _best_device()
    if device.startswith("cuda"):
        if not _cuda_is_possible():
            raise UsageError(f"device {device!r}: no CUDA device can be used here; write device: auto or device: cpu")
        import torch

        n_devices = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if int(device.partition(":")[2] or 0) >= n_devices:
            raise UsageError(f"device {device!r}: this machine has {n_devices} CUDA devices; write device: auto")
    elif device == "mps" and (sys.platform != "darwin" or _best_device() != "mps"):
        raise UsageError("device 'mps': this machine has no Apple GPU; write device: auto or device: cpu")
    return device


def resolve_devices(devices: Literal["all"] | tuple[str, ...]) -> tuple[str, ...]:
    """The GPUs on which a copy of the model runs.

    Raises:
        UsageError: `all` are asked for and this machine has none (or this torch cannot use them).
    """
    if devices != "all":
        return devices
    n_devices = 0
    if _cuda_is_possible():
        import torch

        n_devices = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if not n_devices:
        raise UsageError("devices 'all': no CUDA device can be used here; take `devices` out, or write device: cpu")
    return tuple(f"cuda:{index}" for index in range(n_devices))


def checkpoint_dtype(folder: Path | None, config: Mapping[str, Any]) -> str | None:
    """The number format that the checkpoint says, or shows, that it is kept in; None where neither is known."""
    declared = config.get("dtype") or config.get("torch_dtype")
    nested = config.get("text_config")
    if declared is None and isinstance(nested, Mapping):
        declared = nested.get("dtype") or nested.get("torch_dtype")
    if isinstance(declared, str):
        return declared.removeprefix("torch.")
    weights = sorted(folder.glob("*.safetensors")) if folder is not None else []
    return _first_float(weights[0]) if weights else None


def _first_float(path: Path) -> str | None:
    try:
        with path.open("rb") as handle:
            (size,) = struct.unpack("<Q", handle.read(8))
            header = json.loads(handle.read(min(size, 100_000_000)))
    except (OSError, ValueError, struct.error):
        return None
    kinds = (entry.get("dtype") for name, entry in header.items() if name != "__metadata__")
    return next((_SAFETENSORS_NAMES[kind] for kind in kinds if kind in _SAFETENSORS_NAMES), None)


def resolve_dtype(dtype: str, *, device: str, folder: Path | None, config: Mapping[str, Any]) -> str:
    """The number format to compute in: `auto` is float32 on a CPU, and the checkpoint's own on a GPU.

    `checkpoint` is its own on every device. "auto" comes back only for a checkpoint's own that is not on this machine
    yet; transformers decides then.
    """
    if dtype not in ("auto", "checkpoint"):
        return dtype
    if dtype == "auto" and device == "cpu":
        return "float32"
    if folder is None:
        return "auto"
    return checkpoint_dtype(folder, config) or "float32"


@contextlib.contextmanager
def steady_attention(device: str) -> Iterator[None]:
    """Keep torch from cuDNN's attention in the block; the last to leave puts back what was set.

    cuDNN makes a plan for every shape that it has not seen, about 20 ms each, and here nearly every call has a shape of
    its own: on an H100 scoring 200 requests with it took 9.6 s, and 0.8 s with torch's own fused kernels.
    """
    global _n_steady, _cudnn_before
    if not device.startswith("cuda"):
        yield
        return
    from torch.backends import cuda

    with _steady_lock:
        if not _n_steady:
            _cudnn_before = cuda.cudnn_sdp_enabled()
            cuda.enable_cudnn_sdp(False)
        _n_steady += 1
    try:
        yield
    finally:
        with _steady_lock:
            _n_steady -= 1
            if not _n_steady:
                cuda.enable_cudnn_sdp(_cudnn_before)


def free_bytes(device: str) -> int | None:
    """The memory of `device` that can still be had; None where nobody says.

    Of a CPU that of the machine, or of the container if that has a smaller limit.
    """
    if device.startswith("cuda"):
        import torch

        free, _ = torch.cuda.mem_get_info(device)
        # What torch holds and does not use is free for us, too.
        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(free) + int(unused)
    if device != "cpu" or not sys.platform.startswith("linux"):
        return None
    known = [_available(Path("/proc/meminfo")), _left_in_container(Path("/sys/fs/cgroup"))]
    return min((found for found in known if found is not None), default=None)


def _available(meminfo: Path) -> int | None:
    try:
        lines = meminfo.read_text(encoding="ascii").splitlines()
        return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")), None)
    except (OSError, ValueError):
        return None


def _left_in_container(folder: Path) -> int | None:
    """What the limit of a control group leaves; files that are only cached there give way."""
    for limit, used in (
        ("memory.max", "memory.current"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
    ):
        try:
            most = (folder / limit).read_text(encoding="ascii").strip()
            if most == "max":
                return None
            statistics = (folder / limit).with_name("memory.stat").read_text(encoding="ascii").split()
            cached = int(statistics[statistics.index("inactive_file") + 1])
            return max(0, int(most) - int((folder / used).read_text(encoding="ascii")) + cached)
        except (OSError, ValueError):
            continue
    return None
