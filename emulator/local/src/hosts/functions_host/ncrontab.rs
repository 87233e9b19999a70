//! NCRONTAB: when a timer is due.
//!
//! It is a dialect of its own: seconds first, 0 to 6 for Sunday to Saturday and no 7, a day has to match both
//! the month's and the week's field, and there is no `L`, `W`, `#`, `?` or `@daily`. The crates that read cron
//! read others and take an expression here that Azure would refuse, or run it on other days; a set of bits for
//! each field is less than the guards around one of them would be.

use std::str::FromStr;

use time::{Date, OffsetDateTime, Time, UtcOffset};

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];
const DAYS: [&str; 7] = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];

const SECOND: Field = Field { name: "second", least: 0, most: 59, words: &[] };
const MINUTE: Field = Field { name: "minute", least: 0, most: 59, words: &[] };
const HOUR: Field = Field { name: "hour", least: 0, most: 23, words: &[] };
const DAY: Field = Field { name: "day", least: 1, most: 31, words: &[] };
const MONTH: Field = Field { name: "month", least: 1, most: 12, words: &MONTHS };
const DAY_OF_WEEK: Field = Field { name: "day of the week", least: 0, most: 6, words: &DAYS };

/// Days looked at for the next occurrence: 29 February on a given weekday may be 40 years away.
const HORIZON: usize = 41 * 366;

/// When something happens, in UTC; `WEBSITE_TIME_ZONE` has no effect here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Schedule {
    seconds: Numbers,
    minutes: Numbers,
    hours: Numbers,
    days: Numbers,
    months: Numbers,
    days_of_week: Numbers,
}

/// Why a text is no schedule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum InvalidSchedule {
    #[error("it has {0} fields, and a schedule has six: second minute hour day month day-of-week")]
    Fields(usize),
    #[error("{text:?} is no {field}: numbers from {least} to {most}, *, lists, ranges and steps are")]
    Field { field: &'static str, text: String, least: u8, most: u8 },
    #[error("no such day ever comes")]
    Never,
}

struct Field {
    name: &'static str,
    least: u8,
    most: u8,
    /// English names of the numbers from `least` on.
    words: &'static [&'static str],
}

/// Numbers below 64.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Numbers(u64);

impl FromStr for Schedule {
    type Err = InvalidSchedule;

    /// Six fields; with five, the seconds are 0, as the host reads it.
    fn from_str(text: &str) -> Result<Schedule, InvalidSchedule> {
        let fields: Vec<&str> = text.split_whitespace().collect();
        let (seconds, rest) = match fields.as_slice() {
            [seconds, rest @ ..] if rest.len() == 5 => (*seconds, rest),
            rest if rest.len() == 5 => ("0", rest),
            other => return Err(InvalidSchedule::Fields(other.len())),
        };
        let schedule = Schedule {
            seconds: SECOND.read(seconds)?,
            minutes: MINUTE.read(rest[0])?,
            hours: HOUR.read(rest[1])?,
            days: DAY.read(rest[2])?,
            months: MONTH.read(rest[3])?,
            days_of_week: DAY_OF_WEEK.read(rest[4])?,
        };
        match schedule.after(OffsetDateTime::UNIX_EPOCH) {
            Some(_) => Ok(schedule),
            None => Err(InvalidSchedule::Never),
        }
    }
}

impl Schedule {
    /// The first occurrence after a moment; `None` only at the end of the calendar.
    pub(super) fn after(&self, moment: OffsetDateTime) -> Option<OffsetDateTime> {
        let earliest = moment.to_offset(UtcOffset::UTC).checked_add(time::Duration::SECOND)?;
        let mut date = earliest.date();
        let mut from = earliest.time();
        for _ in 0..HORIZON {
            if self.includes(date)
                && let Some(time) = self.time_from(from)
            {
                return Some(OffsetDateTime::new_utc(date, time));
            }
            date = date.next_day()?;
            from = Time::MIDNIGHT;
        }
        None
    }

    fn includes(&self, date: Date) -> bool {
        self.days.contains(date.day())
            && self.months.contains(u8::from(date.month()))
            && self.days_of_week.contains(date.weekday().number_days_from_sunday())
    }

