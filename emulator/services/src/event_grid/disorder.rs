//! What at-least-once delivery without any order may do, on demand: copies of each event, and events that
//! overtake each other.

use std::collections::VecDeque;

use serde::{Deserialize, Deserializer, Serialize};

use super::delivery::Delivery;

/// More copies of each event are of no use, and would fill the memory.
const MOST: usize = 1_000;

/// Reads how often each event is delivered.
pub fn copies<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    let copies = usize::deserialize(deserializer)?;
    if copies <= MOST {
        Ok(copies)
    } else {
        Err(serde::de::Error::custom(format_args!("copies are 0 to {MOST}")))
    }
}

/// What happens to the deliveries of an event between its publication and the queue.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Disorder {
    #[serde(deserialize_with = "copies")]
    copies: usize,
    held: Option<Vec<Delivery>>,
    /// Released, and waiting for those before them to be tried.
    in_turn: VecDeque<Delivery>,
    /// The number of the one that is being tried.
    turn: Option<u64>,
}

impl Disorder {
    /// The highest number here.
    pub(super) fn highest(&self) -> u64 {
        let waiting = self.held.iter().flatten().chain(&self.in_turn).map(|delivery| delivery.number);
        waiting.chain(self.turn).max().unwrap_or_default()
    }
}

impl Default for Disorder {
    fn default() -> Disorder {
        Disorder { copies: 1, held: None, in_turn: VecDeque::new(), turn: None }
    }
}

impl Disorder {
    pub(super) fn set_copies(&mut self, copies: usize) {
        self.copies = copies;
    }

    pub(super) fn copies(&self) -> usize {
        self.copies
    }

    pub(super) fn holds_back(&self) -> bool {
        self.held.is_some()
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

    /// Lets everything held back line up, in an order drawn with this seed. Says how many there were.
    pub(super) fn release(&mut self, seed: u64) -> usize {
        let mut held = self.held.take().unwrap_or_default();
        fastrand::Rng::with_seed(seed).shuffle(&mut held);
        let count = held.len();
        self.in_turn.extend(held);
        count
    }

    /// The next in the line, if nobody has the turn.
    pub(super) fn next(&mut self) -> Option<Delivery> {
        if self.turn.is_some() { None } else { self.in_turn.pop_front() }
    }

    pub(super) fn begin_turn(&mut self, number: u64) {
        self.turn = Some(number);
    }

    /// One delivery has become part of another.
    pub(super) fn hand_turn(&mut self, from: u64, to: u64) {
        if self.turn == Some(from) {
            self.turn = Some(to);
        }
    }

    /// A delivery has been tried, or never will be. Says whether it had the turn.
    pub(super) fn end_turn(&mut self, number: u64) -> bool {
        self.turn.take_if(|turn| *turn == number).is_some()
    }

    /// Counts all deliveries so much higher.
    pub(super) fn renumber(&mut self, by: u64) {
        self.turn = self.turn.map(|turn| turn + by);
    }

    /// Everything that waits here.
    pub(super) fn deliveries_mut(&mut self) -> impl Iterator<Item = &mut Delivery> {
        self.held.iter_mut().flatten().chain(&mut self.in_turn)
    }

    pub(super) fn holds_any(&self) -> bool {
        !self.in_turn.is_empty() || self.held.as_ref().is_some_and(|held| !held.is_empty())
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
        let mut order = Vec::new();
        while let Some(delivery) = grid.take_due(NOW).pop() {
            assert!(grid.take_due(NOW).is_empty(), "one after the other");
            order.push(delivery.event_id().to_owned());
            let outcome = if order.len() == 2 { 500 } else { 202 };
            grid.settle(delivery, Attempt::Answered(StatusCode::from_u16(outcome).unwrap()), NOW);
        }
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
