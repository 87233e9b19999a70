//! The rules in force.

use serde::{Deserialize, Serialize};

use super::effect::Effect;
use super::fault::{Calls, Fault};
use super::validity::{self, InvalidFault};
use crate::ground::stored;
use crate::steering::operation::Operation;

/// The rules in force.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(remote = "Self")]
pub struct Faults {
    rules: Vec<Rule>,
    #[serde(deserialize_with = "stored::count")]
    numbered: u64,
}

/// A fault, and how often it has struck.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Rule {
    id: u64,
    fault: Fault,
    #[serde(deserialize_with = "stored::count")]
    reached: u64,
    #[serde(deserialize_with = "stored::count")]
    hits: u64,
    #[serde(with = "stored::random")]
    random: fastrand::Rng,
}

impl Faults {
    /// Adds a rule after those already there.
    ///
    /// # Panics
    ///
    /// When the rule can never strike. One that comes from outside the program goes to [`Faults::try_add`].
    #[track_caller]
    pub fn add(&mut self, fault: Fault) {
        if let Err(error) = self.try_add(fault) {
            panic!("{error}");
        }
    }

    /// Adds a rule after those already there, unless it can never strike.
    pub fn try_add(&mut self, fault: Fault) -> Result<&Rule, InvalidFault> {
        validity::check(&fault)?;
        if let Some(earlier) = self.rules.iter().find(|rule| rule.leaves_nothing_to(&fault)) {
            return Err(InvalidFault::Overshadowed { fault: Box::new(fault), earlier: earlier.id });
        }
        self.numbered += 1;
        self.rules.push(Rule::new(self.numbered, fault));
        Ok(self.rules.last().expect("one was just pushed"))
    }

    fn check_stored(&self) -> Result<(), InvalidFault> {
        self.rules.iter().try_for_each(|rule| validity::check(&rule.fault))
    }

    /// The rules, in the order they are tried.
    pub fn rules(&self) -> impl ExactSizeIterator<Item = &Rule> {
        self.rules.iter()
    }

    /// How many calls were struck, by any rule still in force.
    pub fn hits(&self) -> u64 {
        self.rules.iter().map(Rule::hits).sum()
    }

    /// Forgets every rule.
    pub fn clear(&mut self) {
        self.rules.clear();
    }

    /// Forgets one rule; `false` if there is none with this id.
    pub fn remove(&mut self, id: u64) -> bool {
        let before = self.rules.len();
        self.rules.retain(|rule| rule.id != id);
        self.rules.len() < before
    }

    /// Forgets a rule, unless another has taken its id since.
    pub(crate) fn withdraw(&mut self, id: u64, fault: &Fault) {
        self.rules.retain(|rule| rule.id != id || rule.fault != *fault);
    }

    /// What this call meets, if anything; counts the hit.
    pub fn strike(&mut self, operation: Operation, object: &str) -> Option<Effect> {
        let mut aimed = self.rules.iter_mut().filter(|rule| rule.fault.is_aimed_at(operation, object));
        aimed.find_map(Rule::strike)
    }
}

stored::checked!(Faults);

impl Rule {
    fn new(id: u64, fault: Fault) -> Rule {
        let seed = if let Calls::Sometimes { seed, .. } = fault.calls { seed } else { 0 };
        Rule { id, fault, reached: 0, hits: 0, random: fastrand::Rng::with_seed(seed) }
    }

    /// Tells it from the others, for as long as the plan lasts.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// The rule as it was added.
    pub fn fault(&self) -> &Fault {
        &self.fault
    }

    /// How many calls it has struck.
    pub fn hits(&self) -> u64 {
        self.hits
    }

    /// Whether it strikes every call that a later rule is aimed at.
    fn leaves_nothing_to(&self, later: &Fault) -> bool {
        let Fault { operation, object, calls, .. } = &self.fault;
        let strikes_all =
            matches!(calls, Calls::Always | Calls::Every(1) | Calls::Sometimes { per_mille: 1000, .. });
        let reaches_all = object.as_deref().is_none_or(|object| {
            later.object.as_deref().is_some_and(|wanted| wanted.eq_ignore_ascii_case(object))
        });
        strikes_all && reaches_all && *operation == later.operation
    }

