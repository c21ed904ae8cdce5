"""One page on a run, that opens offline: what was asked, what the data answer, and how it can be checked.

    results.write_report("runs/digits")      # runs/digits/report.html

It holds no script and asks nothing of the network. What a run does not have (a confirmed front, an ablation) is left
out, and the page says which command would add it.
"""

from __future__ import annotations

import json
import shlex
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
from markupsafe import Markup, escape

from results.analyses.compensation import Compensation, compensation
from results.analyses.confidence import confidence, spread_known
from results.analyses.confirmation import Confirmation, read_confirmation
from results.analyses.confirmed_band import confirmed_band
from results.analyses.growth import OVER
from results.errors import ResultsError
from results.figures.confirmation import confirmation_figure
from results.figures.curves import curves_figure
from results.figures.front import front_figure, hypervolume_figure
from results.figures.inline import Inline, inline
from results.files import replace_file
from results.indicators import observed_bounds
from results.report.answer import answer, question
from results.report.cells import Cost, cell, cost_of, failures
from results.report.checklist import Known, checklist
from results.report.pruning import pruning_sentence
from results.runs import Run, count_states, load
from results.tables.formats import front_columns
from results.user_view import is_evaluators

__all__ = ["report", "write_report"]

LONG = 40  # letters from which a cell is set over several lines
MANY = 40  # rows of a table on the page; the files have all


@dataclass
class Section:
    """A part of the page.

    Attributes:
        name: of its anchor.
        title: its heading.
        sentences: in words.
        figures: drawn.
        tables: (caption, header, rows of texts); a column's header is its name and "number", "long" or "".
    """

    name: str
    title: str
    sentences: list[str] = field(default_factory=list)
    figures: list[Inline] = field(default_factory=list)
    tables: list[tuple[str, list[tuple[str, str]], list[list[str]]]] = field(default_factory=list)

    def table(self, caption: str, frame: pd.DataFrame, *, verbatim: bool = False) -> None:
        """Add a frame, its first rows where it has many; `verbatim` leaves the names of its columns as they are."""
        if frame.empty:
            return
        shown = frame.head(MANY)
        rows = [[cell(str(name), value) for name, value in row.items()] for row in shown.to_dict("records")]
        more = f" (the first {MANY} of {len(frame):,} rows)" if len(frame) > MANY else ""
        names = [str(name) if verbatim else str(name).replace("_", " ") for name in shown.columns]
        header = [(text, _kind(shown[name])) for text, name in zip(names, shown.columns, strict=True)]
        self.tables.append((caption + more, header, rows))


def _kind(column: pd.Series[Any]) -> str:
    """How a column is set: numbers to the right, long texts over several lines."""
    if pd.api.types.is_bool_dtype(column):
        return ""
    if pd.api.types.is_numeric_dtype(column):
        return "number"
    return "long" if any(len(str(value)) > LONG for value in column) else ""


def write_report(folder: str | Path, path: str | Path | None = None) -> Path:
    """Write a run's report.

    Args:
        folder: of the run.
        path: the file; None for report.html in the run's folder.

    Returns:
        The file.

    Raises:
        RunUnreadable: there are no records in the folder, or they are damaged or of an unknown schema.
        ResultsError: the file cannot be written.
    """
    target = Path(path) if path is not None else Path(folder) / "report.html"
    page = report(folder)
    try:
        replace_file(target, page.encode(errors="backslashreplace"))
    except OSError as error:
        raise ResultsError(f"{target} cannot be written: {error.strerror}", code="LS-FOLDER-WRITE") from None
    return target


def report(folder: str | Path) -> str:
    """A run's report as HTML.

    Raises:
        RunUnreadable: as `results.load`; whatever else is missing or damaged makes the page shorter.
    """
    run = load(folder)
    spec, spec_text = _spec(run.folder / "spec.toml")
    own = bool(spec.get("evaluator"))
    confirmed, why_not = _confirmation(run, own=own)
    compared = _compared(run, spec)
    sections = [
        _section("front", "The front, confirmed" if confirmed else "The front", _front, run, confirmed, why_not),
        _section("compensation", "Channel compensation", _compensation, compared),
        *([] if own else [_section("ablation", "Ablation", _ablation, run)]),
        _section("importance", "What moves the objectives", _importance, run),
        _section("curves", "Learning curves of the front", _curves, run),
        _section("failures", "What failed", _failures, run),
        _section("cost", "What it cost", _cost, run, spec),
    ]
    known = _known(run, spec, confirmed, any(section.name == "ablation" and section.tables for section in sections))
    return _template().render(
        title=run.folder.resolve().name,
        question=question(run, spec),
        answer=answer(run, confirmed, compared.sentences if isinstance(compared, Compensation) else ()),
        states=count_states(run.trials),
        ended=run.environment.get("ended"),
        pruning=pruning_sentence(run),
        sections=[section for section in sections if section.sentences or section.figures or section.tables],
        reproduce=_reproduce(run),
        spec=spec_text,
        checklist=checklist(known),
        written=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    )


