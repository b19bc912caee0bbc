//! Answers that would have the wrong box used or ended: boxes of others, one box for two, ends that are none.

use crate::double::{Double, Failure};
use cua_grpo_gbox::{
    BoxLease, BoxPool, ClientConfig, GboxClient, GboxError, LEASE_LABEL, PoolConfig, RetryPolicy, boxes_of_run,
    end_boxes,
};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

fn pool(double: &Double, quota: usize) -> BoxPool {
    let config = PoolConfig {
        quota,
        ..PoolConfig::default()
    };
    BoxPool::new(double.client(), config).unwrap()
}

async fn lease(pool: &BoxPool) -> Result<BoxLease, GboxError> {
    pool.lease(BTreeMap::new(), BTreeMap::new()).await
}

/// A box that somebody else has made, with these labels.
fn theirs(double: &Double, labels: Value) -> Value {
    let object = json!({
        "id": "alice", "type": "android", "status": "running", "createdAt": "", "updatedAt": "",
        "config": {"os": {"version": "13"}, "cpu": 2, "memory": 4096, "storage": 20, "labels": labels},
    });
    double.with(|service| service.boxes.insert("alice".to_owned(), object.clone()));
    object
}

/// Calls that name the box.
fn calls(double: &Double, id: &str) -> Vec<String> {
    let name = |calls: &[(String, Value)]| calls.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    let calls = double.with(|service| name(&service.calls));
    calls
        .into_iter()
        .filter(|call| call.contains(&format!("/{id}")))
        .collect()
}

#[tokio::test]
async fn a_box_of_somebody_else_is_neither_used_nor_ended() {
    for labels in [
        json!({"owner": "alice"}),
        json!({}),
        json!(null),
        json!({LEASE_LABEL: "another"}),
    ] {
        let double = Double::start().await;
        let pool = pool(&double, 1);
        let alice = theirs(&double, labels.clone());
        // Once: the box that was made unseen is found by its label and ended, and another one is made.
        double.with(|service| service.given = [alice.clone()].into());
        let leased = lease(&pool).await.unwrap();
        assert_eq!((leased.id(), double.with(|service| service.running())), ("box-2", 2));
        assert!(leased.release().await);
        // Always: the attempt fails.
        double.with(|service| service.given = vec![alice.clone(); 100].into());
        let error = lease(&pool).await.unwrap_err();
        assert!(
            matches!(&error, GboxError::Foreign { box_id } if box_id == "alice"),
            "{labels}: {error}"
        );
        let closed = pool.close().await;
        assert!(closed.is_clean(), "{closed:?}");
        assert_eq!(calls(&double, "alice"), Vec::<String>::new(), "{labels}");
        double.with(|service| {
            assert_eq!(service.boxes["alice"]["status"], "running", "{labels}");
            assert_eq!(service.running(), 1, "{labels}: boxes of ours that nobody was told of");
        });
    }
}

#[tokio::test]
async fn a_box_that_is_given_twice_is_used_once_and_not_ended_under_its_holder() {
    let double = Double::start().await;
    let pool = pool(&double, 2);
    let first = lease(&pool).await.unwrap();
    let object = |double: &Double| double.with(|service| service.boxes["box-0"].clone());
    for relabelled in [false, true] {
        // With the labels of the first create, and with those of the second, whose own box is there unseen.
        double.with(|service| service.given = vec![service.boxes["box-0"].clone(); 100].into());
        let error = match relabelled {
            false => lease(&pool).await.unwrap_err(),
            true => {
                let double = double.clone();
                let relabelling = tokio::spawn(async move {
                    loop {
                        double.with(|service| {
                            let asked = service.bodies("/boxes/android");
                            let labels = asked.last().unwrap()["config"]["labels"].clone();
                            for given in &mut service.given {
                                given["config"]["labels"] = labels.clone();
                            }
                        });
                        tokio::task::yield_now().await;
                    }
                });
                let error = lease(&pool).await.unwrap_err();
                relabelling.abort();
                error
            }
        };
        assert!(
            matches!(&error, GboxError::Twice { box_id } if box_id == "box-0"),
            "{error}"
        );
        assert!(error.to_string().contains("the service gave it twice"), "{error}");
        assert_eq!(calls(&double, "box-0"), Vec::<String>::new());
        assert_eq!(object(&double)["status"], "running");
        assert_eq!(
            double.with(|service| service.running()),
            1,
            "what was made unseen is ended"
        );
    }
    // The first holder ends it; and a box that was ended is not given again either.
    let old = object(&double);
    assert!(first.release().await);
    double.with(|service| service.given = vec![old; 100].into());
    let error = lease(&pool).await.unwrap_err();
    assert!(matches!(error, GboxError::Twice { .. }), "{error}");
    assert_eq!(calls(&double, "box-0").len(), 1, "one end, by its holder");
    double.with(|service| service.given.clear());
    assert!(lease(&pool).await.unwrap().release().await, "both places are free");
    let closed = pool.close().await;
    assert!(closed.is_clean(), "{closed:?}");
    assert_eq!(double.with(|service| service.running()), 0);
}

