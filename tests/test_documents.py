"""What the documents promise."""

import re
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]


def test_results_table_is_that_of_the_reports() -> None:
    command = [sys.executable, str(REPOSITORY / "scripts" / "update-readme"), "--check"]
    subprocess.run(command, check=True, timeout=60)


def test_the_tree_in_the_readme_is_true() -> None:
    tree = (REPOSITORY / "README.md").read_text().split("## The tree")[1].split("```")[1]
    package = REPOSITORY / "src" / "mien"
    named = re.findall(r"^  (\w+(?:\.py|/))", tree, flags=re.MULTILINE)
    assert named
    present = {f"{path.name}/" if path.is_dir() else path.name for path in package.iterdir()}
    ignored = {"__init__.py", "__main__.py", "__pycache__/", "py.typed"}
    assert set(named) == present - ignored
    for name in re.findall(
        r"^((?:scripts|benchmarks|\.ci|examples|experiments|reports)/\S*)", tree, flags=re.MULTILINE
    ):
        assert list(REPOSITORY.glob(name.rstrip(","))), name


def test_linked_files_exist() -> None:
    for document in ("README.md", "CONTRIBUTING.md", "MODEL_CARD.md"):
        for link in re.findall(r"\]\(([^)#]+)\)", (REPOSITORY / document).read_text()):
            assert link.startswith("https://") or (REPOSITORY / link).exists(), f"{document}: {link}"
