"""Slurm's commands, played by shell scripts on PATH: what each prints is the test's to say."""

from __future__ import annotations

from pathlib import Path

import pytest

from sweep.schedulers.slurm.partitions import partitions

COMMANDS = ("sbatch", "squeue", "sacct", "scancel", "scontrol", "sacctmgr", "sinfo")
DOWN = "echo 'Unable to contact slurm controller (connect failure)' >&2; exit 1"
CONFIG = "echo 'MaxArraySize            = 1001'; echo 'MinJobAge               = 300 sec'"
# Takes every script as the next array, and shows all of it in the queue.
TAKES = """
n=$(( $(cat $DIR/count 2>/dev/null || echo 100) + 1 )); echo $n > $DIR/count
cp "$2" $DIR/script.$n
name=$(sed -n 's/^#SBATCH --job-name=//p' "$2")
indices=$(sed -n 's/^#SBATCH --array=//p' "$2" | cut -d% -f1 | tr ',' ' ')
for part in $indices; do for i in $(seq ${part%-*} ${part#*-}); do
  echo "$n|$i|PENDING|Priority||lab|normal|$name" >> $DIR/queue
done; done
"""


class Fake:
    """The folder of the played commands."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        partitions.cache_clear()
        (folder / "bin").mkdir(parents=True)
        for name in COMMANDS:
            self.plays(name, "true")
        self.plays("scontrol", CONFIG)
        self.plays("sbatch", TAKES + "echo $n")
        self.plays("squeue", "cat $DIR/queue 2>/dev/null; true")
        monkeypatch.setenv("PATH", f"{folder / 'bin'}:/usr/bin:/bin")

    def plays(self, name: str, body: str) -> None:
        """From now on the command does this, in bash; $DIR is where it may keep something."""
        path = self.folder / "bin" / name
        path.write_text(f'#!/bin/bash\nDIR={self.folder}\necho "{name} $*" >> $DIR/calls\n{body}\n')
        path.chmod(0o755)

    def queue(self, *rows: str) -> None:
        """What squeue shows."""
        (self.folder / "queue").write_text("".join(f"{row}\n" for row in rows))

    def calls(self, name: str) -> list[str]:
        """The command lines so far."""
        path = self.folder / "calls"
        lines = path.read_text().splitlines() if path.exists() else []
        return [line for line in lines if line.startswith(f"{name} ")]

    def scripts(self) -> list[str]:
        """What was handed to sbatch and taken, in order."""
        paths = sorted(self.folder.glob("script.*"), key=lambda path: int(path.suffix[1:]))
        return [path.read_text() for path in paths]
