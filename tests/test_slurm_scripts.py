"""The batch scripts, run by a plain shell with stand-ins for SLURM's commands."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SCRIPTS = sorted((ROOT / "scripts" / "slurm").glob("*.sbatch"))

SRUN = """#!/bin/bash
echo "$@" >"$TOLD/arguments"
trap 'exit "$STATUS_WHEN_ASKED"' USR1
touch "$TOLD/running"
for _ in $(seq 200); do
    [ -e "$TOLD/finish" ] && exit "$(cat "$TOLD/finish")"
    read -rt 0.05 <> <(:) # unlike sleep, it lets the trap run at once
done
"""

SCONTROL = """#!/bin/bash
echo "$@" >"$TOLD/queued"
"""


def started(script: Path, told: Path, status_when_asked: int) -> subprocess.Popen[bytes]:
    """Run a script and return it once its step runs."""
    for name, content in {"srun": SRUN, "scontrol": SCONTROL}.items():
        (told / name).write_text(content)
        (told / name).chmod(0o755)
    environment = {
        **os.environ,
        "PATH": f"{told}:{os.environ['PATH']}",
        "TOLD": str(told),
        "STATUS_WHEN_ASKED": str(status_when_asked),
        "SLURM_JOB_ID": "17",
    }
    job = subprocess.Popen(["bash", script, "a corpus", "run"], cwd=ROOT, env=environment)
    for _ in range(200):
        if (told / "running").exists():
            return job
        time.sleep(0.05)
    job.kill()
    raise AssertionError("the step did not start")


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
@pytest.mark.parametrize("status", [130, 137, 143, 0])
def test_a_step_that_was_asked_to_stop_is_queued_again_unless_it_had_finished(
    tmp_path: Path, script: Path, status: int
) -> None:
    job = started(script, tmp_path, status)
    job.send_signal(signal.SIGUSR1)
    assert job.wait(timeout=20) == status
    assert (tmp_path / "queued").exists() == (status != 0)
    if status:
        assert (tmp_path / "queued").read_text() == "requeue 17\n"
    told = (tmp_path / "arguments").read_text()
    assert told.startswith(f"--kill-on-bad-exit=1 kagaku pretrain configs/{script.stem}.yaml")
    assert told.endswith("--corpus a corpus --output run\n")


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
@pytest.mark.parametrize("status", [0, 1, 137])
def test_one_that_ended_by_itself_is_not(tmp_path: Path, script: Path, status: int) -> None:
    job = started(script, tmp_path, 130)
    (tmp_path / "finish").write_text(str(status))
    assert job.wait(timeout=20) == status
    assert not (tmp_path / "queued").exists()


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_recipes_are_there_and_the_signal_goes_to_the_script(script: Path) -> None:
    assert (ROOT / "configs" / f"{script.stem}.yaml").is_file()
    assert "#SBATCH --signal=B:USR1@300" in script.read_text()
    assert "#SBATCH --requeue" in script.read_text()


def test_there_are_scripts() -> None:
    assert {path.stem for path in SCRIPTS} == {"pretrain_base", "pretrain_large"}
