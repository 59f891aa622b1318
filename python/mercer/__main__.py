"""``python -m mercer`` is the command line."""

import sys

from mercer.cli import main

sys.exit(main())
