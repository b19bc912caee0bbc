//! Rows into micro-batches of bounded size: rows of similar length together, so that little is padding where there is any.

use cua_grpo_core::Row;

/// Groups row numbers so that a micro-batch holds at most `max_tokens` (a longer row stands alone): the sum of its rows
/// where they are `packed`, rows times the longest where they are padded.
///
/// The result depends on the lengths alone: equal lengths keep their order.
pub fn micro_batches(rows: &[&Row], max_tokens: usize, packed: bool) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..rows.len()).collect();
    order.sort_by_key(|&number| (std::cmp::Reverse(rows[number].len()), number));
    let mut batches: Vec<Vec<usize>> = Vec::new();
    let tokens = |number: usize| rows[number].len();
    let size = |batch: &[usize], next: usize| {
        if packed {
            batch.iter().map(|&number| tokens(number)).sum::<usize>() + tokens(next)
        } else {
            (batch.len() + 1) * tokens(batch[0])
        }
    };
    for number in order {
        match batches.last_mut() {
            Some(batch) if size(batch, number) <= max_tokens => batch.push(number),
            _ => batches.push(vec![number]),
        }
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::*;
    use cua_grpo_core::Prompt;

    fn row(length: usize) -> Row {
        let mut row = Row::new(1.0);
        row.push_prompt(&Prompt::new(vec![0; length]));
        row
    }

    #[test]
    fn every_row_comes_once_and_batches_are_bounded() {
        let rows: Vec<Row> = [5, 90, 30, 31, 4, 200, 29].map(row).into();
        let rows: Vec<&Row> = rows.iter().collect();
        let batches = micro_batches(&rows, 100, false);
        let mut all: Vec<usize> = batches.iter().flatten().copied().collect();
        all.sort_unstable();
        assert_eq!(all, [0, 1, 2, 3, 4, 5, 6]);
        for batch in &batches {
            let longest = batch.iter().map(|&number| rows[number].len()).max().unwrap();
            assert!(batch.len() == 1 || batch.len() * longest <= 100);
        }
        assert_eq!(batches[2], [3, 2, 6], "similar lengths stand together");
        let packed = micro_batches(&rows, 100, true);
        assert_eq!(packed, [vec![5], vec![1], vec![3, 2, 6, 0, 4]], "99 tokens fit");
    }
}
