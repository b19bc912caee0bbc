//! Side effects on each phone: what changed without being asked for is told, and what was asked for is not.
#![allow(clippy::unwrap_used)]

use cua_grpo_android::tasks::{Goal, TaskState};
use cua_grpo_android::{Device, DeviceSource, LeaseRequest, Snapshot};
use cua_grpo_core::Task;
use cua_grpo_gbox::{BoxPool, ClientConfig, GboxClient, PoolConfig};
use cua_grpo_sim::{PhoneKind, PhoneSpec, Player, SimConfig, SimServer, Skill};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(30);

/// A phone of a kind that is held.
struct Held {
    server: SimServer,
    device: Box<dyn Device>,
    kind: PhoneKind,
}

impl Held {
    async fn new(kind: PhoneKind) -> Self {
        let phone = PhoneSpec::from(kind);
        let config = SimConfig {
            phone,
            ..SimConfig::default()
        };
        let server = SimServer::start(config).await.unwrap();
        let client = GboxClient::new(ClientConfig::new("any").at(server.base_url())).unwrap();
        let pool = BoxPool::new(client, PoolConfig::default()).unwrap();
        let request = LeaseRequest {
            seed: 4,
            task: "own/4".to_owned(),
            slot: 0,
            settle: Duration::ZERO,
        };
        let device = DeviceSource::lease(&pool, &request).await.unwrap();
        Self { server, device, kind }
    }

    async fn look(&mut self) -> Snapshot {
        Snapshot::take(self.device.as_mut(), self.kind, LIMIT).await.unwrap()
    }

    async fn shell(&mut self, command: &str) {
        let output = self.device.shell(command, LIMIT).await.unwrap();
        assert_eq!(output.exit_code, 0, "{command}: {}", output.stderr);
    }

    /// Plays goals as the expert does.
    fn play(&self, goals: &[Goal]) {
        let tag: Vec<String> = goals.iter().map(Goal::to_string).collect();
        let task = Task::new("own/4", "").with_tag("goal", tag.join(";"));
        let steps = goals.iter().flat_map(Goal::steps).map(|step| step.to_string());
        let expert = match self.kind {
            PhoneKind::Small => Vec::new(),
            PhoneKind::Pixel => steps.collect(),
        };
        let task = TaskState {
            expert,
            ..TaskState::default()
        }
        .into_task(task);
        let mut player = Player::new(&task, Skill::default(), 1).unwrap();
        let played = self.server.phones().with_handset(self.device.name(), |phone| {
            for _ in 0..40 {
                let action = player.next(phone).unwrap();
                phone.perform(&action).unwrap();
                if matches!(action, cua_grpo_android::action::Action::Report { .. }) {
                    return true;
                }
            }
            false
        });
        assert_eq!(played, Some(true));
    }
}

fn goals(texts: &[&str]) -> Vec<Goal> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

/// What the phones are asked for.
fn asking(texts: &[&str], kind: PhoneKind) -> TaskState {
    TaskState {
        checks: goals(texts).iter().map(|goal| goal.check(kind)).collect(),
        ..TaskState::default()
    }
}

#[tokio::test]
async fn notes_alarms_contacts_and_settings_are_told_where_nobody_asked() {
    for kind in PhoneKind::ALL {
        let mut phone = Held::new(kind).await;
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let alarm = &goals(&["alarm:07:35=on"])[0];
        for command in alarm.set(false, kind, &mut rng).unwrap() {
            phone.shell(&command).await;
        }
        let before = phone.look().await;
        assert_eq!(
            before.unasked(&phone.look().await, &asking(&[], kind)),
            [""; 0],
            "{kind}"
        );

        phone.play(&goals(&["note:buy milk", "alarm:07:35=on", "toggle:rotate=off"]));
        phone.play(&goals(&["toggle:rotate=on"]));
        phone.shell("settings put system volume_ring_speaker 3").await;
        if kind == PhoneKind::Pixel {
            let contact = "content insert --uri content://com.android.contacts/raw_contacts --bind _id:i:9001; content \
                           insert --uri content://com.android.contacts/data --bind raw_contact_id:i:9001 --bind \
                           mimetype:s:vnd.android.cursor.item/name --bind data1:s:'Ada Bloom'";
            phone.shell(contact).await;
        }
        let after = phone.look().await;
        let unasked = |texts: &[&str]| before.unasked(&after, &asking(texts, kind));
        let count = |lines: &[String], begin: &str| lines.iter().filter(|line| line.starts_with(begin)).count();

        let none = unasked(&["toggle:rotate=on"]);
        let counts =
            ["note ", "alarm ", "setting system volume_ring_speaker", "contact _id"].map(|kind| count(&none, kind));
        assert_eq!(
            counts,
            [1, 1, 1, usize::from(kind == PhoneKind::Pixel)],
            "{kind}: {none:?}"
        );
        let asked = unasked(&["toggle:rotate=on", "note:buy milk", "alarm:07:35=on"]);
        assert_eq!(
            (count(&asked, "note "), count(&asked, "alarm ")),
            (0, 0),
            "{kind}: {asked:?}"
        );
        assert_eq!(count(&asked, "setting "), 1, "{kind}: {asked:?}");
        // Other things than those that were asked for.
        let others = unasked(&["toggle:rotate=on", "note:buy milk and eggs", "alarm:08:35=on"]);
        assert_eq!(
            (count(&others, "note "), count(&others, "alarm ")),
            (1, 1),
            "{kind}: {others:?}"
        );
        // An alarm that was to be off, and is on.
        let wrong = unasked(&["toggle:rotate=on", "note:buy milk", "alarm:07:35=off"]);
        assert_eq!(count(&wrong, "alarm "), 1, "{kind}: {wrong:?}");
        phone.device.release().await;
    }
}