    /// The first time of a day that is not before this one, to the second.
    fn time_from(&self, from: Time) -> Option<Time> {
        let (hour, minute, second) = from.as_hms();
        let (first_minute, first_second) = (self.minutes.from(0)?, self.seconds.from(0)?);
        let (hour, minute, second) = if !self.hours.contains(hour) {
            (self.hours.from(hour)?, first_minute, first_second)
        } else if let Some(second) = self.seconds.from(second).filter(|_| self.minutes.contains(minute)) {
            (hour, minute, second)
        } else if let Some(minute) = self.minutes.from(minute + 1) {
            (hour, minute, first_second)
        } else {
            (self.hours.from(hour + 1)?, first_minute, first_second)
        };
        Some(Time::from_hms(hour, minute, second).expect("each field has only numbers of its kind"))
    }
}

impl Field {
    fn read(&self, text: &str) -> Result<Numbers, InvalidSchedule> {
        let parts = text.split(',').map(|part| self.part(part));
        let numbers = parts.reduce(|all, more| Some(Numbers(all?.0 | more?.0))).flatten();
        numbers.ok_or_else(|| InvalidSchedule::Field {
            field: self.name,
            text: text.to_owned(),
            least: self.least,
            most: self.most,
        })
    }

    /// `*`, a number, or a range of numbers, each with or without a step.
    fn part(&self, text: &str) -> Option<Numbers> {
        let (range, step) = match text.split_once('/') {
            Some((range, step)) => (range, Some(digits(step)?)),
            None => (text, None),
        };
        let (first, last) = match range.split_once('-') {
            Some((first, last)) => (self.number(first)?, self.number(last)?),
            None if range == "*" => (self.least, self.most),
            // With a step, a single number is where the steps begin.
            None => {
                let first = self.number(range)?;
                (first, if step.is_some() { self.most } else { first })
            }
        };
        let step = step.unwrap_or(1);
        if first > last || step == 0 {
            return None;
        }
        Some(Numbers((first..=last).step_by(step.into()).fold(0, |bits, number| bits | 1 << number)))
    }

    fn number(&self, text: &str) -> Option<u8> {
        let word = text.to_ascii_lowercase();
        let named = self.words.iter().position(|name| word.len() >= 3 && name.starts_with(&word));
        let number = match named {
            Some(index) => u8::try_from(index).ok()? + self.least,
            None => digits(text)?,
        };
        (self.least..=self.most).contains(&number).then_some(number)
    }
}

impl Numbers {
    fn contains(self, number: u8) -> bool {
        self.0 >> number & 1 == 1
    }

    /// The first one that is not below this one, which is at most 60.
    fn from(self, least: u8) -> Option<u8> {
        (least..64).find(|number| self.contains(*number))
    }
}

