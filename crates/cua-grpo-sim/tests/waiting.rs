//! A policy that waits: on the phone of a run its clock moves on, and nobody waits for it.
#![allow(clippy::unwrap_used)]

use cua_grpo_android::action::Action;
use cua_grpo_android::{DeviceSource, LeaseRequest, LiveDevice};
use cua_grpo_sim::{HERE, PhoneKind, Phones, PhonesConfig};
use std::time::{Duration, Instant};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sleep_moves_the_clock_of_the_phone_and_takes_no_time() {
    for phone in PhoneKind::ALL {
        let phones = Phones::open(PhonesConfig {
            base_url: HERE,
            api_key: None,
            at_once: 1,
            label: None,
            outage_budget: Duration::ZERO,
            phone: phone.into(),
        });
        let phones = phones.await.unwrap();
        let request = LeaseRequest {
            seed: 1,
            task: "task".to_owned(),
            slot: 0,
            settle: Duration::ZERO,
        };
        let device = DeviceSource::lease(&phones.pool, &request).await.unwrap();
        let mut device = LiveDevice::open(device, Duration::ZERO).await.unwrap();
        let began = Instant::now();
        let mut seconds = Vec::new();
        for duration in [0.1, 60.0] {
            device.perform(&Action::Sleep { duration }).await.unwrap();
            let output = device.query("date +%s", Duration::from_secs(5)).await.unwrap();
            seconds.push(output.stdout.trim().parse::<i64>().unwrap_or_default());
        }
        assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
        if phone == PhoneKind::Pixel {
            let passed = seconds[1] - seconds[0];
            assert!((60..=62).contains(&passed), "{passed} s");
        }
        device.into_device().release().await;
        phones.close().await;
    }
}
