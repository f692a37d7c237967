"""Write every dashboard's JSON and docs/dashboards.md anew: `make dashboards`."""

from pathlib import Path

from dashboards.boards import BOARDS
from dashboards.document import document
from dashboards.grafana import json_of

FOLDER = Path(__file__).parent / "json"
PAGE = Path(__file__).parents[1] / "docs" / "dashboards.md"


def main() -> None:
    """Write a file for each dashboard, and remove those of dashboards that are no more."""
    FOLDER.mkdir(exist_ok=True)
    for old in FOLDER.glob("*.json"):
        old.unlink()
    for board in BOARDS:
        (FOLDER / f"{board.uid}.json").write_text(json_of(board), "utf-8")
    PAGE.write_text(document(), "utf-8")


if __name__ == "__main__":
    main()
