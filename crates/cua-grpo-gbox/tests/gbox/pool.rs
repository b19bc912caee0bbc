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
    assert_eq!(pool.close().await.unwrap(), 0, "a box was left to sweep");
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
            create_faults: 0,
            terminate_faults: 0
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
        (&"b".into(), &pool.run_label().into())
    );
    assert_eq!(lease.object().id, lease.id());
}

#[tokio::test]
async fn a_failed_create_frees_its_slot_and_leaves_no_box() {
    let double = Double::start().await;
    let pool = pool(&double, 1);
    // The service acts, then says 500: the box exists, but nobody was told its id.
    double.fail([Failure {
        acts: true,
        ..Failure::new("POST /android", 500)
    }]);
    let error = lease(&pool).await.unwrap_err();
    assert_eq!(error.status(), Some(500));
    double.with(|service| assert_eq!((service.boxes.len(), service.running()), (1, 0)));
    assert_eq!(
        pool.stats(),
        PoolStats {
            created: 0,
            terminated: 1,
            create_faults: 1,
            terminate_faults: 0
        }
    );

    double.with(|service| service.quota = Some(0));
    let error = lease(&pool).await.unwrap_err();
    assert!(
        matches!(&error, GboxError::Quota { .. }) && error.to_string().contains("quota of boxes"),
        "{error}"
    );
    double.with(|service| service.quota = None);
    lease(&pool).await.expect("the slot is free again");
}

#[tokio::test]
async fn a_later_run_sweeps_what_a_crash_left() {
    let double = Double::start().await;
    let (crashed, other) = (pool(&double, 2), pool(&double, 2));
    let label = crashed.run_label().to_owned();
    std::mem::forget((lease(&crashed).await.unwrap(), lease(&crashed).await.unwrap()));
    let kept = lease(&other).await.unwrap();
    assert_eq!(pool(&double, 1).sweep(&label).await.unwrap(), 2);
    double.with(|service| {
        assert_eq!(service.running(), 1);
        assert_eq!(
            service.boxes[kept.id()]["status"],
            "running",
            "another run's box was swept"
        );
    });
    assert_eq!(pool(&double, 1).sweep(&label).await.unwrap(), 0);
}

#[tokio::test]
async fn a_termination_that_fails_is_tried_again_and_then_counted() {
    let double = Double::start().await;
    let pool = pool(&double, 1);
    double.fail(vec![Failure::new("POST /terminate", 500); 2]);
    assert!(lease(&pool).await.unwrap().release().await);
    double.fail(vec![Failure::new("POST /terminate", 500); 3]);
    assert!(!lease(&pool).await.unwrap().release().await);
    assert_eq!(
        pool.stats(),
        PoolStats {
            created: 2,
            terminated: 1,
            create_faults: 0,
            terminate_faults: 1
        }
    );
    assert_eq!(pool.close().await.unwrap(), 1, "closing sweeps the rest");
    assert_eq!(double.with(|service| service.running()), 0);
}

#[tokio::test]
async fn a_quota_of_zero_is_refused() {
    let double = Double::start().await;
    let config = PoolConfig {
        quota: 0,
        ..PoolConfig::default()
    };
    assert!(BoxPool::new(double.client(), config).is_err());
    assert!(pool(&double, 1).preflight().await.is_ok());
}
