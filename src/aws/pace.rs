//! How patiently a service is asked whether it is done.

use std::time::Duration;

use tokio::time::Instant;

/// Pauses that double up to a longest one, until a limit is reached.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// The first pause.
    pub first: Duration,
    /// The longest pause.
    pub longest: Duration,
    /// The longest that all of it may take.
    pub limit: Duration,
}

impl Default for Pace {
    /// Lambda takes some seconds for small images and minutes for large ones.
    fn default() -> Self {
        Self { first: Duration::from_millis(250), longest: Duration::from_secs(4), limit: Duration::from_secs(10 * 60) }
    }
}

impl Pace {
    /// Begins to wait now.
    pub fn start(self) -> Patience {
        Patience { pace: self, next: self.first, until: Instant::now() + self.limit }
    }

    /// The same pauses within another limit.
    #[must_use]
    pub const fn within(mut self, limit: Duration) -> Self {
        if limit.as_nanos() < self.limit.as_nanos() {
            self.limit = limit;
        }
        self
    }
}

/// A wait that has begun.
#[derive(Debug)]
pub struct Patience {
    pace: Pace,
    next: Duration,
    until: Instant,
}

impl Patience {
    /// Pauses; `false` once the limit is reached.
    pub async fn pause(&mut self) -> bool {
        if Instant::now() + self.next > self.until {
            return false;
        }
        // Functions that began together need not ask together.
        tokio::time::sleep(self.next.mul_f64(rand::random_range(0.8..1.2))).await;
        self.next = (self.next * 2).min(self.pace.longest);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn pauses_double_and_end() {
        let pace =
            Pace { first: Duration::from_secs(1), longest: Duration::from_secs(4), limit: Duration::from_secs(60) };
        let began = Instant::now();
        let mut patience = pace.start();
        let mut pauses = 0;
        while patience.pause().await {
            pauses += 1;
        }
        // 1 + 2 + 4 * n, each within a fifth.
        assert!((13..=21).contains(&pauses), "{pauses}");
        assert!(began.elapsed() <= Duration::from_secs(62), "{:?}", began.elapsed());
    }
}
