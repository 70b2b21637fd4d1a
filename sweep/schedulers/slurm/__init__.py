"""Slurm: few arrays through `sbatch`, what becomes of them through `squeue` and `sacct`."""
