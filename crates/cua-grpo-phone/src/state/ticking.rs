//! What happens by itself while time passes.

use super::{State, Table, Toggle, data::Notification, time::Civil};

impl State {
    /// Lets time pass: lists come to rest, messages go, timers ring, the screen turns off.
    pub fn advance(&mut self, ms: i64) {
        let before = self.now;
        self.now += ms.max(0);
        self.settle_fling();
        let now = self.now;
        self.toast = self.toast.take().filter(|(_, until)| *until > now);
        self.heads_up = self.heads_up.filter(|(_, until)| *until > now);
        self.volume_panel = self.volume_panel.filter(|until| *until > now);
        if self.timer.ends.is_some_and(|ends| ends <= now) {
            self.timer.ends = None;
            self.timer.left = 0;
            self.ring("Timer", "Time's up", "timer");
        }
        self.ring_alarms(before);
        let timeout = self
            .settings
            .number(Table::System, "screen_off_timeout")
            .unwrap_or(60_000);
        let stays = self.battery.plugged && self.on(Toggle::StayAwake);
        if self.awake && !stays && now - self.touched >= timeout.max(1000) {
            self.sleep();
        }
    }

    /// The list that moves by itself, where it is now.
    pub fn settle_fling(&mut self) {
        let Some(fling) = self.fling.clone() else {
            return;
        };
        let t = if fling.length <= 0 {
            1.0
        } else {
            ((self.now - fling.start) as f32 / fling.length as f32).clamp(0.0, 1.0)
        };
        // Android's spline starts fast and ends slow; a quartic comes within a few pixels of it.
        let way = 1.0 - (1.0 - t).powi(4);
        let offset = (fling.from + fling.distance * way).max(0.0);
        self.place_mut(fling.window).scroll.insert(fling.key, offset);
        if t >= 1.0 {
            self.fling = None;
        }
    }

    fn ring(&mut self, title: &str, text: &str, page: &str) {
        let package = "com.google.android.deskclock".to_owned();
        let id = self.fresh_id();
        self.notify(Notification {
            id,
            tag: String::new(),
            package,
            title: title.to_owned(),
            text: text.to_owned(),
            date: self.now,
            silent: false,
            ongoing: false,
            page: page.to_owned(),
            about: String::new(),
        });
    }

    fn ring_alarms(&mut self, before: i64) {
        let due: Vec<u32> = self
            .alarms
            .iter()
            .filter(|alarm| alarm.enabled)
            .filter(|alarm| {
                self.next_ring(alarm.hour, alarm.minute, alarm.days, before)
                    .is_some_and(|at| at <= self.now)
            })
            .map(|alarm| alarm.id)
            .collect();
        for id in due {
            let Some(alarm) = self.alarms.iter_mut().find(|alarm| alarm.id == id) else {
                continue;
            };
            if alarm.days == 0 {
                alarm.enabled = false;
            }
            let (label, hour, minute) = (alarm.label.clone(), alarm.hour, alarm.minute);
            let title = if label.is_empty() { "Alarm".to_owned() } else { label };
            let text = self.clock(hour, minute);
            self.ring(&title, &text, "");
        }
    }

    /// When an alarm rings next after a moment, UTC.
    pub fn next_ring(&self, hour: u32, minute: u32, days: u8, after: i64) -> Option<i64> {
        let offset = self.local(0);
        let local = after + offset;
        let today = Civil::new(local);
        let start = Civil::ms(today.year, today.month, today.day, hour, minute);
        (0..8).map(|day| start + day * super::time::DAY).find_map(|at| {
            let weekday = Civil::new(at).weekday;
            let bit = 1_u8 << ((weekday + 6) % 7);
            (at > local && (days == 0 || days & bit != 0)).then_some(at - offset)
        })
    }

    /// The alarm that rings next, with its moment in UTC.
    pub fn next_alarm(&self) -> Option<(u32, i64)> {
        self.alarms
            .iter()
            .filter(|alarm| alarm.enabled)
            .filter_map(|alarm| {
                Some((
                    alarm.id,
                    self.next_ring(alarm.hour, alarm.minute, alarm.days, self.now)?,
                ))
            })
            .min_by_key(|(_, at)| *at)
    }
}
