"""What a list of words can guard of docs/style.md, and that the maps of the project name what is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NOT_OURS = re.compile(
    r"\b(in vain|of another mind|comes? of it|to be had|becomes of|gone on from|goes on from|going on from|"
    r"(?:taken|taking|takes? it|take) back)\b",
    re.IGNORECASE,
)
TEXTS = [*(ROOT / "src").rglob("*.py"), *(ROOT / "docs").rglob("*.md"), ROOT / "README.md"]
DOCUMENTS = sorted((ROOT / "docs").rglob("*.md"))
MAPS = [
    "docs/architecture.md",
    "docs/decisions/README.md",
    "docs/safety.md",
    "docs/security.md",
    "docs/library.md",
]


def test_no_word_of_the_list_is_used() -> None:
    style = ROOT / "docs" / "style.md"
    found = [
        f"{path.relative_to(ROOT)}:{number}: {match[0]}"
        for path in TEXTS
        if path != style
        for number, line in enumerate(path.read_text().splitlines(), 1)
        for match in NOT_OURS.finditer(line)
    ]
    assert found == []


def test_the_guard_finds_a_planted_word() -> None:
    assert NOT_OURS.search("the join is taken back") and not NOT_OURS.search("the join is rolled back")


@pytest.mark.parametrize("name", MAPS)
def test_files_and_rooms_that_a_map_names_exist(name: str) -> None:
    named = set(re.findall(r"`((?:[a-z_]+/)+(?:[a-z_]+\.(?:py|proto|md))?)`", (ROOT / name).read_text()))
    assert [one for one in sorted(named) if not any((base / one).exists() for base in (ROOT, ROOT / "src" / "quorate"))] == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.stem)
def test_links_between_documents_lead_somewhere(path: Path) -> None:
    links = re.findall(r"\]\((?!https?://|#)([^)#\s]+)", path.read_text())
    assert [link for link in links if not (path.parent / link).exists()] == []


@pytest.mark.parametrize("path", [*DOCUMENTS, ROOT / "README.md", ROOT / "CONTRIBUTING.md"], ids=lambda path: path.stem)
def test_links_to_a_heading_lead_to_one(path: Path) -> None:
    links = re.findall(r"\]\((?!https?://)([^)#\s]*)#([^)\s]+)\)", path.read_text())
    assert [(name, anchor) for name, anchor in links if anchor not in anchors(path.parent / name if name else path)] == []


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ +(.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def test_what_troubleshooting_quotes_is_what_is_printed() -> None:
    """The first words in a row are those of a message: one that changes takes its row along."""
    rows = re.findall(r"^\| `([^`]+)`", (ROOT / "docs" / "troubleshooting.md").read_text(), re.MULTILINE)
    folders = (ROOT / "src" / "quorate", ROOT / "engines")
    printed = "".join(path.read_text() for folder in folders for path in folder.rglob("*") if path.suffix in (".py", ".sh"))
    assert len(rows) > 20
    of_the_shell = {"command not found"}
    numbers = {"0 more may fail": "more may fail"}
    assert [row for row in rows if numbers.get(row, row) not in printed and row not in of_the_shell] == []


def test_every_page_is_in_the_index() -> None:
    index = (ROOT / "docs" / "README.md").read_text()
    pages = [path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")]
    pages = [page for page in pages if not page.startswith("decisions/0") and page != "README.md"]
    assert [page for page in pages if f"({page}" not in index] == []


def test_every_decision_is_in_the_index() -> None:
    folder = ROOT / "docs" / "decisions"
    index = (folder / "README.md").read_text()
    titles = {path.name: path.read_text().splitlines()[0].split(". ", 1)[1] for path in folder.glob("0*.md")}
    assert [name for name, title in titles.items() if f"[{title}]({name})" not in index] == []


def test_every_decision_is_named_where_it_is_carried_out() -> None:
    """The index names the files; one of them says which decision explains it. Two are about no code of ours."""
    index = (ROOT / "docs" / "decisions" / "README.md").read_text()
    rows = re.findall(r"^\| (\d+) \| .*\| ([^|]*) \|$", index, re.MULTILINE)
    assert len(rows) == len(list((ROOT / "docs" / "decisions").glob("0*.md")))
    unnamed = [
        number for number, files in rows if number not in ("6", "8") and not _is_named(number, re.findall(r"`([^`]+)`", files))
    ]
    assert unnamed == []


def _is_named(number: str, files: list[str]) -> bool:
    paths = [ROOT / "src" / "quorate" / name for name in files]
    texts = [path.read_text() for path in paths if path.is_file()] + [
        (path / "__init__.py").read_text() for path in paths if path.is_dir()
    ]
    return any(re.search(rf"decision\s+{number}\)", text) for text in texts)
