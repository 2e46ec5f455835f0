"""`python -m lmviz`: see lmviz.cli."""

from lmviz.cli import app


def main() -> None:
    app(prog_name="lmviz")


if __name__ == "__main__":
    main()
