"""Video files and cameras to faces and mouth crops."""
