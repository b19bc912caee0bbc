//! Qwen3-VL with LoRA: model, processor, chat template, checkpoints, generation engine.
