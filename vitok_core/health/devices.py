"""Torch's versions, and of each GPU its name, its memory and one product."""

from __future__ import annotations

from typing import Any

import torch

from vitok_core.health.outcome import Outcome
from vitok_core.health.timing import devices_of
from vitok_core.used import device_name

_SIZE = 1024  # rows and columns of the matrices


def devices(kind: str) -> Outcome:
    """Right when there is a device and each one multiplies rightly."""
    found = [_device(each) for each in devices_of(kind)]
    values: dict[str, Any] = {"torch": torch.__version__, "devices": found}
    if kind == "cuda":
        cudnn = torch.backends.cudnn.version()  # type: ignore[no-untyped-call]
        values |= {"cuda": torch.version.cuda, "cudnn": cudnn}
    if not found:
        built = f"built for CUDA {torch.version.cuda}" if torch.version.cuda else "without CUDA"
        said = f"no GPU here: torch {torch.__version__}, {built}, sees none"
        return Outcome(False, said, values=values)
    if kind == "cuda":
        nccl = torch.cuda.nccl.version()  # type: ignore[no-untyped-call]
        values["nccl"] = ".".join(map(str, nccl))
    wrong = [each["name"] for each in found if not each["right"]]
    names = [f"{each['name']} ({each['memory_gb']} GB)" for each in found]
    listed = ", ".join(f"{names.count(name)} x {name}" for name in dict.fromkeys(names))
    said = f"wrong product on {', '.join(wrong)}" if wrong else f"torch {torch.__version__}: "
    return Outcome(not wrong, said if wrong else said + listed, values=values)


def _device(device: torch.device) -> dict[str, Any]:
    matrix = torch.eye(_SIZE, device=device)
    right = bool((matrix @ matrix).sum().item() == _SIZE)
    if device.type == "cpu":
        import psutil

        memory = psutil.virtual_memory().total
        return {"name": device_name("cpu"), "memory_gb": round(memory / 1e9), "right": right}
    properties = torch.cuda.get_device_properties(device)
    return {
        "name": properties.name,
        "memory_gb": round(properties.total_memory / 1e9),
        "capability": f"{properties.major}.{properties.minor}",
        "right": right,
    }
