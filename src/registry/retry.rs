use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use tokio::time::Instant;

use super::error::Error;
use super::settings::Settings;

/// The longest pause where the registry names none: a registry that comes back is noticed within it.
const LONGEST_OWN_PAUSE: Duration = Duration::from_secs(4);

/// How long a host that was given up is not asked again.
const GIVEN_UP_FOR: Duration = Duration::from_secs(10);

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
    state: Mutex<Away>,
}

#[derive(Debug, Default)]
struct Away {
    since: Option<Instant>,
    given_up: Option<GivenUp>,
}

/// That a host was given up, and how.
#[derive(Clone, Debug)]
pub(super) struct GivenUp {
    until: Instant,
    pub(super) reason: String,
    pub(super) attempts: u32,
    pub(super) elapsed: Duration,
}

impl Outage {
    /// The host answered something useful.
    pub(super) fn over(&self) {
        self.answered();
        *self.lock() = Away::default();
    }

    /// The host answered, if badly.
    pub(super) fn answered(&self) {
        self.answered.store(true, Relaxed);
    }

    /// Whether somebody has just used up the host's budget: then nobody else need wait for it too.
    pub(super) fn given_up(&self) -> Option<GivenUp> {
        self.lock().given_up.clone().filter(|given_up| given_up.until > Instant::now())
    }

    fn failed(&self) -> Duration {
        self.lock().since.get_or_insert_with(Instant::now).elapsed()
    }

    fn give_up(&self, given_up: GivenUp) {
        self.lock().given_up = Some(given_up);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Away> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
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
        let own = settings.first_pause.saturating_mul(1 << (self.in_a_row - 1).min(16)).min(LONGEST_OWN_PAUSE);
        let own = own.mul_f64(rand::random_range(0.5..=1.0));
        let since_failure = self.trouble_since.get_or_insert_with(Instant::now).elapsed();
        let answered = outage.answered.load(Relaxed);
        // A host that never answered is given little time, its first silence included.
        let (budget, troubled) =
            if answered { (settings.outage, since_failure) } else { (settings.first_contact, self.started.elapsed()) };
        let mut lost = false;
        let pause = match failure.heal {
            Heal::Never => None,
            Heal::Attempts => (self.in_a_row < settings.attempts).then_some(own),
            // Whoever names a pause is there, and is given it whole.
            Heal::Time(Some(told)) => {
                let spent = troubled.max(outage.failed());
                (spent <= budget).then_some(told.max(own).min(settings.longest_pause))
            }
            Heal::Time(None) => {
                let away = outage.failed();
                // A host that others are well served by is not lost for the sake of one request.
                lost = !answered || away + own > budget;
                (troubled.max(away) + own <= budget).then_some(own)
            }
        };
        match (pause, failure.error) {
            (Some(pause), _) => {
                tokio::time::sleep(pause).await;
                Ok(())
            }
            (None, Error::Unreachable { request, reason, .. }) if failure.heal != Heal::Never => {
                let (attempts, elapsed) = (self.made, self.started.elapsed());
                if lost {
                    let until = Instant::now() + GIVEN_UP_FOR;
                    outage.give_up(GivenUp { until, reason: reason.clone(), attempts, elapsed });
                }
                Err(Error::Unreachable { request, reason, attempts, elapsed })
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

    fn quick() -> Settings {
        Settings {
            first_pause: Duration::from_millis(10),
            first_contact: Duration::from_millis(200),
            outage: Duration::from_millis(900),
            ..Settings::default()
        }
    }

    /// How many attempts are made until it is given up.
    async fn made(attempts: &mut Attempts, outage: &Outage, heal: Heal) -> u32 {
        while attempts.wait(&quick(), outage, failure(heal)).await.is_ok() {}
        attempts.made
    }

    #[tokio::test]
    async fn a_dead_host_costs_its_budget_once() {
        let outage = Outage::default();
        let started = Instant::now();
        assert!(made(&mut Attempts::new(), &outage, Heal::Time(None)).await >= 4);
        assert!(started.elapsed() < quick().first_contact * 2, "{:?}", started.elapsed());
        tokio::time::sleep(quick().first_contact).await;
        assert_eq!(made(&mut Attempts::new(), &outage, Heal::Time(None)).await, 1, "the next one fails at once");
    }

    #[tokio::test]
    async fn a_host_that_answered_before_may_be_away_for_longer() {
        let outage = Outage::default();
        outage.over();
        let started = Instant::now();
        made(&mut Attempts::new(), &outage, Heal::Time(None)).await;
        assert!(started.elapsed() > quick().first_contact && started.elapsed() < quick().outage * 2);
    }

    #[tokio::test]
    async fn what_cannot_heal_is_not_repeated_and_a_told_pause_is_kept() {
        let outage = Outage::default();
        assert_eq!(made(&mut Attempts::new(), &outage, Heal::Never).await, 1);
        assert_eq!(made(&mut Attempts::new(), &outage, Heal::Attempts).await, quick().attempts);
        let started = Instant::now();
        let told = Heal::Time(Some(Duration::from_millis(300)));
        Attempts::new().wait(&quick(), &outage, failure(told)).await.unwrap();
        assert!(started.elapsed() >= Duration::from_millis(300));
    }
}
