"""The page in a browser and the HTTP API."""
