"""`archgw`, the program. What Claude Code asks for around each turn must not wait for a command line to load."""

import sys


def main() -> None:
    if sys.argv[1:2] == ["statusline"]:
        from archgw import statusline

        sys.exit(statusline.main(sys.argv[2:]))
    if sys.argv[1:2] == ["prompt-hook"]:
        from archgw import prompt_hook

        sys.exit(prompt_hook.main(sys.argv[2:]))
    from archgw.app import app

    app()


if __name__ == "__main__":
    main()
