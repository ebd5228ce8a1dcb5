"""Device: the GPU when there is one, and the precision that is fast there."""

from contextlib import nullcontext

import torch


def chosen() -> torch.device:
    """Give the device to train on."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def named() -> str:
    """Say what it is, for the card."""
    gpu = torch.cuda.is_available()
    return str(torch.cuda.get_device_name()) if gpu else f"{torch.get_num_threads()} CPU threads"


def precision(device: torch.device) -> torch.autocast | nullcontext[None]:
    """Compute in bfloat16 where the hardware does; weights stay in single precision."""
    fast = device.type == "cuda" or torch.ops.mkldnn._is_mkldnn_bf16_supported()
    return torch.autocast(device.type, torch.bfloat16) if fast else nullcontext()
