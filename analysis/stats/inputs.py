"""What every fit demands of its numbers, and the one error that says what they lack."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vitok_core.errors import UserError

Array = NDArray[np.float64]


class NoFit(UserError):  # noqa: N818  (a finding about the data)
    """The data cannot carry this fit; the message says why."""


def columns(x: ArrayLike) -> Array:
    """Regressors as (n, k-1): one column for a vector."""
    table = np.asarray(x, dtype=float)
    return table.reshape(len(table), -1)


def vector(values: ArrayLike) -> Array:
    """(n,) finite floats.

    Raises:
        NoFit: NaN or infinite values.
    """
    numbers = np.asarray(values, dtype=float)
    if numbers.ndim != 1:
        raise ValueError(f"expected a vector, got shape {numbers.shape}")
    finite(numbers)
    return numbers


def finite(*arrays: Array) -> None:
    """Raises NoFit where a value is NaN or infinite."""
    if not all(np.isfinite(array).all() for array in arrays):
        raise NoFit("a value is not finite (NaN or infinite): leave its point out or mend it")


def positive(values: ArrayLike, name: str) -> Array:
    """(n,) finite floats above zero, for what is to be put under a logarithm or a power.

    Raises:
        NoFit: values that are not finite or not positive.
    """
    numbers = vector(values)
    if np.any(numbers <= 0):
        raise NoFit(f"{name} has a value that is not positive, and this fit takes its logarithm")
    return numbers


def same_length(**arrays: Array | NDArray[np.generic]) -> None:
    """Raises ValueError where the arrays, one row a point, differ in length."""
    lengths = {name: len(array) for name, array in arrays.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(
            "one row a point: " + ", ".join(f"{k} has {n}" for k, n in lengths.items())
        )


def enough(n: int, need: int, what: str) -> None:
    """Raises NoFit where there are fewer than `need` points."""
    if n < need:
        raise NoFit(f"{what} needs at least {need} points, has {n}")


def student(dof: float, level: float) -> float:
    """Two-sided quantile of Student's t: 2.262 for 9 degrees of freedom at 0.95."""
    if not 0 < level < 1:
        raise ValueError(f"a level lies between 0 and 1, not at {level}")
    from scipy.special import stdtrit  # slow to import, and a figure without fits needs none of it

    return float(stdtrit(dof, 0.5 + level / 2))
