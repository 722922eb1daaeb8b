"""Definitions and scorers as MLflow models from code: a script and plain files, nothing pickled."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leadml.tracking._items import RegisteredDefinition, RegisteredScorer

if TYPE_CHECKING:
    from mlflow.models import ModelSignature

__all__ = ["SCORED_COLUMNS", "save_model"]

SCORED_COLUMNS = (
    ("lead_class", "string"),
    ("probability_accepted", "double"),
    ("probability_won", "double"),
    ("reasons", "string"),
    ("definition_version", "string"),
    ("bundle", "string"),
)

DEFINITION_CODE = '''\
"""A lead definition as an MLflow model: leads in, their classes out. The definition is the YAML artifact."""

import mlflow
from mlflow.models import set_model


class DefinitionModel(mlflow.pyfunc.PythonModel):
    """Assigns each lead to the first class whose criteria it meets."""

    def load_context(self, context):
        from leadml.definitions import load_definition

        self.definition = load_definition(context.artifacts["definition"])

    def predict(self, context, model_input, params=None):
        from leadml.definitions import assign_classes

        leads = model_input.copy()
        for attribute in self.definition.attributes:
            if attribute.type == "boolean" and attribute.name in leads:
                leads[attribute.name] = leads[attribute.name].astype("boolean")
        return assign_classes(self.definition, leads).astype(str)


set_model(DefinitionModel())
'''

SCORER_CODE = '''\
"""A definition and a model bundle as an MLflow model: leads in, the columns of a score file out."""

import json

import mlflow
from mlflow.models import set_model


class LeadScorer(mlflow.pyfunc.PythonModel):
    """Scores leads; the bundle is refused if its digest or its test rows are not what they were."""

    def load_context(self, context):
        from leadml.definitions import load_definition
        from leadml.models import load_bundle

        with open(context.artifacts["scorer"], encoding="utf-8") as stream:
            self.facts = json.load(stream)
        self.definition = load_definition(context.artifacts["definition"])
        self.bundle = load_bundle(context.artifacts["bundle"], digest=self.facts["digest"])

    def predict(self, context, model_input, params=None):
        import pandas as pd

        from leadml.scoring import score_frame

        leads = model_input.copy()
        for name, kind in self.facts["columns"]:
            if name not in leads:
                continue
            if kind == "boolean":
                leads[name] = leads[name].astype("boolean")
            elif kind == "number":
                leads[name] = pd.to_numeric(leads[name]).astype("float64")
            elif kind == "date":
                leads[name] = pd.to_datetime(leads[name])
        leads["_row"] = range(len(leads))
        scores = score_frame(leads, definition=self.definition, bundle=self.bundle, id_column="_row")
        return scores.drop(columns="lead_id").reset_index(drop=True)


set_model(LeadScorer())
'''


def save_model(item: RegisteredDefinition | RegisteredScorer, folder: Path) -> None:
    """Write an item as an MLflow model from code.

    Parameters
    ----------
    item : RegisteredDefinition or RegisteredScorer
        What to write.
    folder : Path
        Where the model is written; it must not exist.
    """
    import mlflow.pyfunc

    from leadml import __version__

    files: dict[str, tuple[str, bytes]] = {"definition": ("definition.yaml", item.text.encode("utf-8"))}
    code = DEFINITION_CODE
    if isinstance(item, RegisteredScorer):
        code = SCORER_CODE
        facts = json.dumps({"digest": item.digest, "columns": item.columns})
        files["scorer"] = ("scorer.json", facts.encode("ascii"))
        files["bundle"] = ("models.leadml-bundle", item.bundle)
    with tempfile.TemporaryDirectory() as sources:
        script = Path(sources, "model.py")
        script.write_text(code, encoding="utf-8")
        for name, content in files.values():
            Path(sources, name).write_bytes(content)
        mlflow.pyfunc.save_model(
            str(folder),
            python_model=str(script),
            artifacts={key: str(Path(sources, name)) for key, (name, _) in files.items()},
            pip_requirements=[f"leadml=={__version__}"],
            signature=_signature(item),
        )


def _signature(item: RegisteredDefinition | RegisteredScorer) -> ModelSignature | None:
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, Schema
    from mlflow.types.schema import AnyType

    types: dict[str, Any] = {
        "number": DataType.double,
        "text": DataType.string,
        "boolean": AnyType(),
        "date": DataType.datetime,
    }
    if not item.columns:
        return None
    inputs = [ColSpec(types[kind], name, required=False) for name, kind in item.columns]
    outputs = [ColSpec(DataType.string)]
    if isinstance(item, RegisteredScorer):
        outputs = [ColSpec(DataType[kind], name) for name, kind in SCORED_COLUMNS]
    return ModelSignature(inputs=Schema(inputs), outputs=Schema(outputs))
