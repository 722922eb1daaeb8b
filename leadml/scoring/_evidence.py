"""Evidence counts on Spark: one aggregation, the same integers as on one machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from leadml.scoring._spark import spark_session

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from leadml.propose import CountRequest, JointCounts

__all__ = ["count_on_spark"]

_VIEW = "leadml_evidence"


def count_on_spark(
    request: CountRequest, *, spark: Any = None, table: str | None = None
) -> tuple[JointCounts, ...]:
    """Count the evidence on Spark, all tables in one aggregation.

    Parameters
    ----------
    request : CountRequest
        What `leadml.propose.propose_changes` asks for.
    spark : SparkSession, optional
        By default the active one, else a local one that ends with the count.
    table : str, optional
        A table or view with the definition's attributes and the column ``evidence_cell``: then no lead passes
        through this process. By default the request's own leads are sent.

    Returns
    -------
    tuple of JointCounts
        As from `leadml.propose.count_locally`.

    Raises
    ------
    LeadsError
        If pyspark (extra ``spark``) or Java is not installed.
    """
    with spark_session(spark) as session:
        if table is None:
            session.createDataFrame(_to_arrow(request.to_frame())).createOrReplaceTempView(_VIEW)
        try:
            answer = session.sql(request.to_sql(dialect="spark", table=table or _VIEW)).toArrow()
        finally:
            if table is None:
                session.catalog.dropTempView(_VIEW)
    job, key, n = (answer.column(name).to_numpy().astype(np.int64) for name in ("job", "key", "n"))
    return request.read(job, key, n)


def _to_arrow(frame: pd.DataFrame) -> pa.Table:
    """Turn a frame into a table without dictionaries, which Spark does not take."""
    import pyarrow as pa

    table = pa.Table.from_pandas(frame, preserve_index=False)
    plain = [
        pa.field(field.name, pa.string() if pa.types.is_dictionary(field.type) else field.type)
        for field in table.schema
    ]
    return table.cast(pa.schema(plain))
