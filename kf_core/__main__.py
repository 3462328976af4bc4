"""`python -m kf_core` is the command `kf`."""

from kf_core.cli.main import main

if __name__ == "__main__":
    main()
