"""Whether something can be written, and that only one process writes it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from kagaku.errors import InputError
from kagaku.outputs import check_apart, writing_alone

HOLDING = """
import sys, time
from pathlib import Path
from kagaku.outputs import writing_alone
with writing_alone(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_another_process_keeps_an_output_to_itself_until_it_is_killed(tmp_path: Path) -> None:
    output = tmp_path / "deep/v.parquet"
    command = [sys.executable, "-c", HOLDING, str(output)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        told = "v.parquet: another process is writing this output. Wait until it is done"
        with pytest.raises(InputError, match=told), writing_alone(output):
            pass
        os.kill(process.pid, signal.SIGKILL)
    assert (tmp_path / "deep/v.parquet.lock").exists(), "left behind by the kill"
    with writing_alone(output):
        pass
    assert not list(output.parent.iterdir())


def test_two_outputs_are_written_side_by_side(tmp_path: Path) -> None:
    with writing_alone(tmp_path / "a.csv"), writing_alone(tmp_path / "b.csv"):
        pass
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("output", ["a.csv", "a.npy", "sub/../a.csv"])
def test_an_input_is_replaced_neither_by_its_output_nor_by_the_list_of_bad_rows(
    tmp_path: Path, output: str
) -> None:
    (tmp_path / "sub").mkdir()
    source = tmp_path / ("a.rejected.csv" if output.endswith(".npy") else "a.csv")
    with pytest.raises(InputError, match="the output would replace the input"):
        check_apart(source, tmp_path / output)
    check_apart(source, tmp_path / "b.csv")
