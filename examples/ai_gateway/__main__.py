"""`python -m examples.ai_gateway CONFIGURATION`"""

from __future__ import annotations

import sys

from examples.ai_gateway.main import main

sys.exit(main(sys.argv[1:]))
