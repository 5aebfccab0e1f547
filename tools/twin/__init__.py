"""The PyTorch twin of `rife-train`, by part: the network, what is minimised, where samples come from."""
