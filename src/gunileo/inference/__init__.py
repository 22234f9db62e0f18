"""Reading lips with ONNX Runtime: models, readers, live reading, confidences, word times."""
