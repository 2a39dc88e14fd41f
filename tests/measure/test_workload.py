from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest

from sam2lab.measure.workload import Workload
from sam2lab.runtime.prompts import PromptError, encode

PHOTO = np.zeros((4, 6, 3), np.uint8)


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        ({"box": [1, 2, 3, 4]}, "prompt has 'box'; did you mean 'boxes'?"),
        ({"point_coords": [[1, 2]]}, "prompt has 'point_coords'; did you mean 'point_coordinates'"),
        ({"boxes": [1, 2, 3, 4], "text": "cat"}, "prompt has 'text'; wanted some of"),
        ([1, 2, 3, 4], r"prompt is \[1, 2, 3, 4\]; wanted some of"),
    ],
)
def test_what_is_no_prompt_by_its_names_says_which_there_are(prompt: Any, message: str) -> None:
    with pytest.raises(PromptError, match=f"^{message}.*mask_input, as in"):
        Workload.about(PHOTO, prompt)


def test_every_argument_of_encode_but_how_errors_are_spelled_is_a_prompt() -> None:
    _, _, *taken = inspect.signature(encode).parameters
    taken.remove("spelling")
    Workload.about(PHOTO, dict.fromkeys(taken))
