#!/bin/bash

# Parameters
#SBATCH --account=lab
#SBATCH --array=0-2,7%4
#SBATCH --chdir='/shared/odd näme 雪 '"'"'q'"'"' $x/slurm/0001-ab'
#SBATCH --constraint='ib&h100'
#SBATCH --cpus-per-task=8
#SBATCH --dependency=aftercorr:12:13
#SBATCH --gres=gpu:h100:1
#SBATCH --job-name=tokenizer+reconstruct@0001-ab
#SBATCH --kill-on-invalid-dep=yes
#SBATCH --mail-type=FAIL
#SBATCH --mem=61952M
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --open-mode=append
#SBATCH --output='/shared/odd näme 雪 '"'"'q'"'"' $x/slurm/0001-ab/%A_%a.out'
#SBATCH --overcommit
#SBATCH --partition=gpu
#SBATCH --qos=long
#SBATCH --requeue
#SBATCH --reservation=july
#SBATCH --signal=USR2@120
#SBATCH --time=2190

# setup
module load cuda
export HF_HOME='/big disk'
export OMP_NUM_THREADS=8
export MKL_NUM_THREADS=8
export OPENBLAS_NUM_THREADS=8
export NUMEXPR_NUM_THREADS=8
export PYTHONPATH='/results/code/0123 x'${PYTHONPATH:+:$PYTHONPATH}
export PYTHONSAFEPATH=1

# command
export SUBMITIT_EXECUTOR=slurm
srun --unbuffered --export=ALL --ntasks=1 --cpus-per-task=8 sh -c 'trap "" USR2; exec "$@"' sh apptainer exec --nv /images/vitok.sif '/opt/my env/bin/python' -u -m sweep.schedulers.slurm.task '/shared/odd näme 雪 '"'"'q'"'"' $x/slurm/0001-ab'