    fn strike(&mut self) -> Option<Effect> {
        self.reached += 1;
        let strikes = match self.fault.calls {
            Calls::First(calls) => self.reached <= u64::from(calls),
            Calls::Nth(call) => self.reached == u64::from(call),
            Calls::Every(calls) => self.reached.is_multiple_of(u64::from(calls)),
            Calls::Sometimes { per_mille, .. } => self.random.u16(0..1000) < per_mille,
            Calls::Always => true,
        };
        self.hits += u64::from(strikes);
        strikes.then_some(self.fault.effect)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(calls: Calls, effect: Effect) -> Fault {
        Fault { operation: Operation::GetSecret, object: None, calls, effect }
    }

    /// Which of so many calls are struck, counted from 1.
    fn struck(calls: Calls, of: u32) -> Vec<u32> {
        let mut faults = Faults::default();
        faults.add(fault(calls, Effect::Silence));
        (1..=of).filter(|_| faults.strike(Operation::GetSecret, "any").is_some()).collect()
    }

    #[test]
    fn a_rule_strikes_the_calls_it_says() {
        assert_eq!(struck(Calls::First(2), 6), [1, 2]);
        assert_eq!(struck(Calls::Nth(3), 6), [3]);
        assert_eq!(struck(Calls::Every(2), 6), [2, 4, 6]);
        assert_eq!(struck(Calls::Always, 3), [1, 2, 3]);
        assert_eq!(struck(Calls::Sometimes { per_mille: 1000, seed: 1 }, 3), [1, 2, 3]);
    }

    #[test]
    fn a_seed_strikes_the_same_calls_each_time_and_another_one_others() {
        let sometimes = |seed| struck(Calls::Sometimes { per_mille: 250, seed }, 1000);
        assert_eq!(sometimes(7), sometimes(7));
        assert_ne!(sometimes(7), sometimes(8));
        assert!((200..300).contains(&sometimes(7).len()), "{}", sometimes(7).len());
    }

    #[test]
    fn a_later_rule_counts_only_what_earlier_ones_let_pass() {
        let mut faults = Faults::default();
        faults.add(fault(Calls::First(1), Effect::Answer(503)));
        faults.add(fault(Calls::First(1), Effect::Throttle { retry_after: None }));
        faults.add(fault(Calls::Nth(2), Effect::Silence));
        let met: Vec<_> = (0..5).map(|_| faults.strike(Operation::GetSecret, "any")).collect();
        let throttled = Effect::Throttle { retry_after: None };
        assert_eq!(met, [Some(Effect::Answer(503)), Some(throttled), None, Some(Effect::Silence), None]);
    }

    #[test]
    fn what_an_earlier_rule_leaves_no_call_for_is_refused_and_names_that_rule() {
        let other_object = |object: &str| Some(object.to_owned());
        for (calls, object, later_object, refused) in [
            (Calls::Always, None, None, true),
            (Calls::Always, None, other_object("root-ca"), true),
            (Calls::Every(1), other_object("root-ca"), other_object("ROOT-CA"), true),
            (Calls::Sometimes { per_mille: 1000, seed: 1 }, None, None, true),
            (Calls::Always, other_object("root-ca"), None, false),
            (Calls::Always, other_object("root-ca"), other_object("other"), false),
            (Calls::First(9), None, None, false),
        ] {
            let mut faults = Faults::default();
            faults.add(Fault { object, ..fault(calls, Effect::Silence) });
            let later = Fault { object: later_object, ..fault(Calls::First(1), Effect::Html) };
            let error = faults.try_add(later).err().map(|error| error.to_string());
            assert_eq!(error.is_some(), refused, "{calls:?}");
            assert!(error.is_none_or(|error| error.contains("rule 1 strikes every such call first")));
        }
        let mut faults = Faults::default();
        faults.add(fault(Calls::Always, Effect::Silence));
        assert!(faults.remove(1) && !faults.remove(1));
        faults.add(fault(Calls::Always, Effect::Html));
        assert_eq!(faults.rules().map(Rule::id).collect::<Vec<_>>(), [2], "no id is used twice");
    }

    #[test]
    fn only_the_operation_and_the_object_aimed_at_are_struck_and_counted() {
        let mut faults = Faults::default();
        let object = Some("my-vault/root-ca".to_owned());
        faults.add(Fault { object, ..fault(Calls::Nth(2), Effect::Silence) });
        let calls = [
            (Operation::GetSecret, "my-vault/other", None),
            (Operation::ListSecrets, "my-vault/root-ca", None),
            (Operation::GetSecret, "my-vault/root-ca", None),
            (Operation::GetSecret, "MY-VAULT/Root-CA", Some(Effect::Silence)),
        ];
        for (operation, object, effect) in calls {
            assert_eq!(faults.strike(operation, object), effect, "{operation} {object}");
        }
        assert_eq!((faults.hits(), faults.rules().map(Rule::hits).collect::<Vec<_>>()), (1, vec![1]));
        faults.clear();
        assert_eq!((faults.hits(), faults.rules().len()), (0, 0));
    }
}
