"""Figures, each defined once: a frame is computed, then drawn by Altair, and saved as HTML, PNG, SVG or PDF.

save(front_figure(run.trials, objectives=run.objectives), "front.html")
"""

from results.figures.ablation import ablation_figure
from results.figures.comparison import comparison_figure
from results.figures.compensation import compensation_figure
from results.figures.front import front_figure, hypervolume_figure
from results.figures.importance import importance_figure
from results.figures.information import information_figure
from results.figures.theme import COLOURS, activation_colours, check_format, save

__all__ = [
    "COLOURS",
    "ablation_figure",
    "activation_colours",
    "check_format",
    "comparison_figure",
    "compensation_figure",
    "front_figure",
    "hypervolume_figure",
    "importance_figure",
    "information_figure",
    "save",
]
