#!/usr/bin/env bash
# A sweep as an array of jobs over a shared folder:
#
#     sbatch examples/clusters/slurm.sh                  # all parts
#     sbatch --array=3,7 examples/clusters/slurm.sh      # some of them again
#
# PARTS and the numbers of --array go together.
#SBATCH --job-name=sweep
#SBATCH --array=1-64
#SBATCH --cpus-per-task=4
#SBATCH --mem-per-cpu=2G
#SBATCH --time=04:00:00
#SBATCH --signal=B:TERM@60
#SBATCH --output=sweep-%A-%a.log
set -euo pipefail

PARTS=64
OUT=${OUT:-$HOME/sweep}

. "${VENV:-$HOME/venv}/bin/activate"
# `exec`, so that the signal before the time is up reaches the command, which then keeps what is done.
exec compactproofs sweep max-of-4 max-of-5 --all --out "$OUT" \
  --jobs "${SLURM_CPUS_PER_TASK:-1}" --shard "$SLURM_ARRAY_TASK_ID/$PARTS"
