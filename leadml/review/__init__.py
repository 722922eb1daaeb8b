"""What both sides read before they decide: the packet and its summary on a terminal."""

from leadml.review._packet import build_packet, write_packet
from leadml.review._parts import Run
from leadml.review._summary import summarise_run

__all__ = ["Run", "build_packet", "summarise_run", "write_packet"]
