"""`python -m examples.demo`, or from anywhere `python path/to/examples/demo`."""

from __future__ import annotations

import sys

from pathlib import Path


if not __package__:
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

try:
    from examples.demo.run import main
except ModuleNotFoundError as missing:
    sys.exit(f"demo: {missing.name} is not installed: `make demo` sets everything up.")


if __name__ == "__main__":
    sys.exit(main())
