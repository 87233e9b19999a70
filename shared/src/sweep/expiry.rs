//! When to warn that a CA is coming to its end: once at each limit, although a sweep remembers nothing. What
//! it knows is when the last one was, so it tells what was crossed since.

use time::{Duration, OffsetDateTime};

/// Days before the end at which the sweep warns.
pub const THRESHOLDS: [i64; 3] = [30, 14, 3];

/// Returns the nearest limit that was crossed since the last sweep; without one, the nearest that was ever crossed.
pub(super) fn crossed(
    expiry: OffsetDateTime,
    since: Option<OffsetDateTime>,
    now: OffsetDateTime,
) -> Option<i64> {
    let is_within = |days: i64, at: OffsetDateTime| expiry - at <= Duration::days(days);
    let nearest = THRESHOLDS.into_iter().rev().find(|days| is_within(*days, now))?;
    let told = since.is_some_and(|since| is_within(nearest, since));
    (!told).then_some(nearest)
}

/// Returns whether it ends within the widest limit, or has ended.
pub(super) fn is_near(expiry: OffsetDateTime, now: OffsetDateTime) -> bool {
    expiry - now <= Duration::days(THRESHOLDS[0])
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    const EXPIRY: OffsetDateTime = datetime!(2027-01-01 0:00 UTC);

    fn days_before(days: i64) -> OffsetDateTime {
        EXPIRY - Duration::days(days)
    }

    #[test]
    fn each_limit_is_told_once() {
        let every_quarter_of_an_hour = Duration::minutes(15);
        let mut now = days_before(40);
        let mut told = Vec::new();
        while now < EXPIRY + Duration::days(5) {
            let since = now;
            now += every_quarter_of_an_hour;
            told.extend(crossed(EXPIRY, Some(since), now));
        }
        assert_eq!(told, [30, 14, 3]);
    }

    #[test]
    fn a_first_sweep_tells_where_things_stand() {
        let rows = [(40, None), (30, Some(30)), (20, Some(30)), (14, Some(14)), (3, Some(3)), (-1, Some(3))];
        for (days, expected) in rows {
            assert_eq!(crossed(EXPIRY, None, days_before(days)), expected, "{days} days before");
        }
    }

    #[test]
    fn limits_that_were_crossed_together_are_told_as_the_nearest() {
        assert_eq!(crossed(EXPIRY, Some(days_before(31)), days_before(2)), Some(3));
    }
}
