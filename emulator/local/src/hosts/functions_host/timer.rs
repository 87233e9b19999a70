//! One timer: when it is due next, and what its function is told.
//!
//! It forgets everything when the host stops: there is no storage account here for the live host's record of
//! the last run, so nothing is past due at a start.

use serde_json::{Value, json};
use time::format_description::StaticFormatDescription;
use time::macros::format_description;
use time::{OffsetDateTime, UtcOffset};

use super::function::TimerTrigger;
use super::ncrontab::Schedule;

/// A default .NET date, where there was no run yet.
const NEVER: &str = "0001-01-01T00:00:00";
/// Chosen, not observed: a run is past due once a whole second, the schedule's finest grain, has gone by.
const PAST_DUE: time::Duration = time::Duration::SECOND;
/// The live host keeps no record of timers with a shorter time between two runs.
const LEAST_MONITORED: time::Duration = time::Duration::MINUTE;
/// Runs looked at to tell which timers those are.
const LOOKED_AT: usize = 10;

const LOCAL: StaticFormatDescription =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:7]");

/// A timer that runs.
#[derive(Debug)]
pub(super) struct Timer {
    schedule: Schedule,
    is_monitored: bool,
    /// `None` at the end of the calendar.
    due: Option<OffsetDateTime>,
    started: OffsetDateTime,
    last: Option<OffsetDateTime>,
}

impl Timer {
    /// Starts it.
    pub(super) fn start(trigger: &TimerTrigger, schedule: Schedule, now: OffsetDateTime) -> Timer {
        let due = if trigger.run_on_startup { Some(now) } else { schedule.after(now) };
        let is_monitored = trigger.use_monitor && is_slow(&schedule, now);
        Timer { schedule, is_monitored, due, started: now, last: None }
    }

    /// When it fires next.
    pub(super) fn due(&self) -> Option<OffsetDateTime> {
        self.due
    }

    /// Fires, and says what the function is told. However many occurrences have gone by, this is for all of
    /// them; those that go by while the function runs make it due again at once.
    pub(super) fn fire(&mut self, now: OffsetDateTime) -> Value {
        let is_past_due = self.due.is_some_and(|due| now - due >= PAST_DUE);
        let info = self.info(is_past_due);
        self.last = Some(now);
        self.due = self.schedule.after(now);
        info
    }

    /// What the function is told when somebody calls it without the timer being due.
    pub(super) fn asked(&self) -> Value {
        self.info(false)
    }

    fn info(&self, is_past_due: bool) -> Value {
        let status = match self.due {
            Some(due) if self.is_monitored => json!({
                "Last": self.last.map_or_else(|| NEVER.to_owned(), moment),
                "Next": moment(due),
                "LastUpdated": moment(self.last.unwrap_or(self.started)),
            }),
            _ => Value::Null,
        };
        json!({ "Schedule": { "AdjustForDST": true }, "ScheduleStatus": status, "IsPastDue": is_past_due })
    }
}

fn is_slow(schedule: &Schedule, now: OffsetDateTime) -> bool {
    let runs = std::iter::successors(schedule.after(now), |last| schedule.after(*last)).take(LOOKED_AT);
    let runs: Vec<_> = runs.collect();
    runs.windows(2).all(|pair| pair[1] - pair[0] >= LEAST_MONITORED)
}

/// As .NET writes a moment that knows its offset: with as much of a fraction as there is.
fn moment(at: OffsetDateTime) -> String {
    let local = at.to_offset(UtcOffset::UTC).format(LOCAL);
    let local = local.expect("every component of the format is one an OffsetDateTime has");
    format!("{}+00:00", local.trim_end_matches('0').trim_end_matches('.'))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use time::Duration;
    use time::macros::datetime;

    use super::*;

    const NOW: OffsetDateTime = datetime!(2026-09-24 13:07:30 UTC);

    fn timer(schedule: &str, change: impl FnOnce(&mut TimerTrigger)) -> Timer {
        let mut trigger =
            TimerTrigger { schedule: schedule.to_owned(), run_on_startup: false, use_monitor: true };
        change(&mut trigger);
        Timer::start(&trigger, schedule.parse().unwrap(), NOW)
    }

    fn data(text: &str) -> Value {
        serde_json::from_str::<Value>(text).unwrap()["Data"]["timer"].clone()
    }

    #[test]
    fn a_function_is_told_of_the_run_before_as_a_deployed_one_was() {
        let mut timer = timer("0 * * * * *", |_| {});
        let first = timer.fire(datetime!(2026-09-24 13:08:00.0096035 UTC));
        let status = json!({
            "Last": "0001-01-01T00:00:00",
            "Next": "2026-09-24T13:08:00+00:00",
            "LastUpdated": "2026-09-24T13:07:30+00:00",
        });
        assert_eq!(first["ScheduleStatus"], status);

        let captured = include_str!("../../../../../tests/fixtures/functions/invoke.timer.request.json");
        assert_eq!(timer.fire(datetime!(2026-09-24 13:09:00.01 UTC)), data(captured));
    }

    #[test]
    fn there_is_no_status_below_a_minute_or_without_a_monitor() {
        let captured =
            data(include_str!("../../../../../tests/fixtures/functions/invoke.timer-nostatus.request.json"));
        assert_eq!(timer("*/30 * * * * *", |_| {}).asked(), captured);
        assert_eq!(timer("0,30 0 * * * *", |_| {}).asked(), captured);
        assert_eq!(timer("0 * * * * *", |trigger| trigger.use_monitor = false).asked(), captured);
        assert!(timer("0 * * * * *", |_| {}).asked()["ScheduleStatus"].is_object());
    }

    #[test]
    fn a_clock_that_jumps_makes_it_due_once_and_late() {
        let mut timer = timer("0 */15 * * * *", |_| {});
        assert_eq!(timer.due(), Some(datetime!(2026-09-24 13:15 UTC)));
        let late = datetime!(2026-09-26 13:07:30 UTC);
        assert_eq!(timer.fire(late)["IsPastDue"], true);
        assert_eq!(timer.due(), Some(datetime!(2026-09-26 13:15 UTC)));
        assert_eq!(timer.fire(timer.due().unwrap() + Duration::milliseconds(900))["IsPastDue"], false);
    }

    #[test]
    fn asking_for_a_run_does_not_count_as_one() {
        let timer = timer("0 */15 * * * *", |_| {});
        assert_eq!(timer.asked(), timer.asked());
        assert_eq!(timer.asked()["ScheduleStatus"]["Last"], NEVER);
    }

    #[test]
    fn it_can_be_due_at_the_start() {
        let mut timer = timer("0 */15 * * * *", |trigger| trigger.run_on_startup = true);
        assert_eq!(timer.due(), Some(NOW));
        assert_eq!(timer.fire(NOW)["IsPastDue"], false);
        assert_eq!(timer.due(), Some(datetime!(2026-09-24 13:15 UTC)));
    }
}
