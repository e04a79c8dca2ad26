"""Ending an Envoy in a pod without cutting off anybody. The standard library alone: this runs beside every proxy, and must be small.

Kubernetes runs both containers' preStop hooks at once. The shutdown manager's (`drain`) tells Envoy to fail its health checks and to
close connections politely, watches until they are few, and leaves a note; Envoy's own hook asks the manager, which answers when
the note is there. Then both get their SIGTERM.
"""

from pathlib import Path

NOTE = Path("/tmp/shutdown-ready")
"""The drain is done."""
PORT = 19002
READY_PATH, HEALTH_PATH = "/shutdown/ready", "/healthz"
ADMIN = "http://localhost:19000"
POLL_SECONDS = 1.0