#[tokio::test]
async fn a_box_that_is_shown_as_another_one_is_an_error() {
    let double = Double::start().await;
    let alice = theirs(&double, json!({"owner": "alice"}));
    assert_eq!(double.client().get_box("alice").await.unwrap().id, "alice");
    // As when a box of ours boots, and is looked at until it runs.
    double.with(|service| service.boxes.insert("box-7".to_owned(), alice));
    let error = double.client().get_box("box-7").await.unwrap_err();
    let other = matches!(&error, GboxError::Answer { got, .. } if got.contains("alice") && got.contains("box-7"));
    assert!(other, "{error}");
}

#[tokio::test]
async fn an_end_that_is_acknowledged_and_not_done_is_told_and_counted() {
    for status in [200, 404] {
        let double = Double::start().await;
        let pool = pool(&double, 2);
        double.with(|service| service.lies = Some(status));
        let (one, two) = (lease(&pool).await.unwrap(), lease(&pool).await.unwrap());
        let mut ids = [one.id().to_owned(), two.id().to_owned()];
        ids.sort();
        assert!(one.release().await && two.release().await, "as far as the service says");
        let begin = Instant::now();
        let mut closed = pool.close().await;
        closed.left.sort();
        assert_eq!((&closed.left[..], closed.is_clean()), (&ids[..], false), "{closed:?}");
        assert_eq!(closed.swept, 0, "{closed:?}");
        let stats = pool.stats();
        assert_eq!((stats.created, stats.terminate_faults), (2, 2), "{stats:?}");
        assert!(begin.elapsed() < Duration::from_secs(8), "{:?}", begin.elapsed());
        // What sweeps from outside finds the same.
        let label = pool.config().label.clone();
        let client = double.client();
        let found = boxes_of_run(&client, &label).await.unwrap();
        let swept = end_boxes(&client, found.clone(), Duration::from_millis(50)).await;
        assert_eq!((swept.ended.len(), swept.left.len()), (0, 2));
        for (id, error) in &swept.left {
            let text = error.to_string();
            assert!(text.contains(id) && text.contains("acknowledged"), "{text}");
        }
        let swept = tokio::task::spawn_blocking(move || pool.sweep_from_outside(Duration::from_secs(2)));
        assert_eq!(swept.await.unwrap().unwrap().left.len(), 2);
        double.with(|service| service.lies = None);
        let swept = end_boxes(&client, found, Duration::from_millis(50)).await;
        assert_eq!((swept.ended.len(), swept.left.len()), (2, 0));
    }
}

#[tokio::test]
async fn an_end_that_takes_a_moment_is_no_fault() {
    let double = Double::start().await;
    let pool = pool(&double, 1);
    double.with(|service| service.lies = Some(200));
    assert!(lease(&pool).await.unwrap().release().await);
    let (slow, late) = (double.clone(), double.clone());
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(200)).await;
        slow.with(|service| {
            service
                .boxes
                .values_mut()
                .for_each(|object| object["status"] = json!("terminated"))
        });
    });
    let closed = pool.close().await;
    assert!(closed.is_clean(), "{closed:?}");
    let stats = pool.stats();
    assert_eq!((stats.created, stats.terminated, stats.terminate_faults), (1, 1, 0));
    assert_eq!(late.with(|service| service.running()), 0);
}

#[tokio::test]
async fn the_clock_of_an_outage_begins_with_the_first_failure() {
    let double = Double::start().await;
    // Tries that are not patient come first: they take as long as the whole outage may.
    double.fail(vec![Failure::new("GET /boxes", 503); 100_000]);
    let mut config = ClientConfig::new("key").at(&double.base_url);
    config.retry = RetryPolicy {
        max_retries: 3,
        base_delay: Duration::from_millis(200),
        max_delay: Duration::from_millis(400),
        outage_budget: Duration::from_millis(1500),
    };
    let client = GboxClient::new(config).unwrap();
    let pool = BoxPool::new(client, PoolConfig::default()).unwrap();
    let begin = Instant::now();
    let error = pool.preflight().await.unwrap_err();
    let spent = begin.elapsed();
    assert!(
        matches!(error, GboxError::GaveUp { waited, .. } if waited >= Duration::from_millis(1500)),
        "{error}"
    );
    // Before, the three tries of at least 0.75 s came on top.
    assert!(spent < Duration::from_millis(2100), "{spent:?}");
}