fn digits(text: &str) -> Option<u8> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use time::macros::datetime;

    use super::*;

    /// The next occurrences after Thursday, 5 March 2026, 10:00:30.5.
    fn next(text: &str, count: usize) -> Vec<OffsetDateTime> {
        let schedule: Schedule = text.parse().unwrap();
        let start = datetime!(2026-03-05 10:00:30.5 UTC);
        std::iter::successors(schedule.after(start), |last| schedule.after(*last)).take(count).collect()
    }

    #[test]
    fn a_schedule_says_when() {
        let rows = [
            ("0 */15 * * * *", datetime!(2026-03-05 10:15 UTC), datetime!(2026-03-05 10:30 UTC)),
            ("0 */5 * * * *", datetime!(2026-03-05 10:05 UTC), datetime!(2026-03-05 10:10 UTC)),
            ("*/15 * * * * *", datetime!(2026-03-05 10:00:45 UTC), datetime!(2026-03-05 10:01 UTC)),
            ("* * * * * *", datetime!(2026-03-05 10:00:31 UTC), datetime!(2026-03-05 10:00:32 UTC)),
            ("0 30 9 * * *", datetime!(2026-03-06 9:30 UTC), datetime!(2026-03-07 9:30 UTC)),
            ("0 0 9-17 * * *", datetime!(2026-03-05 11:00 UTC), datetime!(2026-03-05 12:00 UTC)),
            ("0 0 0 * * 0", datetime!(2026-03-08 0:00 UTC), datetime!(2026-03-15 0:00 UTC)),
            ("0 0 0 * * Sun,sat", datetime!(2026-03-07 0:00 UTC), datetime!(2026-03-08 0:00 UTC)),
            ("0 0 0 1 jan-Feb *", datetime!(2027-01-01 0:00 UTC), datetime!(2027-02-01 0:00 UTC)),
            ("5/20 0 10 * * *", datetime!(2026-03-05 10:00:45 UTC), datetime!(2026-03-06 10:00:05 UTC)),
            ("0 0 10 5 3 *", datetime!(2027-03-05 10:00 UTC), datetime!(2028-03-05 10:00 UTC)),
            ("59 59 23 31 12 *", datetime!(2026-12-31 23:59:59 UTC), datetime!(2027-12-31 23:59:59 UTC)),
            ("0 0 0 29 2 *", datetime!(2028-02-29 0:00 UTC), datetime!(2032-02-29 0:00 UTC)),
            // Both day fields have to match: a Friday that is a 13th.
            ("0 0 0 13 * 5", datetime!(2026-03-13 0:00 UTC), datetime!(2026-11-13 0:00 UTC)),
            // Five fields: on the minute.
            ("*/5 * * * *", datetime!(2026-03-05 10:05 UTC), datetime!(2026-03-05 10:10 UTC)),
        ];
        for (text, first, second) in rows {
            assert_eq!(next(text, 2), [first, second], "{text}");
        }
    }

    #[test]
    fn each_occurrence_is_the_next_that_matches_and_none_is_left_out() {
        let text = "7,30-32 1-59/29 */11 * * *";
        let schedule: Schedule = text.parse().unwrap();
        let start = datetime!(2026-03-05 10:00:30.5 UTC);
        let second = |offset: i64| (start + time::Duration::seconds(offset)).replace_nanosecond(0).unwrap();
        let matching = (1..200_000).map(second).filter(|at| {
            let (hour, minute, second) = at.to_hms();
            [0, 11, 22].contains(&hour) && [1, 30, 59].contains(&minute) && [7, 30, 31, 32].contains(&second)
        });
        let matching: Vec<_> = matching.collect();
        assert!(matching.len() > 70);
        assert_eq!(next(text, matching.len()), matching);
        assert_eq!(schedule.after(matching[0] - time::Duration::NANOSECOND), Some(matching[0]));
    }

    #[test]
    fn what_azure_would_refuse_is_refused() {
        for (text, expected) in [
            ("", "it has 0 fields"),
            ("0 0 * *", "it has 4 fields"),
            ("0 * * * * * *", "it has 7 fields"),
            ("01:00:00", "it has 1 fields"),
            ("60 * * * * *", "\"60\" is no second: numbers from 0 to 59"),
            ("0 0 24 * * *", "\"24\" is no hour"),
            ("0 0 0 0 * *", "\"0\" is no day: "),
            ("0 0 0 * 13 *", "\"13\" is no month"),
            ("0 0 0 * * 7", "\"7\" is no day of the week: numbers from 0 to 6"),
            ("0 0 0 * * 5L", "\"5L\" is no day of the week"),
            ("0 0 0 L * *", "\"L\" is no day: "),
            ("0 0 0 ? * *", "\"?\" is no day: "),
            ("0 */0 * * * *", "\"*/0\" is no minute"),
            ("0 30-10 * * * *", "\"30-10\" is no minute"),
            ("0 1, * * * *", "\"1,\" is no minute"),
            ("0 -1 * * * *", "\"-1\" is no minute"),
            ("0 +1 * * * *", "\"+1\" is no minute"),
            ("0 0 0 * ja *", "\"ja\" is no month"),
            ("0 0 0 30 2 *", "no such day ever comes"),
        ] {
            let message = text.parse::<Schedule>().unwrap_err().to_string();
            assert!(message.starts_with(expected), "{text}: {message}");
        }
    }
}
