"""A tracking store made once and copied for each test."""

import shutil
import warnings
from pathlib import Path

import pytest

from leadml.tracking._sender import Store


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory):
    """Path of an initialised SQLite store without runs."""
    folder = tmp_path_factory.mktemp("store")
    path = folder / "mlflow.db"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow's own, see `pytestmark` of test_sender
        Store(uri=f"sqlite:///{path}", spool=folder / "spool").connect()
    return path


@pytest.fixture
def store_folder(tmp_path, empty_store) -> Path:
    """An output folder that holds a copy of the empty store."""
    shutil.copy(empty_store, tmp_path / "mlflow.db")
    return tmp_path
