use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use tokio::time::Instant;

use super::error::Error;
use super::settings::Settings;

/// The longest pause where the registry names none: a registry that comes back is noticed within it.
const LONGEST_OWN_PAUSE: Duration = Duration::from_secs(4);

/// One failed attempt, and what may heal it.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) error: Error,
    pub(super) heal: Heal,
}

/// What may heal a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heal {
    /// Nothing: the same request will fail again.
    Never,
    /// A few attempts more (an internal error of the registry).
    Attempts,
    /// Time: the registry is away, overloaded, or asked us to wait this long.
    Time(Option<Duration>),
}

impl Failure {
    pub(super) const fn never(error: Error) -> Self {
        Self { error, heal: Heal::Never }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::never(error)
    }
}

/// Whether a host has been heard of lately. All requests to it share this, so that a dead registry costs its budget once
/// and not once for each request.
#[derive(Debug, Default)]
pub(super) struct Outage {
    answered: AtomicBool,
    since: Mutex<Option<Instant>>,
}

impl Outage {
    /// The host answered something useful.
    pub(super) fn over(&self) {
        self.answered.store(true, Relaxed);
        *self.lock() = None;
    }

    fn failed(&self) -> Duration {
        self.lock().get_or_insert_with(Instant::now).elapsed()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
        self.since.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// The attempts of one operation: counts them, and decides between waiting and giving up.
#[derive(Debug)]
pub(super) struct Attempts {
    started: Instant,
    trouble_since: Option<Instant>,
    made: u32,
    in_a_row: u32,
}

impl Attempts {
    pub(super) fn new() -> Self {
        Self { started: Instant::now(), trouble_since: None, made: 0, in_a_row: 0 }
    }

    /// Something of the operation got through: its own budget starts anew.
    pub(super) const fn progressed(&mut self) {
        self.trouble_since = None;
        self.in_a_row = 0;
    }

    /// Waits before the next attempt.
    ///
    /// # Errors
    /// The failure's own error, when nothing heals it or the budget is used up.
    pub(super) async fn wait(&mut self, settings: &Settings, outage: &Outage, failure: Failure) -> Result<(), Error> {
        self.made += 1;
        self.in_a_row += 1;
        let troubled = self.trouble_since.get_or_insert_with(Instant::now).elapsed();
        let own = settings.first_pause.saturating_mul(1 << (self.in_a_row - 1).min(16)).min(LONGEST_OWN_PAUSE);
        let own = own.mul_f64(rand::random_range(0.5..=1.0));
        let pause = match failure.heal {
            Heal::Never => None,
            Heal::Attempts => (self.in_a_row < settings.attempts).then_some(own),
            Heal::Time(told) => {
                let budget = if outage.answered.load(Relaxed) { settings.outage } else { settings.first_contact };
                let spent = troubled.max(outage.failed());
                let pause = told.map_or(own, |told| told.max(own).min(settings.longest_pause));
                (spent + pause <= budget.max(told.unwrap_or_default().min(settings.longest_pause))).then_some(pause)
            }
        };
        match (pause, failure.error) {
            (Some(pause), _) => {
                tokio::time::sleep(pause).await;
                Ok(())
            }
            (None, Error::Unreachable { request, reason, .. }) => {
                Err(Error::Unreachable { request, reason, attempts: self.made, elapsed: self.started.elapsed() })
            }
            (None, error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(heal: Heal) -> Failure {
        Failure { error: Error::Setup { host: "h".to_owned(), why: "w".to_owned() }, heal }
    }

    #[tokio::test(start_paused = true)]
    async fn a_dead_host_costs_its_budget_once() {
        let (settings, outage) = (Settings::default(), Outage::default());
        let started = Instant::now();
        let mut first = Attempts::new();
        while first.wait(&settings, &outage, failure(Heal::Time(None))).await.is_ok() {}
        assert!(started.elapsed() <= settings.first_contact);
        assert!(first.made >= 4, "{first:?}");
        let mut second = Attempts::new();
        let until = Instant::now() + settings.first_contact;
        while second.wait(&settings, &outage, failure(Heal::Time(None))).await.is_ok() {}
        assert!(Instant::now() < until && second.made <= 2, "{second:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_host_that_answered_before_may_be_away_for_long() {
        let (settings, outage) = (Settings::default(), Outage::default());
        outage.over();
        let started = Instant::now();
        let mut attempts = Attempts::new();
        while attempts.wait(&settings, &outage, failure(Heal::Time(None))).await.is_ok() {}
        assert!(started.elapsed() > Duration::from_secs(50) && started.elapsed() <= settings.outage);
    }

    #[tokio::test(start_paused = true)]
    async fn what_cannot_heal_is_not_repeated_and_a_told_pause_is_kept() {
        let (settings, outage) = (Settings::default(), Outage::default());
        assert!(Attempts::new().wait(&settings, &outage, failure(Heal::Never)).await.is_err());
        let started = Instant::now();
        let told = Heal::Time(Some(Duration::from_secs(7)));
        Attempts::new().wait(&settings, &outage, failure(told)).await.unwrap();
        assert!(started.elapsed() >= Duration::from_secs(7));
        let mut attempts = Attempts::new();
        let made = (0..).take_while(|_| true);
        let mut count = 0;
        for _ in made {
            if attempts.wait(&settings, &outage, failure(Heal::Attempts)).await.is_err() {
                break;
            }
            count += 1;
        }
        assert_eq!(count + 1, settings.attempts);
    }
}
