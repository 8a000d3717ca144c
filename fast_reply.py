"""The command `fast-reply`. In the wheel this file is the package around all others (`hatch_build.py`)."""


def main() -> None:
    """Run the command line."""
    from cli.main import app

    app()
