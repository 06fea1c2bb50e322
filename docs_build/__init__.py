"""Builds the documents: tables from the code, pictures from real runs, and the website."""
