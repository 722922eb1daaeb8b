"""Batch scores for a scheduler: each lead's class, probabilities and reasons, written whole or not at all."""

from leadml.scoring._crm import CrmName, write_crm_file
from leadml.scoring._frame import SCORE_COLUMNS, score_frame
from leadml.scoring._manifest import ScoreManifest
from leadml.scoring._score import score_leads
from leadml.scoring._spark_leads import SparkLeads, leads_on_spark
from leadml.scoring._warehouse import compile_score_sql

__all__ = [
    "SCORE_COLUMNS",
    "CrmName",
    "ScoreManifest",
    "SparkLeads",
    "compile_score_sql",
    "leads_on_spark",
    "score_frame",
    "score_leads",
    "write_crm_file",
]
