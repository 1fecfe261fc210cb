import io
import sys

import pytest

from pipeline import progress
from pipeline.progress import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_shows_a_bar_with_hours_speed_and_rejections(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    with Progress("encoding", 10) as bar:
        bar.advanced(clips=8, rejected=2, seconds=7200.0)
    shown = sys.stderr.getvalue()
    assert "10/10" in shown
    assert "2.00 h" in shown
    assert "× real time, 2 rejected" in shown


@pytest.mark.parametrize(("interval", "lines"), [(30.0, 0), (0.0, 2)])
def test_elsewhere_there_is_a_line_now_and_then(monkeypatch, capsys, interval, lines):
    monkeypatch.setattr(progress, "QUIET_INTERVAL", interval)
    with Progress("encoding", 1000) as bar:
        bar.advanced(clips=200, rejected=1, seconds=3600.0)
        bar.counted(299)
    said = capsys.readouterr().err.splitlines()
    assert len(said) == lines
    if said:
        assert said[-1].startswith("encoding: 500 of 1,000 clips, 0 s left, 1.00 h, ")


def test_before_anything_is_done_the_line_says_how_much_there_is(monkeypatch, capsys):
    monkeypatch.setattr(progress, "QUIET_INTERVAL", 0.0)
    with Progress("encoding", 5) as bar:
        bar.counted(0)
    assert capsys.readouterr().err == "encoding: 0 of 5 clips\n"


def test_a_total_that_may_grow_is_said_to_be_at_least_so_many(monkeypatch, capsys):
    monkeypatch.setattr(progress, "QUIET_INTERVAL", 0.0)
    with Progress("encoding", 0) as bar:
        bar.expect(100, whole=False)
        bar.counted(50)
        bar.expect(300, whole=True)
        bar.counted(50)
    said = capsys.readouterr().err.splitlines()
    assert said[0] == "encoding: 50 of at least 100 clips"
    assert said[1].startswith("encoding: 100 of 300 clips")
    monkeypatch.setattr(sys, "stderr", Terminal())
    with Progress("encoding", 0) as bar:
        bar.expect(100, whole=False)
        bar.counted(50)
    assert "of at least" in sys.stderr.getvalue()
