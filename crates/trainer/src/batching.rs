//! Rows into micro-batches of bounded size: rows of similar length together, so that little is padding.

use cua_grpo_core::Row;

/// Groups row numbers so that rows times the longest row stays within `max_tokens` (a longer row stands alone).
///
/// The result depends on the lengths alone: equal lengths keep their order.
pub fn micro_batches(rows: &[&Row], max_tokens: usize) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..rows.len()).collect();
    order.sort_by_key(|&number| (std::cmp::Reverse(rows[number].tokens.len()), number));
    let mut batches: Vec<Vec<usize>> = Vec::new();
    for number in order {
        match batches.last_mut() {
            Some(batch) if (batch.len() + 1) * rows[batch[0]].tokens.len() <= max_tokens => batch.push(number),
            _ => batches.push(vec![number]),
        }
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(length: usize) -> Row {
        Row {
            tokens: vec![0; length],
            ..Default::default()
        }
    }

    #[test]
    fn every_row_comes_once_and_batches_are_bounded() {
        let rows: Vec<Row> = [5, 90, 30, 31, 4, 200, 29].map(row).into();
        let rows: Vec<&Row> = rows.iter().collect();
        let batches = micro_batches(&rows, 100);
        let mut all: Vec<usize> = batches.iter().flatten().copied().collect();
        all.sort_unstable();
        assert_eq!(all, [0, 1, 2, 3, 4, 5, 6]);
        for batch in &batches {
            let longest = batch.iter().map(|&number| rows[number].tokens.len()).max().unwrap();
            assert!(batch.len() == 1 || batch.len() * longest <= 100);
        }
        assert_eq!(batches[2], [3, 2, 6], "similar lengths stand together");
    }
}
