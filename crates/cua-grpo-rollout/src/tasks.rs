//! A cursor into a task source: the part of a run's position that belongs to its tasks.

use cua_grpo_core::{Task, TaskSource};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Hands out tasks in order. Save [`position`](Self::position) and give it to [`new`](Self::new) to go on from there.
#[derive(Clone)]
pub struct TaskCursor {
    source: Arc<dyn TaskSource>,
    position: u64,
}

impl TaskCursor {
    /// A cursor that hands out the task at `position` next.
    pub fn new(source: Arc<dyn TaskSource>, position: u64) -> Self {
        Self { source, position }
    }

    /// The next `count` tasks.
    pub fn next_tasks(&mut self, count: usize) -> Vec<Task> {
        let start = self.position;
        self.position += count as u64;
        (start..self.position).map(|cursor| self.source.task(cursor)).collect()
    }

    /// The next `count` tasks that are not in `done`, with their cursors.
    pub fn next_but(&mut self, done: &BTreeSet<u64>, count: usize) -> Vec<(u64, Task)> {
        let mut tasks = Vec::new();
        while tasks.len() < count {
            let cursor = self.position;
            self.position += 1;
            if !done.contains(&cursor) {
                tasks.push((cursor, self.source.task(cursor)));
            }
        }
        tasks
    }

    /// A cursor over the same tasks that stands elsewhere.
    #[must_use]
    pub fn at(&self, position: u64) -> Self {
        Self {
            source: self.source.clone(),
            position,
        }
    }

    /// Cursor of the task that comes next.
    pub fn position(&self) -> u64 {
        self.position
    }
}

impl std::fmt::Debug for TaskCursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TaskCursor")
            .field("position", &self.position)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Numbered;

    impl TaskSource for Numbered {
        fn task(&self, cursor: u64) -> Task {
            Task::new(format!("number/{cursor}"), "").with_seed(cursor)
        }
    }

    #[test]
    fn a_restored_cursor_goes_on_where_the_saved_one_stood() {
        let mut cursor = TaskCursor::new(Arc::new(Numbered), 0);
        assert_eq!(
            cursor.next_tasks(3).iter().map(|task| task.seed).collect::<Vec<_>>(),
            [0, 1, 2]
        );
        let mut restored = TaskCursor::new(Arc::new(Numbered), cursor.position());
        assert_eq!(restored.next_tasks(2), cursor.next_tasks(2));
        assert_eq!(restored.position(), 5);
        let done = BTreeSet::from([5, 7]);
        let passed: Vec<u64> = restored.next_but(&done, 2).iter().map(|(cursor, _)| *cursor).collect();
        assert_eq!((passed.as_slice(), restored.position()), (&[6, 8][..], 9));
    }
}
