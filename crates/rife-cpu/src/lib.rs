//! A CPU engine for small convolutional image networks: tensors, kernels by family, dispatch by CPU tier.
