"""`archgw`, the program. The status line is asked for after each turn, and must not wait for a command line to load."""

import sys


def main() -> None:
    if sys.argv[1:2] == ["statusline"]:
        from archgw import statusline

        sys.exit(statusline.main(sys.argv[2:]))
    from archgw.app import app

    app()


if __name__ == "__main__":
    main()
