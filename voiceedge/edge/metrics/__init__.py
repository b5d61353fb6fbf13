"""Figures for Prometheus: gathered from all processes at each scrape, and served by control."""
