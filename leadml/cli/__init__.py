"""The commands. Each parses, calls one public function, prints and returns a code."""

from leadml.cli._app import app

__all__ = ["app"]
