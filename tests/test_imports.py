"""Who may know whom: the arrows of the design, read from the source of every module."""

import ast
from pathlib import Path

import pytest

from domain.facts import RECORDS, ReadingBlock
from flows.machine import RULES

ROOT = Path(__file__).parents[1]
OURS = {"domain", "tariffs", "flows", "connectors", "reports", "api", "commands", "bench", "dashboards", "meterline"}
WIRING = {"flows/settle.py", "flows/count.py", "flows/archive.py", "flows/notify.py"}
"""The dataflows: the only files of `flows` that may know the wires."""

MAY_IMPORT = {
    "domain": {"domain"},
    "tariffs": {"tariffs", "domain"},
    "flows": {"flows", "tariffs", "domain"},
    "connectors": {"connectors", "domain"},
    "reports": {"reports", "connectors", "tariffs", "domain"},
    "api": {"api", "reports", "connectors", "tariffs", "domain"},
    "commands": OURS - {"dashboards"},
    "bench": OURS - {"dashboards"},
    "dashboards": {"dashboards"},
    "meterline": OURS - {"dashboards"},
}


def modules() -> list[str]:
    """Every product module, as a path from the root."""
    folders = [folder for folder in sorted(MAY_IMPORT) if (ROOT / folder).is_dir()]
    found = [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]
    return [path.relative_to(ROOT).as_posix() for path in [*found, ROOT / "meterline.py"]]


def imported(source: str) -> set[str]:
    """Names of the packages of ours that a source imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports name their package"
            found.add(node.module or "")
    return {name.split(".")[0] for name in found} & OURS


def allowed(module: str) -> set[str]:
    """Packages of ours that a module may import."""
    package = module.removesuffix(".py").split("/")[0]
    return MAY_IMPORT[package] | ({"connectors"} if module in WIRING else set())


@pytest.mark.parametrize("module", modules())
def test_imports_point_one_way(module):
    """Domain ← tariffs ← flows; connectors → domain; api never knows flows; only the wiring and the command line know all; dashboards know names of metrics and nothing else."""
    assert imported((ROOT / module).read_text(encoding="utf-8")) <= allowed(module)


@pytest.mark.parametrize("module", [module for module in modules() if module.startswith("connectors/files/")])
def test_files_know_no_server(module):
    """Reading a file needs no Redis: what a person imports can be checked on a laptop without one."""
    source = (ROOT / module).read_text(encoding="utf-8")

    assert "connectors.redis" not in source


def test_the_audit_shares_no_code_with_the_machine():
    """An auditor who used the machine's own functions would find nothing."""
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in (ROOT / "flows" / "audit").glob("*.py")]

    names = {node.module for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert not {name for name in names if name.startswith("flows") and not name.startswith("flows.audit")}
    assert not names & {"tariffs.timeline", "tariffs.series", "tariffs.periods"}


def test_the_model_shares_nothing_with_the_machine_but_the_audit():
    """The model that the machine is held against takes its money from the audit, and nothing else from flows."""
    sources = [path.read_text(encoding="utf-8") for path in (ROOT / "tests" / "flows" / "model").glob("*.py")]
    names = {
        name
        for source in sources
        for node in ast.walk(ast.parse(source))
        for name in (
            [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else [each.name for each in getattr(node, "names", ())]
        )
    }

    assert {name for name in names if name.startswith("flows")} == {"flows.audit", "flows.audit.book"}
    assert {name for name in names if name.startswith("tariffs")} == {"tariffs.rating"}


def test_the_slow_and_the_fast_way_to_price_share_nothing():
    """`rating` is the truth that the compiled timeline is held against, so neither may import the other."""
    rating, timeline = ((ROOT / "tariffs" / name).read_text(encoding="utf-8") for name in ("rating.py", "timeline.py"))

    for name in ("timeline", "series", "periods", "levels", "prepaid"):
        assert f"tariffs.{name}" not in rating
    assert "tariffs.rating" not in timeline


def test_every_fact_has_a_rule():
    """A fact that can be written can be folded; a rule without a fact would never be reached."""
    assert set(RULES) == {ReadingBlock, *RECORDS}


def test_every_kind_of_fact_has_its_own_name():
    """A log entry's kind says what to decode: two facts of one name would be one."""
    kinds = [fact.KIND for fact in (ReadingBlock, *RECORDS)]

    assert len(set(kinds)) == len(kinds)
