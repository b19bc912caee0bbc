//! The pool: quota, and no box is ever lost.

use crate::double::{Double, Failure};
use cua_grpo_gbox::{BoxPool, GboxError, PoolConfig, PoolStats, RUN_LABEL};
use std::collections::BTreeMap;
use std::time::Duration;

fn pool(double: &Double, quota: usize) -> BoxPool {
    BoxPool::new(
        double.client(),
        PoolConfig {
            quota,
            ..PoolConfig::default()
        },
    )
    .unwrap()
}

async fn lease(pool: &BoxPool) -> Result<cua_grpo_gbox::BoxLease, GboxError> {
    pool.lease(BTreeMap::new(), BTreeMap::new()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn never_more_boxes_than_the_quota() {
    let double = Double::start().await;
    let pool = pool(&double, 3);
    let tasks: Vec<_> = (0..12)
        .map(|i| {
            let pool = pool.clone();
            tokio::spawn(async move {
                let lease = lease(&pool).await.unwrap();
                tokio::time::sleep(Duration::from_millis(5)).await;
                if i % 2 == 0 {
                    assert!(lease.release().await);
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let closed = pool.close().await;
    assert!(closed.is_clean() && closed.swept == 0, "{closed:?}");
    double.with(|service| {
        assert_eq!(
            (service.boxes.len(), service.running(), service.most_running),
            (12, 0, 3)
        )
    });
    assert_eq!(
        pool.stats(),
        PoolStats {
            created: 12,
            terminated: 12,
            ..PoolStats::default()
        }
    );
    assert!(lease(&pool).await.is_err(), "a closed pool leased a box");
}

#[tokio::test]
async fn a_box_is_created_as_asked() {
    let double = Double::start().await;
    let pool = pool(&double, 1);
    let envs = BTreeMap::from([("CUA_SIM_SEED".to_owned(), "5".to_owned())]);
    let lease = pool
        .lease(envs, BTreeMap::from([("a".to_owned(), "b".to_owned())]))
        .await
        .unwrap();
    let body = double.with(|service| service.bodies("/android")[0].clone());
    assert_eq!(
        (&body["timeout"], &body["wait"], &body["config"]["expiresIn"]),
        (&"1m".into(), &true.into(), &"15m".into())
    );
    assert_eq!(body["config"]["envs"]["CUA_SIM_SEED"], "5");
    assert_eq!(
        (&body["config"]["labels"]["a"], &body["config"]["labels"][RUN_LABEL]),
        (&"b".into(), &pool.config().label.as_str().into())
    );
    assert_eq!(lease.object().id, lease.id());
}

#[tokio::test]
async fn a_failed_create_leaves_no_box_and_is_made_again() {
    let double = Double::start().await;
    let pool = pool(&double, 1);
    // The service acts, then fails: the box exists, but nobody was told its id.
    for status in [500, 503, 429, 408, 502] {
        double.fail([Failure {
            acts: true,
            ..Failure::new("POST /android", status)
        }]);
        let lease = lease(&pool).await.unwrap();
        assert_eq!(double.with(|service| service.running()), 1, "status {status}");
        assert!(lease.release().await);
    }
    assert_eq!(
        pool.stats(),
        PoolStats {
            created: 10,
            terminated: 10,
            ..PoolStats::default()
        }
    );
    // Without end it is given up.
    for (status, budget) in [(500, false), (401, false), (503, true)] {
        double.fail(vec![Failure::new("POST /android", status); 100_000]);
        let error = lease(&pool).await.unwrap_err();
        assert_eq!(
            (error.status(), error.to_string().contains("outage_budget")),
            (Some(status), budget)
        );
        double.with(|service| service.failures.clear());
    }
    assert_eq!(pool.stats().create_faults, 3);
    assert!(lease(&pool).await.unwrap().release().await, "the place is free again");
}

#[tokio::test]
async fn a_quota_that_others_use_up_is_waited_for() {
    let double = Double::start().await;
    let (pool, others) = (pool(&double, 1), pool(&double, 1));
    double.with(|service| service.quota = Some(1));
    let theirs = lease(&others).await.unwrap();
    let waiting = tokio::spawn(async move { lease(&pool).await.map(|lease| (pool, lease)) });
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!waiting.is_finished());
    assert!(theirs.release().await);
    let (pool, lease) = waiting.await.unwrap().unwrap();
    assert_eq!(pool.client().outages().count, 1);
    assert!(lease.release().await);
}

/// Who asks may be who holds the others, as in a collection whose episodes begin together.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_quota_that_boxes_of_the_pool_use_up_is_said_at_once() {
    let double = Double::start().await;
    let pool = pool(&double, 5);
    double.with(|service| service.quota = Some(2));
    let begin = std::time::Instant::now();
    let tasks: Vec<_> = (0..5)
        .map(|_| {
            let pool = pool.clone();
            tokio::spawn(async move { lease(&pool).await })
        })
        .collect();
    let (mut leases, mut full) = (Vec::new(), 0);
    for task in tasks {
        match task.await.unwrap() {
            Ok(lease) => leases.push(lease),
            Err(GboxError::Full { places: 2 }) => full += 1,
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!((leases.len(), full), (2, 3));
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
    // What is known is not asked again.
    let creates = || double.with(|service| service.count("/android"));
    let before = creates();
    assert!(matches!(lease(&pool).await, Err(GboxError::Full { places: 2 })));
    assert_eq!((creates(), before > 0), (before, true));
    assert!(leases.pop().unwrap().release().await);
    let again = lease(&pool).await.unwrap();
    assert!(again.release().await && leases.pop().unwrap().release().await);
    assert_eq!(pool.stats().create_faults, 0);
    assert!(pool.close().await.is_clean());
}

#[tokio::test]
async fn a_create_whose_future_is_dropped_leaves_no_box() {
    let double = Double::start().await;
    let pool = pool(&double, 1);
    // The box is there at once, the answer is not.
    double.fail([Failure {
        acts: true,
        ..Failure::new("POST /android", 0)
    }]);
    let leasing = pool.clone();
    let task = tokio::spawn(async move { lease(&leasing).await.map(drop) });
    until(|| double.with(|service| service.running()) == 1).await;
    task.abort();
    until(|| double.with(|service| service.running()) == 0).await;
    assert!(lease(&pool).await.unwrap().release().await);
    assert!(pool.close().await.is_clean());
}

/// Waits until something is so.
async fn until(holds: impl Fn() -> bool) {
    let begin = std::time::Instant::now();
    while !holds() {
        assert!(begin.elapsed() < Duration::from_secs(20), "it never came");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test]
async fn after_sudden_death_with_the_whole_quota_used_the_same_label_goes_on_at_once() {
    let double = Double::start().await;
    double.with(|service| service.quota = Some(3));
    let labelled = |label: &str| {
        let config = PoolConfig {
            quota: 2,
            label: label.to_owned(),
            ..PoolConfig::default()
        };
        BoxPool::new(double.client(), config).unwrap()
    };
    let other = labelled("other");
    let kept = lease(&other).await.unwrap();
    let crashed = labelled("mine");
    std::mem::forget((lease(&crashed).await.unwrap(), lease(&crashed).await.unwrap()));
    // A service that knows no labels: they are compared here.
    double.with(|service| service.unfiltered = true);
    let again = labelled("mine");
    assert_eq!(again.sweep().await.unwrap(), 2);
    let lease = lease(&again).await.unwrap();
    double.with(|service| {
        assert_eq!(service.running(), 2);
        assert_eq!(
            service.boxes[kept.id()]["status"],
            "running",
            "a box of others was ended"
        );
    });
    assert_eq!(again.sweep().await.unwrap(), 0, "what is held is no stray");
    assert!(lease.release().await && kept.release().await);
}

#[tokio::test]
async fn a_box_keeps_its_place_until_it_is_gone() {
    let double = Double::start().await;
    let pool = pool(&double, 1);
    double.fail(vec![Failure::new("POST /terminate", 500); 2]);
    assert!(lease(&pool).await.unwrap().release().await, "tried again at once");
    assert_eq!(pool.stats().terminate_faults, 0);
    // Refused for good, for a while.
    double.fail(vec![Failure::new("POST /terminate", 403); 3]);
    let begin = std::time::Instant::now();
    assert!(!lease(&pool).await.unwrap().release().await);
    assert_eq!(double.with(|service| service.running()), 1);
    let next = lease(&pool).await.unwrap();
    assert!(begin.elapsed() > Duration::from_secs(1), "there was no place before");
    double.with(|service| assert_eq!((service.running(), service.most_running), (1, 1)));
    assert!(next.release().await);
    assert_eq!(
        pool.stats(),
        PoolStats {
            created: 3,
            terminated: 3,
            terminate_faults: 1,
            ..PoolStats::default()
        }
    );
    assert!(pool.close().await.is_clean());
}

#[tokio::test]
async fn closing_has_an_end_and_tells_what_is_left() {
    let double = Double::start().await;
    let config = PoolConfig {
        quota: 2,
        release_timeout: Duration::from_millis(100),
        close_timeout: Duration::from_millis(600),
        grace: Duration::from_millis(150),
        ..PoolConfig::default()
    };
    for hung in [false, true] {
        let pool = BoxPool::new(double.client(), config.clone()).unwrap();
        let (one, two) = (lease(&pool).await.unwrap(), lease(&pool).await.unwrap());
        let mut ids = [one.id().to_owned(), two.id().to_owned()];
        ids.sort();
        double.fail(vec![Failure::new("POST /terminate", 403); 1000]);
        double.with(|service| service.hung = hung);
        let begin = std::time::Instant::now();
        if hung {
            pool.end();
        }
        assert!(!one.release().await);
        drop(two);
        let mut closed = pool.close().await;
        let spent = begin.elapsed();
        assert!(spent < Duration::from_millis(1500), "{spent:?}");
        closed.left.sort();
        assert_eq!(closed.left, ids, "hung: {hung}");
        assert_eq!(closed.unknown.is_some(), hung, "{closed:?}");
        assert!(lease(&pool).await.is_err(), "a closed pool leased a box");
        double.with(|service| {
            service.failures.clear();
            service.hung = false;
        });
        let swept = tokio::task::spawn_blocking(move || pool.sweep_from_outside(Duration::from_secs(5)));
        let swept = swept.await.unwrap().unwrap();
        assert!(swept.ended.len() <= 2 && swept.left.is_empty());
        until(|| double.with(|service| service.running()) == 0).await;
    }
}

#[tokio::test]
async fn the_end_may_be_asked_for_while_boxes_are_being_ended() {
    let double = Double::start().await;
    let config = PoolConfig {
        quota: 1,
        close_timeout: Duration::from_secs(30),
        grace: Duration::from_millis(150),
        ..PoolConfig::default()
    };
    let pool = BoxPool::new(double.client(), config).unwrap();
    let held = lease(&pool).await.unwrap();
    let id = held.id().to_owned();
    double.with(|service| service.hung = true);
    drop(held);
    let begin = std::time::Instant::now();
    let asking = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        pool.end();
    };
    let (closed, ()) = tokio::join!(pool.close(), asking);
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
    assert_eq!(closed.left, [id]);
}

#[tokio::test]
async fn a_sweep_from_outside_ends_what_a_program_that_panics_holds() {
    let double = Double::start().await;
    let sweeping = pool(&double, 2);
    std::mem::forget((lease(&sweeping).await.unwrap(), lease(&sweeping).await.unwrap()));
    let swept = tokio::task::spawn_blocking(move || sweeping.sweep_from_outside(Duration::from_secs(5)));
    assert_eq!(swept.await.unwrap().unwrap().ended.len(), 2);
    assert_eq!(double.with(|service| service.running()), 0);
    // As a panic unwinds.
    let guard = pool(&double, 1).guard();
    let calls = || double.with(|service| service.calls.len());
    let before = calls();
    tokio::task::spawn_blocking(move || drop(guard)).await.unwrap();
    assert_eq!(calls(), before, "a pool that was never used needs no sweep");
    let crashing = pool(&double, 1);
    let guard = crashing.guard();
    std::mem::forget(lease(&crashing).await.unwrap());
    let panicked = tokio::task::spawn_blocking(move || {
        let _guard = guard;
        panic!("on purpose");
    });
    assert!(panicked.await.is_err());
    assert_eq!(double.with(|service| service.running()), 0);
}

#[tokio::test]
async fn a_quota_of_zero_and_an_empty_label_are_refused() {
    let double = Double::start().await;
    let quota = PoolConfig {
        quota: 0,
        ..PoolConfig::default()
    };
    let label = PoolConfig {
        label: String::new(),
        ..PoolConfig::default()
    };
    for config in [quota, label] {
        assert!(BoxPool::new(double.client(), config).is_err());
    }
    assert!(pool(&double, 1).preflight().await.is_ok());
    let begin = std::time::Instant::now();
    let nowhere = BoxPool::new(crate::double::client_at("http://127.0.0.1:1"), PoolConfig::default()).unwrap();
    assert!(nowhere.preflight().await.is_err());
    assert!(
        begin.elapsed() < Duration::from_millis(350),
        "a mistyped address is not waited for"
    );
}
