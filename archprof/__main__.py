"""`python -m archprof` is the same as `archprof`."""

from archprof.cli import run

run()
