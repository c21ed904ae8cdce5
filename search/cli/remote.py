"""Commands of the service: serve and token on the server; submit, status, watch, cancel, fetch from anywhere.

What is heavy is imported when a command needs it; those that talk to a server need neither torch nor Ray.
"""

from __future__ import annotations

import inspect
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from search.cli.spec_flags import flag_parameters, spec_values

if TYPE_CHECKING:
    from search.service.client import Client
    from search.service.store import Store

__all__ = [
    "cancel_command",
    "fetch_command",
    "serve_command",
    "status_command",
    "submit_command",
    "token_app",
    "watch_command",
]

EXTRA = "this needs the service's packages: pip install 'leni-search[service]'"

Folder = Annotated[Path, typer.Option(help="The service's folder, with its database and its searches.")]
Database = Annotated[
    str | None, typer.Option(help="Database address, postgresql://user@host/name; SQLite in the folder if not given.")
]
Server = Annotated[str, typer.Option(envvar="LENI_SEARCH_SERVER", metavar="URL", help="Address of the service.")]
Secret = Annotated[
    str | None, typer.Option("--token", envvar="LENI_SEARCH_TOKEN", help="Token from `leni-search token create`.")
]
SearchId = Annotated[str, typer.Argument(metavar="ID", help="ID of the search.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
HERE = "http://127.0.0.1:8080"
SEARCHES = Path("searches")


class PackageMissing(typer.BadParameter):
    """A command whose optional packages are not installed."""

    code = "LS-PACKAGE-MISSING"


token_app = typer.Typer(help="Manage the access tokens of the service.", no_args_is_help=True)


def serve_command(
    folder: Folder = SEARCHES,
    host: Annotated[
        str,
        typer.Option(
            help="Address to listen on, or unix:PATH for a Unix socket. An address that others can reach needs a token."
        ),
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="The TCP port to listen on.")] = 8080,
    database: Database = None,
    address: Annotated[
        str | None,
        typer.Option(
            help="Address of a Ray cluster's dashboard, http://head:8265; searches are submitted there as Ray jobs."
        ),
    ] = None,
    at_once: Annotated[int, typer.Option(min=1, help="Number of searches that run at the same time.")] = 1,
    host_name: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME[:PORT]", help="Another host name of the service; may be repeated."),
    ] = None,
    trusted_proxy: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ADDRESS|NETWORK|unix",
            help="Proxy whose X-Forwarded-For, -Proto, -Host, -Prefix and Forwarded are trusted; may be repeated.",
        ),
    ] = None,
    root_path: Annotated[
        str,
        typer.Option(metavar="PATH", help="Path under which a proxy serves the service, such as /tools/leni-search."),
    ] = "",
    allow_evaluator: Annotated[
        list[str] | None,
        typer.Option(metavar="MODULE:FUNCTION", help="Evaluator that a submitted spec may name; may be repeated."),
    ] = None,
    allow_data_folder: Annotated[
        list[Path] | None,
        typer.Option(help="Data folder that a submitted spec may use, subfolders included; may be repeated."),
    ] = None,
) -> None:
    """Serve searches to a team: submit, watch and fetch them over HTTP or in a browser."""
    with _packages():
        from search.service.app import create_app, serve
        from search.service.logs import log_json
        from search.service.settings import Settings
    from leni.errors import SpecError
    from search.service.tokens import Tokens

    settings = Settings(
        folder, database, host, port, address, at_once, tuple(allow_evaluator or ()), tuple(allow_data_folder or ()),
        tuple(host_name or ()), tuple(trusted_proxy or ()), root_path,
    )  # fmt: skip
    with _alone(settings.folder):
        if not settings.local:
            with _store(folder, database) as store:
                if not Tokens(store).some_valid():
                    raise SpecError(
                        f"{host if not host_name else host_name[0]} can be reached by others and there is no token: "
                        "make one with `leni-search token create NAME --role admin`, or serve 127.0.0.1",
                        code="LS-SERVICE-TOKEN",
                    )
        log_json()
        serve(create_app(settings), settings)


