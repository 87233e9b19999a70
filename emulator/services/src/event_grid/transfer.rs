//! A grid that is taken along: into a snapshot, and out of it into an emulator that runs somewhere else and has
//! deliveries of its own on their way.

use std::sync::Arc;

use time::OffsetDateTime;
use url::Url;

use super::EventGrid;
use super::subscription::Subscription;

impl EventGrid {
    /// Lets whatever is in flight be due once more: whoever takes the grid along does not take its answer along.
    /// So it may arrive twice, as any delivery may.
    pub fn recall(&mut self, now: OffsetDateTime) {
        for delivery in std::mem::take(&mut self.in_flight).into_values() {
            self.insert(delivery, now);
        }
        self.proposals.iter_mut().for_each(|proposal| proposal.recall(now));
    }

    /// Takes the place of another grid: is reached where that one was, and numbers deliveries and questions after
    /// its, so that what is in flight for that one settles nothing here.
    pub(crate) fn replaces(&mut self, former: &EventGrid) {
        let by = former.numbered;
        self.numbered += by;
        let pending = std::mem::take(&mut self.pending);
        self.pending = pending
            .into_iter()
            .map(|((due, number), mut delivery)| {
                delivery.number += by;
                ((due, number + by), delivery)
            })
            .collect();
        self.disorder.renumber(by);
        self.address = former.address.clone();
        for proposal in &mut self.proposals {
            proposal.moved(by, &self.address);
        }
    }

    /// Has whatever goes to one server go to another.
    pub fn redirect(&mut self, from: &Url, to: &Url) {
        let redirect = |subscription: &mut Arc<Subscription>| {
            if subscription.endpoint.url().origin() == from.origin() {
                Arc::make_mut(subscription).endpoint.redirect(to);
            }
        };
        self.subscriptions.iter_mut().for_each(redirect);
        self.proposals.iter_mut().map(|proposal| &mut proposal.subscription).for_each(redirect);
        let deliveries =
            self.pending.values_mut().chain(&mut self.history).chain(self.disorder.deliveries_mut());
        deliveries.map(|delivery| &mut delivery.subscription).for_each(redirect);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use http::StatusCode;
    use time::macros::datetime;

    use super::super::tests::{subscription, upload};
    use super::*;
    use crate::event_grid::Attempt;

    const NOW: OffsetDateTime = datetime!(2026-03-05 10:00 UTC);
    const OK: Attempt = Attempt::Answered(StatusCode::ACCEPTED);

    fn grid() -> EventGrid {
        let mut grid = EventGrid::new(1);
        grid.subscribe(subscription("on-upload", "http://127.0.0.1:7071/hook?code=secret"));
        grid
    }

    fn publish(grid: &mut EventGrid) {
        grid.publish(&upload(), NOW, &mut fastrand::Rng::with_seed(1));
    }

    #[test]
    fn what_is_in_flight_is_due_again_where_the_grid_is_taken() {
        let mut grid = grid();
        publish(&mut grid);
        assert_eq!(grid.take_due(NOW).len(), 1);
        let mut taken = grid.clone();
        taken.recall(NOW);
        assert_eq!((taken.in_flight(), taken.next_due()), (0, Some(NOW)));
        assert_eq!(taken.take_due(NOW)[0].attempts_before(), 0);
        assert_eq!(grid.in_flight(), 1, "the original goes on as it was");
    }

    #[test]
    fn an_answer_that_comes_for_the_former_grid_settles_nothing_in_the_new_one() {
        let mut former = grid();
        publish(&mut former);
        let on_its_way = former.take_due(NOW).remove(0);
        let mut new = grid();
        publish(&mut new);
        new.replaces(&former);
        let due = new.take_due(NOW).remove(0);
        new.settle(on_its_way, OK, NOW);
        assert_eq!(new.in_flight(), 1);
        new.settle(due, OK, NOW);
        assert!(new.is_idle());
    }

    #[test]
    fn released_events_keep_their_turns_under_new_numbers() {
        let mut former = grid();
        publish(&mut former);
        let mut new = grid();
        new.hold_back();
        (0..3).for_each(|_| publish(&mut new));
        new.release(7, NOW);
        new.replaces(&former);
        for left in [2, 1, 0] {
            let due = new.take_due(NOW);
            assert_eq!(due.len(), 1, "{left} are left");
            new.settle(due.into_iter().next().unwrap(), OK, NOW);
        }
        assert!(new.is_idle());
    }

    #[test]
    fn what_went_to_one_server_goes_to_the_other_and_nothing_else_does() {
        let mut grid = grid();
        grid.subscribe(subscription("elsewhere", "http://127.0.0.1:9999/hook"));
        publish(&mut grid);
        let (from, to) = ("http://127.0.0.1:7071", "http://127.0.0.1:4242");
        grid.redirect(&from.parse().unwrap(), &to.parse().unwrap());
        let mut reached: Vec<_> =
            grid.take_due(NOW).iter().map(|delivery| delivery.endpoint().to_string()).collect();
        reached.sort();
        assert_eq!(reached, ["http://127.0.0.1:4242/hook?code=secret", "http://127.0.0.1:9999/hook"]);
        publish(&mut grid);
        assert!(grid.take_due(NOW).iter().all(|delivery| delivery.endpoint().port() != Some(7071)));
    }
}
