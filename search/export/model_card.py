"""A model card in Markdown, from what the card in JSON holds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["card_text"]


def card_text(card: Mapping[str, Any]) -> str:
    """The card for people: what the network is, how good, on what, and the three lines that load it."""
    return "\n".join(_lines(card)) + "\n"


def _lines(card: Mapping[str, Any]) -> Iterator[str]:
    candidate, data = card["candidate"], card["data"]
    widths = "-".join(map(str, candidate["widths"]))
    yield f"# {candidate['backbone']} {widths}, {candidate['activation']}"
    yield ""
    yield f"Trial {card['trial']} of the run {card['run']}, trained on {data['name']}."
    yield f"The file is `{card['file']}` ({card['format']})."
    yield ""
    yield "```python"
    yield from card["load"]
    yield "```"
    yield ""
    shape = ", ".join(map(str, card["input"]["shape"]))
    yield (
        f"`images` is a {card['input']['kind']}, {card['input']['dtype']} ({shape}), {card['input']['values']}; "
        f"normalisation is {card['input']['normalisation']}. What comes out are logits of {data['classes']} classes."
    )
    yield f"{_check(card['checked'])}"
    yield ""
    yield "## Accuracy"
    yield ""
    yield from _accuracy(card["accuracy"])
    yield ""
    for heading, rows in _tables(card):
        yield f"## {heading}"
        yield ""
        yield "| | |"
        yield "|---|---|"
        yield from (f"| {name} | {_cell(value)} |" for name, value in rows.items())
        yield ""


def _check(checked: Mapping[str, Any]) -> str:
    if checked["same_predictions"] is None:
        return "The file has not been run here: onnxruntime is not installed."
    return (
        f"Read back, the file gives {checked['same_predictions']:,} of {checked['images']:,} images the label that the "
        "network gives."
    )


def _accuracy(found: Mapping[str, Any]) -> Iterator[str]:
    low, high = found["network_interval"]
    level = f"{found['level']:.0%}".replace("%", " %")
    yield (
        f"- This network: {found['network']:.4f} on the {found['split']} split ({level} interval over its "
        f"{found['images']:,} images: {low:.4f} to {high:.4f})."
    )
    count = len(found["seeds"])
    if found["mean_interval"]:
        low, high = found["mean_interval"]
        yield f"- Its candidate from {count} seeds: {found['mean']:.4f} ({level} interval: {low:.4f} to {high:.4f})."
        yield f"- Each of them: {', '.join(f'{value:.4f}' for value in found['each'])}; this network is the first."
    else:
        yield "- Its candidate was trained from one seed, so nothing is known of the spread over seeds."
    if found["split"] == "validation":
        yield (
            "- The validation split is what the search chose by, so this is too good; `leni-search confirm` measures "
            "on the test split."
        )
    else:
        yield "- Neither the search nor the training has read the test split."


def _tables(card: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    candidate = card["candidate"]
    options = candidate["options"]
    yield (
        "Network",
        {
            **{name: value for name, value in candidate.items() if name != "options"},
            **{f"{candidate['activation']}: {name}": value for name, value in options.items()},
            "parameters": f"{card['params']:,}",
            "multiply-adds a sample": f"{card['macs']:,}",
            "weights": card["weights"],
            "seed": card["seed"],
        },
    )
    data = dict(card["data"])
    images = data.pop("images")
    yield "Data", {**data, **{f"{name} images": f"{count:,}" for name, count in images.items()}}
    yield "Recipe", card["recipe"]
    yield "Versions", {**card["versions"], "git revision": card["git_revision"]}


def _cell(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "-"}[value]
    if isinstance(value, list):
        return (
            "-".join(map(str, value))
            if all(isinstance(item, int) for item in value)
            else ", ".join(f"{item:.6g}" for item in value)
        )
    return f"{value:.6g}" if isinstance(value, float) else str(value).replace("|", "\\|")
