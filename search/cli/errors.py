"""The command `errors`: what an error's code means, and docs/faq.md, which is made from the same rows."""

from __future__ import annotations

import difflib
from typing import Annotated

import typer

from search.cli.error_codes import CODES, ErrorCode

__all__ = ["errors_command", "markdown"]

HEAD = """# Errors: what they mean and what to do

Every error ends with a code in brackets, such as `[LS-FOLDER-TAKEN]`; the service returns it as `code` in
`application/problem+json`. A code is stable, while the wording of a message is not. `leni-search errors CODE` prints
one of the entries below. This page is made by `leni-search errors --markdown >docs/faq.md`.
"""


def errors_command(
    code: Annotated[
        str | None,
        typer.Argument(metavar="[CODE]", help="Error code, such as LS-FOLDER-TAKEN; all codes if not given."),
    ] = None,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="Print all codes as the page docs/faq.md.")] = False,
) -> None:
    """Explain an error code: what it means, its cause and its remedy."""
    if as_markdown:
        typer.echo(markdown(), nl=False)
        return
    if code is None:
        width = max(map(len, CODES))
        for row in CODES.values():
            typer.echo(f"{row.code:<{width}}  {row.sentence}")
        return
    name = code.strip("[]").upper()
    if name not in CODES:
        near = difflib.get_close_matches(name, CODES, n=1, cutoff=0.5)
        hint = f"; the nearest is {near[0]}" if near else ""
        raise typer.BadParameter(f"there is no error code {code!r}{hint}")
    row = CODES[name]
    typer.echo(f"{row.code}: {row.sentence}\nCause: {row.cause}\nRemedy: {row.remedy}")


def markdown() -> str:
    """The page docs/faq.md."""
    return "\n".join([HEAD, *map(_section, CODES.values())])


def _section(row: ErrorCode) -> str:
    return f"## {row.code}\n\n{row.sentence}\n\n- **Cause.** {row.cause}\n- **Remedy.** {row.remedy}\n"
