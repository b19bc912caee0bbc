//! Tests of the grammar and the tasks.

#![allow(clippy::unwrap_used)] // Helpers of tests: a failed unwrap is a failed test.

mod action;
mod apart;
mod experts;
mod judged;
mod task_files;
mod tasks;
