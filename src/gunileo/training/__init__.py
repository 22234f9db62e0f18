"""LabialCNN, and how it is trained, adapted and exported. The only package that imports PyTorch."""
