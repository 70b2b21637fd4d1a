"""Matrix products in bf16, fp32 and, on GPUs, tf32: the rate that everything else is paid from."""

from __future__ import annotations

import torch

from vitok_core.health.outcome import Outcome
from vitok_core.health.timing import devices_of, seconds

_SIZE = {"cuda": 8192, "cpu": 256}
_PRECISIONS = {"cuda": ("bf16", "tf32", "fp32"), "cpu": ("bf16", "fp32")}
_TOLERANCE = {"bf16": 2e-2, "tf32": 2e-3, "fp32": 1e-4}  # relative, against fp64


def products(kind: str) -> Outcome:
    """FLOP/s of the slowest device in each precision; right when near the product in fp64."""
    rates: dict[str, list[float]] = {precision: [] for precision in _PRECISIONS[kind]}
    wrong = []
    for device in devices_of(kind):
        for precision, reached in rates.items():
            error, rate = _product(device, precision, _SIZE[kind])
            reached.append(rate)
            if error > _TOLERANCE[precision]:
                wrong.append(f"{precision} on {device}: relative error {error:.1e}")
    slowest = {precision: min(reached) for precision, reached in rates.items()}
    said = ", ".join(f"{name} {rate / 1e12:.3g} TFLOP/s" for name, rate in slowest.items())
    values = {"flops_by_device": rates, "size": _SIZE[kind]}
    return Outcome(not wrong, "; ".join(wrong) or said, slowest, values)


def _product(device: torch.device, precision: str, size: int) -> tuple[float, float]:
    """Relative error on a few rows, and FLOP/s."""
    torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"
    kind = torch.bfloat16 if precision == "bf16" else torch.float32
    generator = torch.Generator().manual_seed(0)
    a, b = (torch.randn(size, size, generator=generator).to(device, kind) for _ in range(2))
    rows = slice(0, 8)
    exact = a[rows].double() @ b.double()
    error = float(((a @ b)[rows].double() - exact).norm() / exact.norm())
    return error, 2 * size**3 / seconds(lambda: a @ b, device)
