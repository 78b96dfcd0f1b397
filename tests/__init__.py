"""The tests of archprof."""
