"""Models that others published: their checkpoints read, converted to ONNX and kept. Without PyTorch."""
