"""The `leadml` command: run it, turn every failure into a sentence and an exit code."""

from __future__ import annotations

import os
import sys

__all__ = ["main"]

USAGE = 64
INTERNAL = 70


def main() -> int:
    """Run the command line and return its exit code (ARCHITECTURE: 0, 1, 3, 4, 64–78)."""
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by who started us; no file of ours may get its number
            setattr(sys, name, open(os.devnull, "r" if name == "stdin" else "w"))  # noqa: PTH123, SIM115
    # Threads that spin while they wait cost more than they win on a shared machine; read when numpy loads.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("MPLBACKEND", "Agg")
    # No telemetry unless the user asks for it; read when mlflow loads.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("DO_NOT_TRACK", "true")

    from leadml.cli import app
    from leadml.errors import LeadmlError

    try:
        app(prog_name="leadml")
    except SystemExit as stop:
        return _exit_code(stop.code)
    except LeadmlError as error:
        for finding in error.findings or (type(error).__name__,):
            print(f"error: {finding}", file=sys.stderr)
        for note in getattr(error, "__notes__", ()):
            print(note, file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("stopped; nothing half-written was left behind", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader of our output has gone (`| head`); nothing is wrong.
        sys.stdout = open(os.devnull, "w")  # noqa: PTH123, SIM115
        return 0
    except Exception as error:
        print(f"internal error: {_place(error)}", file=sys.stderr)
        if os.environ.get("LEADML_DEBUG"):
            raise
        return INTERNAL
    return 0


def _exit_code(code: object) -> int:
    if code is None:
        return 0
    if code == 2:  # what the argument parser says for wrong usage
        return USAGE
    return code if isinstance(code, int) else INTERNAL


def _place(error: Exception) -> str:
    """Say where it happened, not with what value: a message may quote a lead."""
    trace = error.__traceback__
    place = "leadml"
    while trace is not None:
        name = trace.tb_frame.f_globals.get("__name__", "")
        if name.startswith("leadml"):
            place = f"{name}:{trace.tb_lineno}"
        trace = trace.tb_next
    return (
        f"{type(error).__name__} in {place}. This is a fault of leadml, not of your input; "
        "please report this line (LEADML_DEBUG=1 shows the traceback, which may quote a lead)."
    )


if __name__ == "__main__":
    sys.exit(main())
