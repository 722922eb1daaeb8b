"""Standing promises of the whole package."""

import importlib
import json
import os
import pkgutil
import subprocess
import sys

import pytest

import leadml
from leadml import errors

HEAVY = {
    "pandas",
    "sklearn",
    "mlflow",
    "shap",
    "matplotlib",
    "scipy",
    "pyarrow",
    "skops",
    "duckdb",
    "sqlglot",
}


def loaded_by(code: str) -> set[str]:
    """Return the top-level modules that a fresh interpreter has loaded after `code`."""
    program = f"{code}\nimport sys, json; print(json.dumps(sorted({{m.split('.')[0] for m in sys.modules}})))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.strip().splitlines()[-1]))


def test_importing_leadml_loads_nothing_heavy():
    assert not loaded_by("import leadml, leadml.definitions, leadml.__main__") & HEAVY


def test_every_public_name_exists():
    modules = [info.name for info in pkgutil.walk_packages(leadml.__path__, "leadml.")]
    public = [name for name in modules if not any(part.startswith("_") for part in name.split(".")[1:])]
    assert "leadml.definitions" in public
    for name in ["leadml", *public]:
        module = importlib.import_module(name)
        exported = module.__all__
        assert len(exported) == len(set(exported)), name
        for item in exported:
            assert getattr(module, item) is not None, f"{name}.{item}"
        assert set(exported) <= set(dir(module)) | set(exported)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = leadml.nothing
    assert "load_definition" in dir(leadml)


def test_every_error_keeps_its_findings_and_refines_a_builtin():
    for name in errors.__all__:
        kind = getattr(errors, name)
        error = kind("one.", "two.")
        assert error.findings == ("one.", "two.")
        assert str(error) == "one.\ntwo."
        assert kind is errors.LeadmlError or issubclass(kind, (ValueError, OSError))
        assert isinstance(kind.exit_code, int)


def test_nothing_is_written_or_read_from_the_environment_on_import(tmp_path):
    program = (
        "import os; before = dict(os.environ); import leadml.definitions; assert dict(os.environ) == before"
    )
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True)
    assert os.listdir(tmp_path) == []
