#!/bin/bash

# Parameters
#SBATCH --array=0-1%4
#SBATCH --chdir=/results/slurm/0001-ab
#SBATCH --cpus-per-task=12
#SBATCH --gpus-per-node=8
#SBATCH --job-name=tokenizer+reconstruct@0001-ab
#SBATCH --mem=921600M
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=8
#SBATCH --open-mode=append
#SBATCH --output=/results/slurm/0001-ab/%A_%a.out
#SBATCH --requeue
#SBATCH --signal=USR2@120
#SBATCH --time=2880

# setup
export OMP_NUM_THREADS=12
export MKL_NUM_THREADS=12
export OPENBLAS_NUM_THREADS=12
export NUMEXPR_NUM_THREADS=12
export PYTHONPATH='/results/code/0123 x'${PYTHONPATH:+:$PYTHONPATH}
export PYTHONSAFEPATH=1

# command
export SUBMITIT_EXECUTOR=slurm
srun --unbuffered --export=ALL --ntasks=16 --cpus-per-task=12 --ntasks-per-node=8 --kill-on-bad-exit=1 --wait=0 sh -c 'trap "" USR2; exec "$@"' sh '/opt/my env/bin/python' -u -m sweep.schedulers.slurm.task /results/slurm/0001-ab
