"""Renderers turn a Profile, or its graph, into pages and pictures; they compute no costs of their own."""
