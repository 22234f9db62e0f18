"""How well a model reads: error rates, calibration, reports."""
