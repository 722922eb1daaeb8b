"""Any table that a contract can describe gives a model or a reason, finite scores and the same bundle."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from leadml.explain import explain_model
from leadml.leads import parse_contract
from leadml.models import UntrainedModel, load_bundle, train_model, write_bundle


def _missing(n, dtype):
    return pd.Series([None] * n, dtype=dtype)


def _column(rng, n, y):
    """Draw one column: its declared type, more contract keys, its values."""
    hole = pd.Series(rng.random(n) < 0.2)
    draws = [
        ("number", "", pd.Series(rng.normal(size=n)).mask(hole)),
        ("number", "", _missing(n, rng.choice(["float64", "object", "str", "Int64"]))),
        ("number", "", pd.Series([3.0] * n)),
        ("integer", "", pd.Series(rng.integers(0, 9, n)).astype("Int64").mask(hole)),
        ("number", "", pd.Series(np.exp(rng.normal(0, 100, n)))),
        ("number", "", pd.Series(np.where(rng.random(n) < 0.1, np.inf, rng.normal(size=n)))),
        ("number", "", pd.Series([np.inf] * n)),
        ("number", "", pd.Series([None if gone else 1 for gone in hole], dtype=object)),
        ("number", "", pd.Series(y)),
        ("category", "", pd.Series(pd.Categorical(rng.choice(list("abcd"), n, p=[0.6, 0.3, 0.09, 0.01])))),
        ("category", "", pd.Series(rng.choice(list("abc"), n), dtype="str").mask(hole)),
        ("category", "", pd.Series(pd.Categorical(["a"] * n, categories=["a", "b"]))),
        ("category", "", pd.Series(np.floor(rng.pareto(1, n) * 3)).astype(int).astype(str)),
        ("category", "", pd.Series(rng.integers(0, 70, n)).astype(str)),
        ("boolean", "", pd.Series(rng.random(n) < 0.5)),
        ("boolean", "", pd.Series(rng.random(n) < 0.5).astype("boolean").mask(hole)),
        ("ordinal", ", levels: [lo, mid, hi]", pd.Series(rng.choice(["lo", "mid", "hi", "?"], n)).mask(hole)),
        (
            "date",
            ', format: "%Y-%m-%d"',
            pd.Series(
                pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(-40_000, 4_000, n), unit="D")
            ).mask(hole),
        ),
        ("date", ', format: "%Y-%m-%d"', pd.Series([pd.NaT] * n)),
    ]
    return draws[rng.integers(len(draws))]


def _table(seed):
    rng = np.random.default_rng(seed)
    n, k = int(rng.choice([25, 60, 200, 700, 2000])), int(rng.choice([1, 3, 10, 25]))
    y = (rng.random(n) < rng.choice([0.05, 0.3, 0.5, 0.9])).astype(float)
    lines, frame = [], {}
    for j in range(k):
        kind, keys, frame[f"c{j}"] = _column(rng, n, y)
        lines.append(f"  c{j}: {{from: leads.c{j}, role: attribute, type: {kind}{keys}}}")
    contract = parse_contract(
        "name: any\ntables: {leads: {path: x.csv}}\ncolumns:\n  lead_id: {from: leads.id, role: id}\n"
        '  created_on: {from: leads.c, role: created, type: date, format: "%Y-%m-%d"}\n'
        "  rep: {from: leads.rep, role: rep}\n" + "\n".join(lines)
    )
    t0 = pd.Series(pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 400, n), unit="D"))
    clock = rng.choice(["dates", "one day", "gaps", "zone", "numbers"])
    if clock == "one day":
        t0[:] = t0[0]
    elif clock == "gaps":
        t0 = t0.mask(pd.Series(rng.random(n) < 0.5))
    elif clock == "zone":
        t0 = t0.dt.tz_localize("Europe/Vienna")
    elif clock == "numbers":
        t0 = pd.Series(rng.permutation(n).astype(float))
    rep = pd.Series(rng.choice(["a", "b", "c", ""], n, p=[0.4, 0.3, 0.2, 0.1])).replace("", None)
    if rng.random() < 0.5:
        y = np.where((rep == "a").to_numpy(dtype=bool) & (rng.random(n) < 0.5), 1.0, y)
    frame = pd.DataFrame(frame).assign(created_on=t0, rep=rep)
    label = np.where(rng.random(n) < 0.1, np.nan, y)
    targets = pd.DataFrame({"t0": t0, "accepted": label, "accepted_mature": True})
    place = np.argsort(np.argsort(t0.to_numpy(), kind="stable"), kind="stable")
    return frame, contract, targets, place < 0.6 * n, rng.permutation(n)


def _train(frame, contract, targets, early):
    return train_model(
        SimpleNamespace(frame=frame, contract=contract),
        targets,
        target="accepted",
        definition=None,
        split=SimpleNamespace(discover=early, confirm=~early),
    )


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(30))
def test_any_table_gives_a_model_or_a_reason(seed, tmp_path):
    frame, contract, targets, early, shuffle = _table(seed)
    model = _train(frame, contract, targets, early)
    assert model._repr_html_()
    if isinstance(model, UntrainedModel):
        assert model.reason.startswith("cannot train:")
        return
    p = model.predict_proba(frame)
    assert ((p >= 0) & (p <= 1)).all()
    digest = write_bundle({"accepted": model}, tmp_path / "b", definition=None, contract=contract)
    np.testing.assert_array_equal(load_bundle(tmp_path / "b").predict(frame)["probability_accepted"], p)
    assert explain_model(model, frame, max_rows=50).additivity_error < 1e-6

    other = _train(
        frame.iloc[shuffle].reset_index(drop=True),
        contract,
        targets.iloc[shuffle].reset_index(drop=True),
        early[shuffle],
    )
    assert write_bundle({"accepted": other}, tmp_path / "o", definition=None, contract=contract) == digest

    blank = frame.assign(**{f.name: frame[f.name].iloc[:0].reindex(frame.index) for f in model.features})
    assert np.isfinite(model.predict_proba(blank)).all()
    assert np.array_equal(model.predict_proba(frame.iloc[::-1]), p[::-1])
