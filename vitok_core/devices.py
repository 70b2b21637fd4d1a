"""A proof that torch can compute on each GPU: `python -m vitok_core.devices` prints it as JSON.

A process of its own, since importing torch and starting CUDA may fail in any way.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

_SIZE = 1024  # rows and columns of the matrices


def proof() -> dict[str, Any]:
    """Torch's version, and of each GPU its name and the seconds that one product took."""
    import torch

    found = []
    for number in range(torch.cuda.device_count()):
        device = torch.device("cuda", number)
        matrix = torch.eye(_SIZE, device=device)
        began = time.perf_counter()
        right = bool((matrix @ matrix).sum().item() == _SIZE)
        seconds = time.perf_counter() - began
        name = torch.cuda.get_device_name(device)
        found.append({"name": name, "seconds": seconds, "right": right})
    return {"torch": torch.__version__, "cuda": torch.version.cuda, "gpus": found}


if __name__ == "__main__":
    json.dump(proof(), sys.stdout)
