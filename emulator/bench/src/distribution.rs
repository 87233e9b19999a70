//! What many measurements of the same thing say.

use std::time::Duration;

use serde::Serialize;

/// Percentiles in milliseconds, by the nearest-rank method: each is a value that was measured.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Distribution {
    pub(crate) p50: f64,
    pub(crate) p95: f64,
    pub(crate) p99: f64,
    pub(crate) max: f64,
}

impl Distribution {
    /// `None` for no measurements.
    pub(crate) fn of(mut times: Vec<Duration>) -> Option<Distribution> {
        times.sort_unstable();
        let last = times.len().checked_sub(1)?;
        let rank = |per_cent: usize| milliseconds(times[(times.len() * per_cent).div_ceil(100).max(1) - 1]);
        Some(Distribution { p50: rank(50), p95: rank(95), p99: rank(99), max: milliseconds(times[last]) })
    }
}

pub(crate) fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// The one in the middle.
pub(crate) fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len().checked_sub(1)? / 2).copied()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_measured_values() {
        let of = |times: &[u64]| {
            Distribution::of(times.iter().copied().map(Duration::from_millis).collect()).unwrap()
        };
        let hundred: Vec<u64> = (1..=100).rev().collect();
        let found = of(&hundred);
        assert_eq!([found.p50, found.p95, found.p99, found.max], [50.0, 95.0, 99.0, 100.0]);
        let found = of(&[7]);
        assert_eq!([found.p50, found.p95, found.p99, found.max], [7.0; 4]);
        let found = of(&[3, 1, 2]);
        assert_eq!([found.p50, found.p95], [2.0, 3.0]);
        assert!(Distribution::of(Vec::new()).is_none());
    }

    #[test]
    fn the_median_of_an_even_number_is_the_lower_one_in_the_middle() {
        assert_eq!(median(vec![4.0, 1.0, 3.0, 2.0]), Some(2.0));
        assert_eq!(median(Vec::new()), None);
    }
}
