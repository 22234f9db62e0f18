"""The whole job on a made-up talking face."""
