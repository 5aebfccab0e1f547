"""PyTorch twin of `rife-train`: networks, losses and training samples."""
