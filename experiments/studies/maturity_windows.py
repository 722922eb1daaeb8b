"""How long must a lead be waited for: the bias of each label against the window, METHODS.md 3.

Usage: python experiments/studies/maturity_windows.py [--reps 100] [--n-leads 6000]

Twenty-four months of leads, half of them small companies that close in about two months, half large ones that
take about six; 30 % of those that will not buy are never closed. Every label says "won within the window";
its bias is against the true chance of that, in percent of it, for small / large companies. `matured` is
leadml's label (`compute_targets`), `weighted` its weights for young leads, "from data" the window that leadml
takes from the lags itself. The second table says how often each label finds that the large companies, which
win more often in the end, win more; and which share of their deals comes after the window, when no label of
that window can know of them.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from _worlds import CONTRACT, new_parser, print_table

from leadml.leads import LeadTable, Manifest, compute_targets, target_windows
from leadml.propose import censoring_weights

if TYPE_CHECKING:
    from numpy.typing import NDArray

AS_OF = dt.date(2026, 1, 1)
HISTORY_DAYS = 730
RATE = np.array([0.080, 0.110])
CLOSE_DAYS = np.array([60.0, 180.0])
QUIET = 0.3
LABELS = ("open = lost", "closed deals only", "half the window", "matured", "weighted")


def draw_table(n: int, rng: np.random.Generator) -> tuple[LeadTable, NDArray[np.int64]]:
    """Draw leads of two kinds as a company would have recorded them by `AS_OF`."""
    kind = rng.integers(0, 2, n)
    wins = rng.random(n) < RATE[kind]
    closes = wins | (rng.random(n) >= QUIET)
    created = pd.Timestamp(AS_OF) - pd.to_timedelta(rng.integers(0, HISTORY_DAYS, n), unit="D")
    closed = created + pd.to_timedelta(np.ceil(rng.exponential(CLOSE_DAYS[kind])).astype(int), unit="D")
    known = closes & np.asarray(closed <= pd.Timestamp(AS_OF))
    frame = pd.DataFrame(
        {
            "lead_id": np.arange(n).astype(str),
            "created_on": created,
            "handed_on": created,
            "employees": pd.array(np.where(kind == 1, 1000, 20), dtype="Int64"),
            "months": pd.array(np.full(n, 6), dtype="Int64"),
            "title": pd.Categorical(["staff"] * n, ["staff", "vp"], ordered=True),
            "engagement": pd.array(np.zeros(n, int), dtype="Int64"),
            "outcome": pd.Categorical(
                np.where(known, np.where(wins, "won", "lost"), "open"), ["won", "lost", "open"]
            ),
            "closed_on": pd.Series(closed).where(known),
        }
    )
    return as_table(frame, window=90), kind


def as_table(frame: pd.DataFrame, *, window: int | None) -> LeadTable:
    """Read the leads with a window of so many days, or with one taken from the data."""
    return LeadTable(
        frame=frame,
        contract=dataclasses.replace(CONTRACT, windows_outcome=window),
        manifest=Manifest(read=len(frame), kept=len(frame), quarantined=0, duplicates=0),
        quarantine=pd.DataFrame(columns=["table", "line", "column", "rule", "shape"]),
        as_of=AS_OF,
    )


def rates(table: LeadTable, kind: NDArray[np.int64], window: int) -> dict[str, NDArray[np.float64]]:
    """Give the rate of small and of large companies by every label."""
    frame = table.frame
    targets = compute_targets(as_table(frame, window=window))
    label = targets["won"].to_numpy(dtype=float)
    mature = targets["won_mature"].to_numpy(dtype=bool)
    age = (pd.Timestamp(AS_OF) - frame["created_on"]).dt.days.to_numpy(float)
    after = (frame["closed_on"] - frame["created_on"]).dt.days.to_numpy(float)
    won = (frame["outcome"] == "won").to_numpy()
    early = won & (after <= window)
    weight = censoring_weights(age, after, horizon=float(window))
    found: dict[str, NDArray[np.float64]] = {}
    for name in LABELS:
        parts = []
        for one in (0, 1):
            rows = kind == one
            if name == "open = lost":
                parts.append(early[rows].mean())
            elif name == "closed deals only":
                parts.append(early[rows & ~np.isnan(after)].mean())
            elif name == "half the window":
                parts.append(early[rows & (age >= window / 2)].mean())
            elif name == "matured":
                parts.append(np.nanmean(label[rows & mature]))
            else:
                parts.append((weight * early)[rows].sum() / weight[rows].sum())
        found[name] = np.array(parts)
    return found


def percent(values: NDArray[np.float64]) -> str:
    small, large = 100 * values
    return f"{small:+.0f} / {large:+.0f}"


def main() -> None:
    """Simulate and print."""
    parser = new_parser(__doc__)
    parser.add_argument("--reps", type=int, default=100)
    parser.add_argument("--n-leads", type=int, default=6000)
    parser.add_argument("--windows", type=int, nargs="+", default=[30, 60, 90, 180, 270, 365])
    given = parser.parse_args()
    drawn = [draw_table(given.n_leads, np.random.default_rng(seed)) for seed in range(given.reps)]
    own = [target_windows(as_table(table.frame, window=None))["won"] for table, _ in drawn]
    biases, orders = [], []
    for window in (*given.windows, None):
        runs = [rates(table, kind, window or own[number] or 90) for number, (table, kind) in enumerate(drawn)]
        length = window or float(np.mean([days or 90 for days in own]))
        late = np.exp(-length / CLOSE_DAYS)
        each = {name: np.array([run[name] for run in runs]) for name in LABELS}
        told = f"{window} days" if window else f"from data ({length:.0f} days)"
        bias = [percent(each[name].mean(axis=0) / (RATE * (1 - late)) - 1) for name in LABELS]
        biases.append((told, *bias))
        right = [f"{(each[name][:, 1] > each[name][:, 0]).mean():.2f}" for name in LABELS]
        orders.append((told, " / ".join(f"{share:.0%}" for share in late), *right))
    print_table(("bias, %", *LABELS), biases)
    print_table(("says that the large win more", "deals after the window", *LABELS), orders)


if __name__ == "__main__":
    main()
