import os
import subprocess
import sys

import pytest

from search.store import trial_output
from search.store.trial_output import TrialOutput, finish_output, output_tail


@pytest.fixture
def path(tmp_path):
    return tmp_path / "logs" / "000003.log"


def test_everything_that_the_process_and_its_children_print_is_kept_in_order(path, capfd):
    output = TrialOutput(path)
    sys.stdout.write("from Python\n")
    os.write(2, b"from the descriptor\n")
    subprocess.run([sys.executable, "-c", "print('from a child')"], check=True)
    sys.stdout.write("held back")
    output.close()
    sys.stdout.write("after\n")
    assert path.read_text() == "from Python\nfrom the descriptor\nfrom a child\nheld back"
    assert capfd.readouterr().out == "after\n"


def test_output_of_a_trial_that_goes_on_is_added_and_an_empty_file_goes(path, capfd):
    TrialOutput(path).close()
    assert not path.exists()
    for text in ("one", "two"):
        output = TrialOutput(path)
        os.write(1, text.encode())
        output.close()
    first, between, second = path.read_text().splitlines()
    assert (first, second) == ("one", "two")
    assert "goes on in another process" in between


def test_long_output_loses_its_middle_as_often_as_it_has_to(path, capfd, monkeypatch):
    monkeypatch.setattr(trial_output, "LIMIT", 1000)
    monkeypatch.setattr(trial_output, "TAIL", 100)
    output = TrialOutput(path)
    for number in range(1000):
        os.write(1, b"line %06d\n" % number)
        output.check()
    output.close()
    text = path.read_text()
    assert len(text) <= 1100
    assert text.startswith("line 000000\nline 000001\n")
    assert text.endswith("line 000999\n")
    assert text.count("are left out") == 1


def test_secrets_are_taken_out_of_a_finished_file_and_of_what_is_shown(path):
    path.parent.mkdir()
    path.write_text("loss=0.5\nto postgresql://me:s3cret@db/runs\npassword=abc next\n")
    shown = output_tail(path, longest=1000)
    finish_output(path)
    assert path.read_text() == "loss=0.5\nto postgresql://me:***@db/runs\npassword=*** next\n"
    assert shown == path.read_text().rstrip()


def test_tail_is_whole_lines_a_terminal_can_show(path):
    path.parent.mkdir()
    path.write_bytes(b"first\nsecond\r\n10 %\r100 %\n\x1b[31mred\x1b[0m \xff\x00\n")
    assert output_tail(path, longest=1000) == "first\nsecond\n100 %\nred \\xff\\x00"
    assert output_tail(path, longest=20) == "...\nred \\xff\\x00"
    assert output_tail(path.with_name("none.log"), longest=10) == ""
