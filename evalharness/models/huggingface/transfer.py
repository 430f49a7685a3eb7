"""Tensors made on the host, sent to the device that computes with them."""

from __future__ import annotations

import torch

__all__ = ["to_device"]


def to_device(tensor: torch.Tensor, device: str | torch.device) -> torch.Tensor:
    """`tensor` on `device`, itself where it is there already.

    To a CUDA device it goes by way of pinned memory, which the card reads by itself: the host does not wait for what
    the card has still to compute. The pinned copy is held by torch until it has been read, and is then used again.
    """
    target = torch.device(device)
    if target.type == "cuda" and tensor.device.type == "cpu":
        return tensor.pin_memory().to(target, non_blocking=True)
    return tensor.to(target)
