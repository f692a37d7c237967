"""The documents against the code: what we promise in prose exists, under the name that we gave it."""

import importlib
import re
from functools import reduce
from pathlib import Path

import pytest

import meterline
from connectors.redis.keys import ALARM_MESSAGES, STREAMS
from domain.state import RECORDS, ROWS

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted(
    [ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "deploy" / "README.md", *(ROOT / "docs").rglob("*.md")]
)
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
WAY = ARCHITECTURE.split("## The way of one reading\n", 1)[1].split("\n## ", 1)[0]
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_DOTTED = re.compile(r"`([a-z_]+(?:\.\w+)+)`")
_FILE = re.compile(r"`((?:\w+/)+\w+\.(?:py|lua|md|toml))`")


def named(dotted):
    """What a dotted path of module and names leads to. Raises ImportError or AttributeError."""
    parts = dotted.split(".")
    names = []
    while True:
        try:
            module = importlib.import_module(".".join(parts))
        except ModuleNotFoundError:
            names.insert(0, parts.pop())
            if not parts:
                raise
        else:
            return reduce(getattr, names, module)


def rows(text, heading):
    """Cells of the table whose first column has this heading, without back-ticks."""
    table = text.split(f"| {heading} |", 1)[1].split("\n\n", 1)[0]
    return [[cell.strip(" `") for cell in line.strip("| ").split("|")] for line in table.splitlines()[2:]]


def test_the_way_of_one_reading_has_ten_lines():
    """A newcomer is promised ten lines from the meter to the meter."""
    lines = [line for line in WAY.splitlines() if line]

    assert [line.split(".")[0] for line in lines] == [str(number) for number in range(1, 11)]


@pytest.mark.parametrize("dotted", [name for name in _DOTTED.findall(WAY) if name != "commit.lua"])
def test_every_function_on_the_way_exists(dotted):
    """A function that is renamed or moved is renamed or moved in the architecture too."""
    assert callable(named(dotted))


def test_every_line_of_the_way_names_a_function():
    """Each of the ten lines says where to look."""
    assert all(set(_DOTTED.findall(line)) - {"commit.lua"} for line in WAY.splitlines() if line)


def test_a_name_that_is_not_there_is_found_out():
    """The check above can fail, for a module and for a name inside one."""
    with pytest.raises(AttributeError):
        named("flows.machine.no_such_function")
    with pytest.raises(ModuleNotFoundError):
        named("nowhere.at_all")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(document):
    """Every relative link and picture of a document exists."""
    links = [link.partition("#")[0] for link in _LINK.findall(document.read_text(encoding="utf-8"))]

    missing = [link for link in links if link and ":" not in link and not (document.parent / link).exists()]
    assert missing == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_files_that_are_named_exist(document):
    """A path in back-ticks that begins at one of our folders is a file of the repository."""
    named_files = _FILE.findall(document.read_text(encoding="utf-8"))

    ours = [file for file in named_files if (ROOT / file.split("/")[0]).is_dir()]
    assert [file for file in ours if not (ROOT / file).is_file()] == []


def test_the_readme_names_both_commands():
    """Whoever arrives sees at once how to watch it and how to check it, and the Makefile knows both."""
    readme, recipes = ((ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "Makefile"))

    for name in ("demo", "test"):
        assert f"$ make {name} " in readme
        assert re.search(rf"^{name}:", recipes, re.MULTILINE)


def test_the_table_of_commands_is_the_programs():
    """A command that is added is described, and one that is described exists; in the same order."""
    commands = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")

    assert [row[0] for row in rows(commands, "command")] == list(meterline.COMMANDS)


@pytest.mark.parametrize("name", ["log", "settled", "header", *ROWS, *RECORDS, *STREAMS, ALARM_MESSAGES])
def test_every_key_is_in_the_architecture(name):
    """Whoever looks into the store can look up what is there."""
    assert any(f"`{name}:{{07}}`" in line for line in ARCHITECTURE.splitlines() if line.startswith("|"))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_documents_name_no_machine(document):
    """A document is true on every machine: it has no paths of the one that it was written on."""
    assert not re.search(r"(?:^|[\s`(])/(?:home|root|tmp|work|Users)/", document.read_text(encoding="utf-8"))
