import pytest

from connectors.files.plan import load_options
from connectors.files.site import load_site
from connectors.modbus.profile import load_profile
from domain.documents import Lines, MistakesError, Part, is_json, lines_of, load, read_document

CHINESE = 'zone = "Asia/Shanghai"\nname = "阳光"\n'


def test_a_document_may_begin_with_a_mark_and_end_its_lines_as_windows_does(tmp_path):
    """What Notepad saves as UTF-8 reads like what any other editor saves."""
    path = tmp_path / "site.toml"
    path.write_bytes(b"\xef\xbb\xbf" + CHINESE.replace("\n", "\r\n").encode())

    assert read_document(path) == CHINESE


@pytest.mark.parametrize("load", [read_document, load_site, load_options, lambda path: load_profile(str(path))])
def test_a_document_in_another_encoding_says_how_to_save_it(tmp_path, load):
    """The line with the first such byte is named, whatever the document is for."""
    path = tmp_path / "own.toml"
    path.write_bytes(CHINESE.encode("gbk"))

    with pytest.raises(MistakesError, match=r"own.toml: line 2: encoding: .*save the file as UTF-8"):
        load(path)


def test_an_array_of_tables_has_the_line_of_its_first():
    """A misspelt `[[acount]]` is found where it stands."""
    lines = Lines("[site]\n\n[[acount]]\nid = 1\n[[acount]]\nid = 2\n")

    assert [lines.of(path) for path in [("acount",), ("acount", 0), ("acount", 1, "id")]] == [3, 3, 6]


class _Shop(Part):
    """A document of two keys."""

    name: str
    floor: int


def test_a_document_may_come_as_json():
    """A program sends the same keys in braces, after any white space, and gets the same."""
    assert is_json(' \n{"name": "阳光"}')
    assert not is_json("name = {}")
    assert load(_Shop, ' {"name": "阳光", "floor": 2}', "shop") == load(_Shop, 'name = "阳光"\nfloor = 2\n', "shop")


def test_mistakes_of_json_have_no_lines():
    """Every mistake is told by its key; only where the syntax ends there is a line to tell."""
    with pytest.raises(MistakesError) as caught:
        load(_Shop, '{"name": 7, "flor": 2}', "shop")

    assert [str(mistake) for mistake in caught.value.mistakes] == [
        "name: found 7; expected a valid string",
        "floor: found nothing; expected this key",
        "flor: found 2; expected no such key here",
    ]
    assert lines_of("{}").of(("name",)) == 0
    with pytest.raises(MistakesError, match=r"^shop: line 2: syntax: .*; expected JSON"):
        load(_Shop, '{"name": "阳光",\n}', "shop")
