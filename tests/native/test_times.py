"""The program's own times, and the comparison with Python and torch."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from tests.conftest import REPOSITORY
from tests.native.conftest import NANO
from tests.native.program import Program, mask_in

CAT = REPOSITORY / "data" / "photos" / "cat.jpg"


def test_each_answer_is_a_row(program: Program, tmp_path: Path) -> None:
    out, csv = tmp_path / "mask.png", tmp_path / "times.csv"
    options = ("--point", "170,110", "--repeat", 3, "--csv", csv)
    assert program.segment(NANO, CAT, out, *options).code == 0
    table = pd.read_csv(csv)
    assert table["run"].tolist() == [0, 1, 2]
    parts = table[["pre_ms", "encode_ms", "decode_ms", "post_ms"]]
    assert (parts > 0).all(axis=None)
    # Each number is rounded to 0.0001 ms.
    assert ((parts.sum(axis=1) - table["total_ms"]).abs() < 5e-4).all()
    assert table["peak_mb"].is_monotonic_increasing
    assert table["peak_mb"].between(10, 2000).all()
    assert mask_in(out).any()
