"""Fixtures of the whole suite. Everything runs on loopback; every process started is ended."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # tests share stack.py
