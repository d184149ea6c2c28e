"""docs/reference is what the classes and schemas say, and every class says it."""

from __future__ import annotations

from reference_pages import ERRORS, JSON, classes, errors_page, json_page


def test_the_page_of_errors_is_that_of_the_classes() -> None:
    assert ERRORS.read_text() == errors_page(), "run 'make reference'"


def test_the_page_of_json_is_that_of_the_schemas() -> None:
    assert JSON.read_text() == json_page(), "run 'make reference'"


def test_every_error_has_a_meaning_and_says_what_helps() -> None:
    assert [kind.__name__ for kind in classes() if not kind.__doc__ or not kind.next_step] == []


def test_a_code_has_one_exit_code() -> None:
    seen: dict[str, int] = {}
    for kind in classes():
        assert seen.setdefault(kind.code, kind.exit_code) == kind.exit_code, kind.code
