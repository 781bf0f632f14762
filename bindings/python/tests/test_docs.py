"""The documentation's Python is run as printed, and what its commands name is there."""

import re
import subprocess
import sys

import pytest
from conftest import ROOT

DOCS = ["docs/PYTHON.md", "bindings/python/README.md"]


def blocks(page, language):
    return re.findall(rf"^```{language}\n(.*?)^```$", (ROOT / page).read_text(), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", DOCS)
def test_snippets_run_as_printed(page, tmp_path):
    """One after the other, in a folder that has the repository's assets."""
    (tmp_path / "assets").symlink_to(ROOT / "assets")
    (tmp_path / "out").mkdir()
    program = "\n".join(blocks(page, "python"))
    assert program
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    for said in re.findall(r"print\(.*# (<.*>)$", program, re.MULTILINE):
        assert said in done.stdout, (said, done.stdout)


def test_commands_name_what_is_there():
    """Targets of make, scripts, and options of the example."""
    makefile = (ROOT / "Makefile").read_text()
    text = (ROOT / "docs/PYTHON.md").read_text()
    example = (ROOT / "bindings/python/examples/ray_folder.py").read_text()
    for target in re.findall(r"\bmake ([a-z-]+)", text):
        assert f"\n{target}:" in makefile, target
    for script in re.findall(r"python (\S+\.py)", text):
        assert (ROOT / script).exists(), script
    ray = text[text.index("## A cluster") :]
    for option in set(re.findall(r"--[a-z]+", ray)):
        assert f'"{option}"' in example, option
    for link in re.findall(r"\]\(([^)#]+)\)", text):
        assert (ROOT / "docs" / link).exists(), link
