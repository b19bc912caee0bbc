//! Finds boxes by the label of their run, and ends them. Labels are compared here, not only by the service: a box of
//! others is never ended.

use crate::client::{BoxFilter, GboxClient};
use crate::error::GboxError;
use crate::wire::{BoxStatus, ListedBox};
use std::collections::{BTreeMap, BTreeSet};
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
    /// Ids of boxes whose end was acknowledged, and which no list shows any more.
    pub ended: Vec<String>,
    /// Ids of boxes that may live, with the reason.
    pub left: Vec<(String, GboxError)>,
}

/// Looks whether boxes are gone, as shares of the time that there is for them: an end may take a moment.
const LOOKS: [f64; 4] = [0.0, 0.1, 0.3, 0.6];

/// Terminates boxes, several at a time, and looks for at most about `patience` whether those are gone whose end was
/// acknowledged.
pub async fn end_boxes(client: &GboxClient, boxes: Vec<ListedBox>, patience: Duration) -> Swept {
    let run = |listed: &ListedBox| listed.labels.get(RUN_LABEL).cloned();
    let runs: BTreeSet<Option<String>> = boxes.iter().map(run).collect();
    // Boxes of one run are looked for among its own.
    let run = runs.first().cloned().flatten().filter(|_| runs.len() == 1);
    let mut swept = terminate(client, boxes.into_iter().map(|listed| listed.id)).await;
    let still = still_there(client, &swept.ended, run.as_deref(), patience).await;
    for box_id in std::mem::take(&mut swept.ended) {
        match &still {
            Ok(still) if !still.contains(&box_id) => swept.ended.push(box_id),
            Ok(_) => swept.left.push((box_id.clone(), GboxError::StillThere { box_id })),
            Err(error) => swept.left.push((box_id, error.clone())),
        }
    }
    swept
}

/// Those of `ended` that are listed all the time.
async fn still_there(
    client: &GboxClient,
    ended: &[String],
    run: Option<&str>,
    patience: Duration,
) -> Result<BTreeSet<String>, GboxError> {
    let mut still: BTreeSet<String> = ended.iter().cloned().collect();
    for share in LOOKS {
        if still.is_empty() {
            break;
        }
        tokio::time::sleep(patience.mul_f64(share)).await;
        let alive = match run {
            Some(run) => boxes_of_run(client, run).await?,
            None => live(client, BTreeMap::new()).await?,
        };
        still.retain(|id| alive.iter().any(|listed| listed.id == *id));
    }
    Ok(still)
}

/// Terminates boxes, several at a time, and takes the word of the service for it.
pub(crate) async fn terminate(client: &GboxClient, ids: impl IntoIterator<Item = String>) -> Swept {
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
            Ok(end_boxes(&client, boxes, limit / 6).await)
        })
    });
    let panicked = || GboxError::Config("a sweep panicked".to_owned());
    thread.join().map_err(|_| panicked())?
}
