//! Async engine: tasks, environments and a sampler make scored groups.