@token_app.command("create")
def create_token(
    name: Annotated[str, typer.Argument(help="Name of the token's owner, a person or a program.")],
    role: Annotated[str, typer.Option(help="Role: read, submit or admin; each includes the ones before it.")] = "read",
    days: Annotated[float | None, typer.Option(help="Days until the token expires; never if not given.")] = None,
    search: Annotated[
        str | None, typer.Option(metavar="ID", help="Search to which the token is limited, for sharing it.")
    ] = None,
    folder: Folder = SEARCHES,
    database: Database = None,
) -> None:
    """Create a token and show it. It cannot be shown again."""
    from leni.errors import SpecError

    with _store(folder, database) as store:
        from search.service.tokens import Tokens

        if search is not None and store.get(search) is None:
            raise SpecError(f"there is no search {search!r}")
        token, text = Tokens(store).create(name, role, days=days, search=search)
    typer.echo(text)
    typer.echo(f"{token.role} token {token.id}; it is not shown again", err=True)
    if search is not None:
        typer.echo(f"to share: SERVER/enter?token={text}", err=True)


@token_app.command("list")
def list_tokens(folder: Folder = SEARCHES, database: Database = None) -> None:
    """List all tokens, without their secrets."""
    from rich import box
    from rich.table import Table

    from search.cli.console import show_table

    table = Table("id", "name", "role", "search", "made", "expires", "valid", box=box.SIMPLE)
    with _store(folder, database) as store:
        from rich.markup import escape

        from search.service.tokens import Tokens

        for token in Tokens(store).all():
            times = [_day(token.created_at), _day(token.expires_at)]
            valid = "yes" if token.valid() else "no"
            table.add_row(token.id, escape(token.name), token.role, token.search or "all", *times, valid)
    show_table(table, "" if table.row_count else "there is no token")


@token_app.command("revoke")
def revoke_token(
    token_id: Annotated[str, typer.Argument(metavar="ID", help="ID of the token, as shown by `token list`.")],
    folder: Folder = SEARCHES,
    database: Database = None,
) -> None:
    """Revoke a token, with immediate effect."""
    from leni.errors import SpecError

    with _store(folder, database) as store:
        from search.service.tokens import Tokens

        if not Tokens(store).revoke(token_id):
            raise SpecError(
                f"there is no token {token_id!r}; `leni-search token list` has them", code="LS-SERVICE-TOKEN"
            )


def _submit(
    file: Path | None, server: str, token: str | None, name: str, priority: int, key: str | None, flags: dict[str, Any]
) -> int:
    spec = _read(file)
    for word, value in flags.items():
        table = spec.get(word)
        spec[word] = {**table, **value} if isinstance(table, dict) and isinstance(value, dict) else _plain(value)
    if str(spec.get("space", "")).endswith(".toml"):
        spec["space"] = _read(Path(spec["space"]))  # the server knows nothing of this machine's files
    with _client(server, token) as client:
        search = client.submit(spec, name=name, priority=priority, key=key)
    typer.echo(search["id"])
    return 0


def submit_command(**words: Any) -> int:
    """Submit a search to a service. It takes the options of `run`, and reports the same errors."""
    flags = spec_values(words)
    return _submit(**words, flags=flags)


def _plain(value: Any) -> Any:
    """A value as JSON has it."""
    return str(value) if isinstance(value, Path) else list(value) if isinstance(value, tuple) else value


def _signature() -> inspect.Signature:
    """The words of `submit`: the spec's fields, but for those that belong to the server, and its own."""
    ours = {
        "file": (
            Annotated[Path | None, typer.Argument(metavar="[SPEC.toml]", help="The spec, which options override.")],
            None,
        ),
        "server": (Server, HERE),
        "token": (Secret, None),
        "name": (Annotated[str, typer.Option(help="Name of the search, for display.")], ""),
        "priority": (
            Annotated[int, typer.Option(min=-100, max=100, help="Priority; searches with a higher one start first.")],
            0,
        ),
        "key": (
            Annotated[
                str | None,
                typer.Option(
                    help="Idempotency key of your choice: submitted again with the same key, it is the same search."
                ),
            ],
            None,
        ),
    }
    kind = inspect.Parameter.KEYWORD_ONLY
    first = [inspect.Parameter(word, kind, default=value, annotation=hint) for word, (hint, value) in ours.items()]
    return inspect.Signature([*first, *flag_parameters(submitted=True)])


submit_command.__signature__ = _signature()  # type: ignore[attr-defined]


