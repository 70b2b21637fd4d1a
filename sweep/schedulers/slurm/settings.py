"""What the site file says of its Slurm as a whole (`slurm:`)."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class Node(BaseModel):
    """One exclusive node, where the site hands out whole nodes only: what jobs may share of it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    gpus: int = Field(ge=0)
    threads: int = Field(ge=1)
    memory_gb: float = Field(gt=0)


class SlurmSettings(BaseModel):
    """How submissions are made; what one job is given stands in `resources` instead."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    throttle: int | None = Field(
        None, ge=1, description="tasks of one array that may run at once (%N)"
    )
    max_submit: int | None = Field(
        None, ge=1, description="jobs in the queue at once; default: what the cluster says"
    )
    node: Node | None = Field(
        None, description="a whole node: jobs are packed on it, and it is asked for as --exclusive"
    )
    signal_seconds: int = Field(
        90,
        ge=10,
        description="warning before the time limit, for a checkpoint; at most half of the limit",
    )
    kill_on_invalid_dependency: bool = Field(
        False, description="let Slurm cancel the children of failed jobs itself"
    )
    python: str | None = Field(
        None, min_length=1, description="interpreter on the nodes; default: the launcher's"
    )
    options: dict[str, str | int | bool] = Field(
        default_factory=dict, description="more #SBATCH options, e.g. {mail-type: FAIL}"
    )
