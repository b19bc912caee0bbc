//! Advantages, losses and corrections: short pure files over numbers and tensors.
