"""A log that is followed: no line is lost or shown twice, whatever its writer does to it."""

from __future__ import annotations

from pathlib import Path

from quorate.host.log_file import LogFile


def test_new_lines_follow_the_last_ones(tmp_path: Path) -> None:
    path = tmp_path / "log"
    log = LogFile(path)
    assert log.last() == [] and log.new() == []
    path.write_text("a\nb\nhal")
    assert LogFile(path).last() == ["a", "b"]
    assert log.new() == ["a", "b"] and log.new() == []
    with path.open("a") as file:
        file.write("f\nc\n")
    assert log.new() == ["half", "c"]


def test_a_rotated_log_is_read_from_its_beginning(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("old\n")
    log = LogFile(path)
    assert log.last() == ["old"]
    path.rename(tmp_path / "log.1")
    assert log.new() == []
    path.write_text("new one\n")
    assert log.new() == ["new one"]
    path.write_text("cut\n")
    assert log.new() == ["cut"]


def test_of_a_long_log_the_end_is_read(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("".join(f"{number:06}\n" for number in range(100_000)))
    found = LogFile(path).last()
    assert found[-1] == "099999" and 4000 < len(found) < 5000
