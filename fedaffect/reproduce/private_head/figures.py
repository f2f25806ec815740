"""A figure for every scene: balanced accuracy of every row, calibrated and not."""

from __future__ import annotations

from fedaffect.reproduce.private_head.cells import SCALINGS, Scene
from fedaffect.reproduce.private_head.results import Results
from fedaffect.study_record import Mark, Panel, StudyFigure


def figures(results: Results) -> tuple[StudyFigure, ...]:
    """Return the figures of the scenes that have trials."""
    return tuple(_figure(results, scene) for scene in results.scenes if results.rows(scene))


def _figure(results: Results, scene: Scene) -> StudyFigure:
    marks = [
        Mark(series=words, at=trial.what, figure=stress)
        for row in results.rows(scene)
        for scaling, words in SCALINGS.items()
        if (trial := results.trial(scene, scaling, row)) is not None
        and (stress := results.stress(scene, scaling, row)) is not None
    ]
    return StudyFigure(
        name=f"scene-{scene.name}",
        title=f"{scene.what[0].upper()}{scene.what[1:]}",
        about=(
            "Balanced accuracy of stress, mean over people and noise draws, with 95 % intervals "
            "over people; ticks: chance. Calibrated: features scaled by each person's own "
            "unlabelled windows."
        ),
        of_paper=False,
        panels=(Panel(title="Stress, balanced accuracy", marks=tuple(marks)),),
    )
