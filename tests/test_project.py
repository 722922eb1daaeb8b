"""The files around the package keep their promises."""

import re
import subprocess
import tomllib

import pytest

from leadml.definitions import describe_rules


@pytest.fixture(scope="module")
def readme(root):
    return (root / "README.md").read_text("utf-8")


def test_the_readme_opens_with_the_two_commands(readme):
    commands = re.findall(r"```sh\n(.*?)\n```", readme, re.DOTALL)[:2]
    assert [command.count("\n") for command in commands] == [0, 0]
    assert commands[0].endswith("&& leadml demo")
    assert commands[1].endswith("&& poe check")
    assert f"<!-- test-command -->\n```sh\n{commands[1]}\n```" in readme


def test_the_readmes_rules_are_the_linters(readme):
    block = re.search(r"<!-- rules -->\n(.*?)\n<!-- /rules -->", readme, re.DOTALL)[1]
    rows = [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in block.splitlines()[2:]]
    assert rows == [(r.code, r.severity, r.name, r.why, r.needs) for r in describe_rules()]


def test_every_file_that_the_readme_names_is_there(readme, root):
    for target in re.findall(r"\]\(([^)#]+)\)", readme):
        assert target.startswith("http") or (root / target).exists(), target


def test_the_lock_file_names_the_public_index_only(root):
    hosts = set(re.findall(r"https?://([^/\"]+)", (root / "uv.lock").read_text("utf-8")))
    assert hosts == {"pypi.org", "files.pythonhosted.org"}


def test_every_dependency_has_a_lower_and_an_upper_bound(root):
    project = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]
    for requirement in project["dependencies"]:
        assert re.search(r">=[\d.]+,<[\d.]+$", requirement), requirement


def test_no_tracked_file_names_a_path_of_somebodys_machine(root):
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    pattern = re.compile(rb"(?<![A-Za-z0-9_.])/(?:home|root|work|Users)/[A-Za-z0-9]")
    for name in filter(None, listed.stdout.decode().split("\0")):
        path = root / name
        if path.is_file() and path.suffix != ".svg":
            assert not pattern.search(path.read_bytes()), name


def test_no_data_set_is_tracked(root):
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    names = [name for name in listed.stdout.decode().split("\0") if name]
    data = [name for name in names if name.endswith((".parquet", ".xlsx", ".csv", ".gz", ".db", ".csv.zip"))]
    assert all((root / name).stat().st_size < 20_000 for name in data if (root / name).exists()), data


def test_notebooks_are_committed_without_outputs(root):
    import json

    notebooks = sorted((root / "notebooks").glob("*.ipynb"))
    assert notebooks
    for path in notebooks:
        cells = json.loads(path.read_text("utf-8"))["cells"]
        code = [cell for cell in cells if cell["cell_type"] == "code"]
        assert len(code) <= 15, path.name
        for cell in code:
            assert (cell["outputs"], cell["execution_count"]) == ([], None), path.name
            assert not re.search(r"^\s*(def|class) ", "".join(cell["source"]), re.MULTILINE), path.name