def status_command(
    search_id: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="ID of a search; all searches if not given.")
    ] = None,
    server: Server = HERE,
    token: Secret = None,
    as_json: AsJson = False,
) -> None:
    """Show the status of the searches of a service, or of one of them."""
    import json

    with _client(server, token) as client:
        rows = [client.status(search_id)] if search_id else list(client.searches())
    if as_json:
        typer.echo(json.dumps(rows[0] if search_id else rows, indent=1))
        return
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    from search.cli.console import show_table

    table = Table("id", "name", "state", "trials", "submitted", "note", box=box.SIMPLE)
    for row in rows:
        state = row["outcome"] or row["state"]
        table.add_row(row["id"], escape(row["name"]), state, _trials(row), row["created_at"][:16], escape(row["note"]))
    show_table(table, "" if rows else "there is no search")


def watch_command(search_id: SearchId, server: Server = HERE, token: Secret = None) -> int:
    """Follow a search to its end, with one line per change, and exit with the code of `run`."""
    state: dict[str, Any] = {}
    said = ""
    with _client(server, token) as client:
        for state in client.watch(search_id):
            line = f"{state['outcome'] or state['state']}: {_trials(state)} trials"
            if state.get("ahead"):
                line += f", {state['ahead']} queued before it"
            if line != said:
                typer.echo(line)
            said = line
    if state.get("note"):
        typer.echo(state["note"], err=True)
    return {"cancelled": 130, "failed": 2, "lost": 1}.get(state.get("outcome", "lost"), 0)


def cancel_command(search_id: SearchId, server: Server = HERE, token: Secret = None) -> None:
    """Cancel a search as Ctrl-C does; finished trials are kept."""
    with _client(server, token) as client:
        state = client.cancel(search_id)
    typer.echo(state["outcome"] or ("cancelling" if state["cancelling"] else state["state"]))


def fetch_command(
    search_id: SearchId,
    out: Annotated[Path | None, typer.Option(help="New folder to write to; runs/ID if not given.")] = None,
    server: Server = HERE,
    token: Secret = None,
) -> None:
    """Download the folder of a search, which `front` and `report` can read."""
    with _client(server, token) as client:
        typer.echo(str(client.fetch(search_id, out or Path("runs") / search_id)))


def _read(path: Path | None) -> dict[str, Any]:
    """A TOML file, as it will be sent."""
    if path is None:
        return {}
    from leni.errors import SpecError

    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SpecError(f"{path}: {error.strerror}", code="LS-SPEC-FILE") from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SpecError(f"{path} is not a TOML file: {error}", code="LS-SPEC-FILE") from None


@contextmanager
def _packages() -> Iterator[None]:
    """Turn a missing package into an error that says how to install it."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise PackageMissing(f"{EXTRA} ({error.name} is missing)") from None


@contextmanager
def _client(server: str, token: str | None) -> Iterator[Client]:
    with _packages():
        from search.service.client import Client
    with Client(server, token=token) as client:
        yield client


@contextmanager
def _store(folder: Path, database: str | None) -> Iterator[Store]:
    with _packages():
        from search.service.settings import Settings
        from search.service.store import Store
    settings = Settings(folder, database)
    _make(settings.folder)
    store = Store(settings.database_url)
    try:
        yield store
    finally:
        store.close()


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the lock that keeps a second service out of the folder."""
    from leni.errors import FolderError
    from search.store.locks import LocksMissing, try_lock

    _make(folder)
    with (folder / "service.lock").open("a") as stream:
        try:
            free = try_lock(stream)
        except LocksMissing as error:
            raise LocksMissing(f"{error}, which the service needs; give another --folder") from None
        if not free:
            raise FolderError(f"another service is at work in {folder}; give another --folder", code="LS-FOLDER-BUSY")
        yield


def _make(folder: Path) -> None:
    from leni.errors import FolderError

    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise FolderError(f"{folder} cannot be made: {error.strerror}", code="LS-FOLDER-WRITE") from None


def _trials(row: dict[str, Any]) -> str:
    counts = row["counts"]
    return f"{counts['completed'] + counts['stopped'] + counts['failed']} of {row['trials']}"


def _day(seconds: float | None) -> str:
    return "never" if seconds is None else datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M")
