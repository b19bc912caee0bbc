//! Rows into micro-batches of bounded size: rows of similar length together, so that little is padding where there is any.

use anyhow::{Result, anyhow};
use burn::tensor::Tensor;
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

/// [`micro_batches`] of those `rows` that are `members`, by their numbers among all.
pub fn micro_batches_of(rows: &[&Row], members: Vec<usize>, max_tokens: usize, packed: bool) -> Vec<Vec<usize>> {
    let chosen: Vec<&Row> = members.iter().map(|&row| rows[row]).collect();
    let batches = micro_batches(&chosen, max_tokens, packed).into_iter();
    batches
        .map(|batch| batch.into_iter().map(|place| members[place]).collect())
        .collect()
}

/// What some rows add to an update.
pub trait Part {
    /// The sum of two parts, `self` being the one of earlier rows.
    #[must_use]
    fn merge(self, later: Self) -> Self;
}

/// Computes the part of each micro-batch, by number and rows, and sums them in order; `None` without micro-batches.
///
/// # Errors
/// The first of `part`.
pub fn accumulate<P: Part>(
    batches: &[Vec<usize>],
    mut part: impl FnMut(usize, &[usize]) -> Result<P>,
) -> Result<Option<P>> {
    let mut whole: Option<P> = None;
    for (number, members) in batches.iter().enumerate() {
        let next = part(number, members)?;
        whole = Some(match whole {
            None => next,
            Some(sum) => sum.merge(next),
        });
    }
    Ok(whole)
}

/// The sum of numbers that lie on a device, read at once and added in f64.
///
/// # Errors
/// When they cannot be read.
pub fn read_sum(values: Vec<Tensor<1>>) -> Result<f64> {
    Ok(read(values)?.into_iter().map(f64::from).sum())
}

/// The largest of numbers that lie on a device, read at once; `None` where there are none.
///
/// # Errors
/// When they cannot be read.
pub fn read_max(values: Vec<Tensor<1>>) -> Result<Option<f64>> {
    Ok(read(values)?.into_iter().map(f64::from).reduce(f64::max))
}

fn read(values: Vec<Tensor<1>>) -> Result<Vec<f32>> {
    if values.is_empty() {
        return Ok(Vec::new());
    }
    let values = Tensor::cat(values, 0).try_into_vec_as::<f32>();
    values.map_err(|error| anyhow!("cannot read the figures of an update: {error:?}"))
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
