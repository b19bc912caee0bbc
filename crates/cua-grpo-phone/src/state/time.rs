//! Dates and times of the Gregorian calendar; nothing here reads a clock.

/// Milliseconds of a day.
pub const DAY: i64 = 86_400_000;
/// Milliseconds of a minute.
pub const MINUTE: i64 = 60_000;

/// Names of the days, from Sunday.
pub const WEEKDAYS: [&str; 7] = [
    "Sunday",
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
];
/// Names of the months.
pub const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// Time zones that the phone knows: id, city, name, minutes from UTC. Summer time is not kept.
pub const ZONES: &[(&str, &str, &str, i32)] = &[
    ("Pacific/Honolulu", "Honolulu", "Hawaii-Aleutian Standard Time", -600),
    ("America/Anchorage", "Anchorage", "Alaska Standard Time", -540),
    ("America/Los_Angeles", "Los Angeles", "Pacific Standard Time", -480),
    ("America/Denver", "Denver", "Mountain Standard Time", -420),
    ("America/Chicago", "Chicago", "Central Standard Time", -360),
    ("America/New_York", "New York", "Eastern Standard Time", -300),
    ("America/Sao_Paulo", "Sao Paulo", "Brasilia Standard Time", -180),
    ("Atlantic/Reykjavik", "Reykjavik", "Greenwich Mean Time", 0),
    ("GMT", "GMT", "Greenwich Mean Time", 0),
    ("Europe/London", "London", "Greenwich Mean Time", 0),
    ("Europe/Berlin", "Berlin", "Central European Standard Time", 60),
    ("Europe/Madrid", "Madrid", "Central European Standard Time", 60),
    ("Europe/Paris", "Paris", "Central European Standard Time", 60),
    ("Europe/Rome", "Rome", "Central European Standard Time", 60),
    ("Africa/Cairo", "Cairo", "Eastern European Standard Time", 120),
    ("Europe/Athens", "Athens", "Eastern European Standard Time", 120),
    ("Africa/Nairobi", "Nairobi", "East Africa Time", 180),
    ("Asia/Dubai", "Dubai", "Gulf Standard Time", 240),
    ("Asia/Karachi", "Karachi", "Pakistan Standard Time", 300),
    ("Asia/Kolkata", "Kolkata", "India Standard Time", 330),
    ("Asia/Bangkok", "Bangkok", "Indochina Time", 420),
    ("Asia/Shanghai", "Shanghai", "China Standard Time", 480),
    ("Asia/Singapore", "Singapore", "Singapore Standard Time", 480),
    ("Asia/Seoul", "Seoul", "Korean Standard Time", 540),
    ("Asia/Tokyo", "Tokyo", "Japan Standard Time", 540),
    ("Australia/Sydney", "Sydney", "Australian Eastern Standard Time", 600),
    ("Pacific/Auckland", "Auckland", "New Zealand Standard Time", 720),
];

/// Milliseconds that a zone is ahead of UTC; 0 for one that is not known.
pub fn zone_offset(id: &str) -> i64 {
    ZONES
        .iter()
        .find(|zone| zone.0 == id)
        .map_or(0, |zone| i64::from(zone.3) * MINUTE)
}

/// `GMT+01:00` for a zone.
pub fn zone_gmt(id: &str) -> String {
    let minutes = zone_offset(id) / MINUTE;
    let sign = if minutes < 0 { '-' } else { '+' };
    format!("GMT{sign}{:02}:{:02}", minutes.abs() / 60, minutes.abs() % 60)
}

/// A moment as a calendar and a clock show it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Civil {
    /// Year.
    pub year: i64,
    /// Month, from 1.
    pub month: u32,
    /// Day, from 1.
    pub day: u32,
    /// Hour, 0 to 23.
    pub hour: u32,
    /// Minute.
    pub minute: u32,
    /// Second.
    pub second: u32,
    /// Day of the week, 0 is Sunday.
    pub weekday: u32,
}

impl Civil {
    /// From milliseconds since 1970, of the same zone.
    pub fn new(ms: i64) -> Self {
        let days = ms.div_euclid(DAY);
        let rest = ms.rem_euclid(DAY) / 1000;
        let z = days + 719_468;
        let era = z.div_euclid(146_097);
        let doe = z.rem_euclid(146_097);
        let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
        let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
        let mp = (5 * doy + 2) / 153;
        let month = if mp < 10 { mp + 3 } else { mp - 9 };
        Self {
            year: yoe + era * 400 + i64::from(month <= 2),
            month: month as u32,
            day: (doy - (153 * mp + 2) / 5 + 1) as u32,
            hour: (rest / 3600) as u32,
            minute: (rest / 60 % 60) as u32,
            second: (rest % 60) as u32,
            weekday: (days + 4).rem_euclid(7) as u32,
        }
    }

    /// Milliseconds since 1970 of a day and a time of the same zone.
    pub fn ms(year: i64, month: u32, day: u32, hour: u32, minute: u32) -> i64 {
        let y = if month <= 2 { year - 1 } else { year };
        let era = y.div_euclid(400);
        let yoe = y.rem_euclid(400);
        let shifted = i64::from(if month > 2 { month - 3 } else { month + 9 });
        let doy = (153 * shifted + 2) / 5 + i64::from(day) - 1;
        let doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
        let days = era * 146_097 + doe - 719_468;
        days * DAY + i64::from(hour) * 3_600_000 + i64::from(minute) * MINUTE
    }

    /// Days of the month.
    pub fn month_days(self) -> u32 {
        match self.month {
            4 | 6 | 9 | 11 => 30,
            2 if self.year % 4 == 0 && (self.year % 100 != 0 || self.year % 400 == 0) => 29,
            2 => 28,
            _ => 31,
        }
    }

    /// Name of the month.
    pub fn month_name(self) -> &'static str {
        MONTHS[(self.month as usize - 1) % 12]
    }

    /// Name of the day.
    pub fn weekday_name(self) -> &'static str {
        WEEKDAYS[self.weekday as usize % 7]
    }

    /// `Sun, Nov 29`.
    pub fn short_date(self) -> String {
        format!(
            "{}, {} {}",
            &self.weekday_name()[..3],
            &self.month_name()[..3],
            self.day
        )
    }

    /// `2026-11-29 13:05:00`.
    pub fn iso(self) -> String {
        format!(
            "{:04}-{:02}-{:02} {:02}:{:02}:{:02}",
            self.year, self.month, self.day, self.hour, self.minute, self.second
        )
    }
}

/// `7:05 AM` or `07:05`.
pub fn clock(hour: u32, minute: u32, full_day: bool) -> String {
    if full_day {
        format!("{hour:02}:{minute:02}")
    } else {
        let half = if hour < 12 { "AM" } else { "PM" };
        format!("{}:{minute:02} {half}", (hour + 11) % 12 + 1)
    }
}
