"""The command's entry: `leni-search` and `python -m search.cli`."""

from search.cli.command_folder import search_last

__all__ = ["main"]


def main() -> None:
    """Mend the module path, then run the command; what it imports is found only after that."""
    search_last()
    from search.cli.app import main as run

    run()


if __name__ == "__main__":
    main()
