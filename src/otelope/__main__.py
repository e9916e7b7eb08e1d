"""``python -m otelope``."""

from __future__ import annotations

import sys

from otelope.cli import main


sys.exit(main())
