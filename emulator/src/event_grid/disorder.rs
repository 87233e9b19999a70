//! What at-least-once delivery without any order may do, on demand: copies of each event, and events that
//! overtake each other.

use super::delivery::Delivery;

/// What happens to the deliveries of an event between its publication and the queue.
#[derive(Clone, Debug)]
pub(super) struct Disorder {
    copies: usize,
    held: Option<Vec<Delivery>>,
}

impl Default for Disorder {
    fn default() -> Disorder {
        Disorder { copies: 1, held: None }
    }
}

impl Disorder {
    pub(super) fn set_copies(&mut self, copies: usize) {
        self.copies = copies;
    }

    pub(super) fn hold_back(&mut self) {
        self.held.get_or_insert_default();
    }

    /// The deliveries to be queued now in place of a new one; those held back are not among them.
    pub(super) fn pass(&mut self, delivery: &Delivery) -> Vec<Delivery> {
        let copies = vec![delivery.clone(); self.copies];
        match &mut self.held {
            Some(held) => {
                held.extend(copies);
                Vec::new()
            }
            None => copies,
        }
    }

    /// Everything held back, in an order drawn with this seed.
    pub(super) fn release(&mut self, seed: u64) -> Vec<Delivery> {
        let mut held = self.held.take().unwrap_or_default();
        fastrand::Rng::with_seed(seed).shuffle(&mut held);
        held
    }

    pub(super) fn holds_any(&self) -> bool {
        self.held.as_ref().is_some_and(|held| !held.is_empty())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::Duration;

    use http::StatusCode;
    use time::OffsetDateTime;
    use time::macros::datetime;

    use crate::event_grid::tests::{subscription, upload};
    use crate::event_grid::{Attempt, EventGrid};

    const NOW: OffsetDateTime = datetime!(2026-03-05 10:00 UTC);

    fn grid() -> EventGrid {
        let mut grid = EventGrid::default();
        grid.subscribe(subscription("on-upload", "http://127.0.0.1/"));
        grid
    }

    #[test]
    fn copies_are_delivered_each_on_its_own_and_are_one_event() {
        let mut grid = grid();
        grid.set_copies(3);
        grid.publish(&upload(), NOW, &mut fastrand::Rng::with_seed(1));
        let mut due = grid.take_due(NOW);
        assert_eq!((due.len(), grid.in_flight(), grid.history().count()), (3, 3, 1));
        assert!(due.iter().all(|delivery| delivery.event_id() == due[0].event_id()));
        for (delivery, status) in due.drain(..).zip([202, 500, 202]) {
            grid.settle(delivery, Attempt::Answered(StatusCode::from_u16(status).unwrap()), NOW);
        }
        assert_eq!((grid.in_flight(), grid.next_due()), (0, Some(NOW + Duration::from_secs(10))));

        grid.set_copies(0);
        grid.publish(&upload(), NOW, &mut fastrand::Rng::with_seed(1));
        assert_eq!(grid.take_due(NOW).len(), 0, "lost");
    }

    /// Which of four events come when, with this seed.
    fn released(seed: u64) -> Vec<String> {
        let mut grid = grid();
        let mut random = fastrand::Rng::with_seed(1);
        grid.hold_back();
        for _ in 0..4 {
            grid.publish(&upload(), NOW, &mut random);
        }
        assert!(grid.take_due(NOW).is_empty() && grid.is_quiet(NOW) && !grid.is_idle());
        assert_eq!(grid.release(seed, NOW), 4);
        assert!(!grid.is_quiet(NOW));
        let published: Vec<_> = grid.history().map(|delivery| delivery.event_id().to_owned()).collect();
        let order = grid.take_due(NOW).into_iter().map(|delivery| delivery.event_id().to_owned());
        let order: Vec<_> = order.collect();
        assert_eq!(published.iter().collect::<BTreeSet<_>>(), order.iter().collect());
        grid.publish(&upload(), NOW, &mut random);
        assert_eq!(grid.take_due(NOW).len(), 1, "nothing is held back any more");
        order
    }

    #[test]
    fn events_held_back_come_together_in_the_order_of_the_seed() {
        assert_eq!(released(7), released(7));
        let orders: BTreeSet<_> = (0..100).map(released).collect();
        assert_eq!(orders.len(), 24, "every order is some seed's");
    }
}
