"""Clips with labels: finding, downloading, preparing and making them."""
