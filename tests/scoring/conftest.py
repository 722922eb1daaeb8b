"""A small world: leads, a definition, a contract and a bundle, made once; a local Spark."""

import importlib.util
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from leadml.definitions import Definition, load_definition
from leadml.leads import (
    Contract,
    compute_targets,
    load_contract,
    read_leads,
    split_periods,
    write_synthetic_leads,
)
from leadml.models import Bundle, load_bundle, train_model, write_bundle


@dataclass(frozen=True)
class World:
    folder: Path
    contract_path: Path
    contract: Contract
    definition_path: Path
    definition: Definition
    bundle_path: Path
    bundle: Bundle


@pytest.fixture(scope="session")
def world(tmp_path_factory) -> World:
    """1,500 ugly leads and two models."""
    folder = tmp_path_factory.mktemp("world")
    files = write_synthetic_leads(folder, n_leads=1_500, random_state=0)
    contract = load_contract(files.contract_path)
    definition = load_definition(files.definition_path)
    table = read_leads(contract)
    targets = compute_targets(table)
    models = {
        target: train_model(
            table,
            targets,
            target=target,
            definition=definition,
            split=split_periods(table, targets, target=target),
        )
        for target in ("accepted", "won")
    }
    bundle_path = folder / "models.leadml-bundle"
    write_bundle(models, bundle_path, definition=definition, contract=contract)
    return World(
        folder=folder,
        contract_path=files.contract_path,
        contract=contract,
        definition_path=files.definition_path,
        definition=definition,
        bundle_path=bundle_path,
        bundle=load_bundle(bundle_path),
    )


@pytest.fixture(scope="module")
def session(request):
    missing = [
        name
        for name, here in (
            ("pyspark (extra spark)", importlib.util.find_spec("pyspark") is not None),
            ("Java", shutil.which("java") is not None),
        )
        if not here
    ]
    if missing and os.environ.get("LEADML_REQUIRE_SERVERS") == "1":
        pytest.fail(f"{missing[0]} is required here (LEADML_REQUIRE_SERVERS=1)")
    if missing:
        pytest.skip(f"{missing[0]} is not on this machine")
    from leadml.scoring._spark import spark_session

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LEADML_SPARK_MASTER", "local[2]")
        patch.delenv("SPARK_HOME", raising=False)
        with spark_session() as found:
            found.sparkContext.setLogLevel("ERROR")
            yield found
