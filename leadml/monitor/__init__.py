"""Between two reviews: promise, calibration, shift of the leads and their handling, as one decision."""

from leadml.monitor._evidence import rate_evidence, rate_range
from leadml.monitor._monitor import monitor_definition
from leadml.monitor._page import build_monitor_page, write_monitor_page
from leadml.monitor._plan import Schedule
from leadml.monitor._promise import Promise, RatePromise, load_promise, make_promise, parse_promise
from leadml.monitor._report import MonitorReport, Signal

__all__ = [
    "MonitorReport",
    "Promise",
    "RatePromise",
    "Schedule",
    "Signal",
    "build_monitor_page",
    "load_promise",
    "make_promise",
    "monitor_definition",
    "parse_promise",
    "rate_evidence",
    "rate_range",
    "write_monitor_page",
]
