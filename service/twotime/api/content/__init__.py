"""Answers of the REST interface, made from published arrays and tables."""
