"""docs/reference is what the classes say, and every class says it."""

from __future__ import annotations

from error_reference import PAGE, classes, page


def test_the_page_of_errors_is_that_of_the_classes() -> None:
    assert PAGE.read_text() == page(), "run 'make reference'"


def test_every_error_has_a_meaning_and_says_what_helps() -> None:
    assert [kind.__name__ for kind in classes() if not kind.__doc__ or not kind.next_step] == []


def test_a_code_has_one_exit_code() -> None:
    seen: dict[str, int] = {}
    for kind in classes():
        assert seen.setdefault(kind.code, kind.exit_code) == kind.exit_code, kind.code