@lru_cache(maxsize=1)
def _template() -> jinja2.Template:
    places = jinja2.FileSystemLoader(Path(__file__).parent / "templates")
    environment = jinja2.Environment(loader=places, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters["marked"] = _marked
    return environment.get_template("report.html")


def _marked(text: str) -> Markup:
    """A sentence, what stands between backticks as code."""
    parts = [escape(part) for part in str(text).split("`")]
    return Markup("").join(Markup("<code>{}</code>").format(p) if i % 2 else p for i, p in enumerate(parts))


def _section(name: str, title: str, fill: Callable[..., None], *given: Any) -> Section:
    """A section, or a sentence where its data do not allow it."""
    section = Section(name, title)
    try:
        fill(section, *given)
    except ResultsError as error:
        section.sentences.append(f"Not possible here: {error}.")
    return section


def _spec(path: Path) -> tuple[Mapping[str, Any], str]:
    """The spec as a table and as text; nothing where it cannot be read."""
    try:
        text = path.read_text(encoding="utf-8")
        return tomllib.loads(text), text
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        return {}, ""


def _confirmation(run: Run, *, own: bool) -> tuple[Confirmation | None, str]:
    """The confirmed front, or why there is none; `own` for an evaluator, whose trials only its user can repeat."""
    path = run.folder / "confirmed.csv"
    command = f"leni-search confirm {run.folder}"
    if own and not path.is_file():
        return None, "This front is as the search saw it; its members called again with other seeds would confirm it."
    if not path.is_file():
        begun = (run.folder / "confirm").is_dir()
        return None, (
            f"The confirmation was begun and has not come to its end; `{command}` continues it."
            if begun
            else f"This front is as the search saw it, on the split that chose it; `{command}` measures it on the test "
            "split, from fresh seeds."
        )
    try:
        found = read_confirmation(path, objectives=run.objectives)
    except ResultsError as error:
        return None, f"The confirmed front cannot be read: {error}."
    if not (found.rows["state"] == "completed").any():
        return None, f"Nothing that was confirmed has come to its end; `{command}` continues it."
    return found, ""


def _front(section: Section, run: Run, confirmed: Confirmation | None, why_not: str) -> None:
    names = ["number", *run.objectives, "activation", "placement", "widths", "seeds"]
    if confirmed is not None:
        section.sentences += confirmed.sentences()
        section.figures.append(inline(_confirmed(confirmed), name="confirmed"))
        costs = [name for name in run.objectives if name != "accuracy"]
        tested = ("test_accuracy", "test_low", "test_high", "test_seeds_error", "test_sample_error")
        columns = ["number", *costs, "searched", "accuracy", *tested, *names[1:]]
        chosen = [name for name in dict.fromkeys(columns) if name in confirmed.rows.columns]
        rows = confirmed.rows[[*chosen, "role", "on_front"]].rename(columns={"accuracy": "validation"})
        section.table("What was confirmed, by cost", rows)
    else:
        section.sentences.append(why_not)
    if not len(run.front_records()):
        section.sentences.append("No trial has completed, so there is no front.")
        return
    section.figures.append(inline(_searched(run), name="front"))
    bounds = observed_bounds(run.trials, objectives=run.objectives)
    for over in OVER if run.trials["wall_s"].notna().any() else OVER[:1]:
        growth = hypervolume_figure(run.trials, objectives=run.objectives, bounds=bounds, over=over)
        section.figures.append(inline(growth, name=f"growth-{over}"))
    front = run.front_records()
    if spread_known(run.trials, objectives=run.objectives):
        sure = confidence(run.trials, objectives=run.objectives)
        front = sure[sure["front"]]
        certain = int((front["probability"] >= 0.95).sum())
        others = int((~sure["front"] & (sure["probability"] >= 0.05)).sum())
        section.sentences.append(
            f"For all that the seeds say, {certain} of the {len(front)} members are on the front with a probability of "
            f"0.95 or more, and {others} other candidates with one of 0.05 or more."
        )
    spread = [name for name in ("accuracy_std", "probability") if name in front.columns]
    shown = [name for name in [*names, *spread] if name in front.columns and not front[name].isna().all()]
    if is_evaluators(front):
        section.table("The front as searched", front_columns(front, objectives=run.objectives), verbatim=True)
        return
    section.table("The front as searched", front[shown])


def _confirmed(found: Confirmation) -> Any:
    band = confirmed_band(found.members(), objectives=found.objectives)
    return confirmation_figure(found.rows, objectives=found.objectives, band=band)


def _searched(run: Run) -> Any:
    subtitle = "no band: choosing the best of many flatters a front as searched; only a confirmed front has one"
    return front_figure(run.trials, objectives=run.objectives, title="The front as searched", subtitle=subtitle)


def _compared(run: Run, spec: Mapping[str, Any]) -> Compensation | str:
    """What channels make up for; in words why that cannot be said, empty where there are no activations to compare."""
    if "activation" not in run.trials.columns or run.trials["activation"].isna().all():
        return ""
    try:
        sampler = run.environment.get("sampler", spec.get("sampler"))
        return compensation(run.trials, sampler=sampler, images=run.images("validation"))
    except ResultsError as error:
        return f"Not possible here: {error}."


def _compensation(section: Section, found: Compensation | str) -> None:
    if isinstance(found, str):
        section.sentences += [found] if found else []
        return
    section.sentences += list(found.sentences)
    if len(found.curves):
        section.figures.append(inline(found.figure(), name="compensation"))
    section.table("Parameters for the same accuracy, as a fraction of the reference's", found.ratios)
    section.table("Accuracy for the same parameters", found.gains)


def _ablation(section: Section, run: Run) -> None:
    path = run.folder / "ablation" / "ablation.json"
    if not path.is_file():
        section.sentences.append(f"None has been run; `leni-search ablate {run.folder}` plans one.")
        return
    try:
        notes = json.loads(path.read_text(encoding="utf-8"))
        section.sentences += [str(text) for text in notes["sentences"]]
        for frame in notes["tables"]:
            section.table("Paired differences to the base", pd.DataFrame(frame["data"], columns=frame["columns"]))
        section.figures.append(inline(notes["figure"], name="ablation"))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ResultsError(f"{path} is no whole ablation ({' '.join(str(error).split())})") from None


def _importance(section: Section, run: Run) -> None:
    from results.analyses.importance import importance  # it takes Optuna along

    found = importance(run.trials, objectives=run.objectives, parameters=run.dimensions)
    section.sentences += list(found.sentences)
    if len(found.frame):
        section.figures.append(inline(found.figure(), name="importance"))


def _curves(section: Section, run: Run) -> None:
    front = run.front_records()
    if len(front) and len(run.curves):
        section.figures.append(inline(curves_figure(run.curves, run.trials, numbers=front["number"]), name="curves"))


def _failures(section: Section, run: Run) -> None:
    rows = failures(run.trials)
    if rows.empty:
        section.sentences.append("No trial failed.")
    section.table("Trials that failed, by reason", rows)


def _cost(section: Section, run: Run, spec: Mapping[str, Any]) -> None:
    share = spec.get("gpus_per_trial") or 1.0
    parts: list[Cost] = [cost_of("search", run, gpus=share)]
    for name in ("confirm", "ablation"):
        for folder in sorted({path.parent for path in (run.folder / name).rglob("trials.parquet")}):
            try:
                parts.append(cost_of(str(folder.relative_to(run.folder)), load(folder), gpus=share))
            except ResultsError as error:
                section.sentences.append(f"The cost of {folder.relative_to(run.folder)} is not known: {error}.")
    section.table("Hours, and trials by how they ended", pd.DataFrame(part.row() for part in parts))


def _known(run: Run, spec: Mapping[str, Any], confirmed: Confirmation | None, ablated: bool) -> Known:
    done = run.trials[run.trials["state"] == "completed"]
    seeds = done["seeds"].dropna()
    devices = sorted(set(run.trials["device"].dropna()))
    fresh = confirmed.rows["seeds"].dropna() if confirmed else pd.Series(dtype=float)
    return Known(
        environment=run.environment,
        spec=spec,
        seeds=int(seeds.max()) if len(seeds) else 1,
        confirmed_seeds=int(fresh.min()) if len(fresh) else 0,
        ablated=ablated,
        hours=cost_of("search", run).hours,
        device=", ".join(devices) or "an unknown device",
    )


def _reproduce(run: Run) -> list[tuple[str, str]]:
    """What a repetition needs, name by name."""
    facts = run.environment
    command = facts.get("command")
    words = [Path(str(command[0])).name, *map(str, command[1:])] if isinstance(command, list) and command else []
    versions = facts.get("versions")
    pairs = {
        "command": shlex.join(words),
        "from the spec": "leni-search run spec.toml, with the spec below",
        "git revision": facts.get("git_revision"),
        "seed": facts.get("seed"),
        "python": facts.get("python"),
        "versions": ", ".join(f"{name} {value}" for name, value in versions.items() if value)
        if isinstance(versions, dict)
        else None,
        "machine": ", ".join(str(facts[name]) for name in ("platform", "processor") if facts.get(name)),
        "cores": facts.get("cpus"),
        "trials at once": facts.get("slots"),
    }
    return [(name, str(value)) for name, value in pairs.items() if value not in (None, "")]
