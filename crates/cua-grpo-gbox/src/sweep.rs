//! Finds boxes by the label of their run, and ends them. Labels are compared here, not only by the service: a box of
//! others is never ended.

use crate::client::{BoxFilter, GboxClient};
use crate::error::GboxError;
use crate::wire::{BoxStatus, ListedBox};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::task::JoinSet;

/// Label that names the run.
pub const RUN_LABEL: &str = "cua-grpo-run";
/// Label that names one lease, unique for ever.
pub const LEASE_LABEL: &str = "cua-grpo-lease";

/// Boxes that are ended at the same time.
const AT_ONCE: usize = 16;

/// Live boxes whose label `name` is `value`.
///
/// # Errors
/// When boxes cannot be listed.
pub async fn boxes_with(client: &GboxClient, name: &str, value: &str) -> Result<Vec<ListedBox>, GboxError> {
    let labels = BTreeMap::from([(name.to_owned(), value.to_owned())]);
    let mut boxes = live(client, labels).await?;
    boxes.retain(|listed| listed.labels.get(name).is_some_and(|found| found == value));
    Ok(boxes)
}

/// Live boxes of the run with this label.
///
/// # Errors
/// When boxes cannot be listed.
pub async fn boxes_of_run(client: &GboxClient, label: &str) -> Result<Vec<ListedBox>, GboxError> {
    boxes_with(client, RUN_LABEL, label).await
}

/// Live boxes of all runs of this program on the account.
///
/// # Errors
/// When boxes cannot be listed.
pub async fn boxes_of_runs(client: &GboxClient) -> Result<Vec<ListedBox>, GboxError> {
    let mut boxes = live(client, BTreeMap::new()).await?;
    boxes.retain(|listed| listed.labels.contains_key(RUN_LABEL));
    Ok(boxes)
}

async fn live(client: &GboxClient, labels: BTreeMap<String, String>) -> Result<Vec<ListedBox>, GboxError> {
    let statuses = vec![BoxStatus::Pending, BoxStatus::Running];
    let mut boxes = client.list_all(&BoxFilter { statuses, labels }).await?;
    boxes.retain(ListedBox::is_live);
    Ok(boxes)
}

/// What came of ending boxes.
#[derive(Debug, Default)]
pub struct Swept {
    /// Ids of boxes that are gone.
    pub ended: Vec<String>,
    /// Ids of boxes that may live, with the reason.
    pub left: Vec<(String, GboxError)>,
}

/// Terminates boxes, several at a time.
pub async fn end_boxes(client: &GboxClient, ids: impl IntoIterator<Item = String>) -> Swept {
    let (mut ids, mut under_way, mut swept) = (ids.into_iter(), JoinSet::new(), Swept::default());
    loop {
        while under_way.len() < AT_ONCE
            && let Some(id) = ids.next()
        {
            let client = client.clone();
            under_way.spawn(async move {
                let ended = client.terminate(&id, false).await;
                (id, ended)
            });
        }
        match under_way.join_next().await {
            None => return swept,
            Some(Ok((id, Ok(())))) => swept.ended.push(id),
            Some(Ok((id, Err(error)))) => swept.left.push((id, error)),
            // A task that is aborted or panics has its box in no list; the next sweep finds it.
            Some(Err(error)) => tracing::error!(%error, "a box was not ended"),
        }
    }
}

/// Finds and ends the boxes of a run within `limit`, on a thread and a connection of its own: for moments in which
/// nothing else of the program can be relied on, as a panic.
pub fn sweep_from_outside(client: &GboxClient, label: &str, limit: Duration) -> Result<Swept, GboxError> {
    let (config, label) = (client.config().clone(), label.to_owned());
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| GboxError::Config(format!("no runtime for a sweep: {error}")))?;
        let client = GboxClient::new(config)?.brief(limit / 2);
        runtime.block_on(async {
            let boxes = boxes_of_run(&client, &label).await?;
            Ok(end_boxes(&client, boxes.into_iter().map(|listed| listed.id)).await)
        })
    });
    let panicked = || GboxError::Config("a sweep panicked".to_owned());
    thread.join().map_err(|_| panicked())?
}
