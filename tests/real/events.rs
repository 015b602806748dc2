//! What a run said, and what follows from it.

use std::fmt;

use orchestrate::event::{Event, Kind, Outcome, Phase, Receipt};

/// The events of a run, as far as they were read.
#[derive(Clone, Default)]
pub struct Events(pub Vec<Event>);

impl fmt::Debug for Events {
    /// One line for each event but those of build steps.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let told = self.0.iter().filter(|event| !matches!(event.event, Kind::BuildStep { .. } | Kind::Output { .. }));
        told.into_iter().try_for_each(|event| writeln!(f, "{}", serde_json::to_string(event).unwrap()))
    }
}

impl Events {
    fn kinds(&self) -> impl Iterator<Item = &Kind> {
        self.0.iter().map(|event| &event.event)
    }

    /// The images whose build began, in that order, each once.
    pub fn built(&self) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for (image, phase) in self.phases() {
            if phase == Phase::Build && !names.contains(&image) {
                names.push(image);
            }
        }
        names
    }

    /// Each part of each step, in the order of their beginnings.
    pub fn phases(&self) -> Vec<(String, Phase)> {
        let phase = |kind: &Kind| match kind {
            Kind::PhaseStarted { image, phase, .. } => Some((image.to_string(), *phase)),
            _ => None,
        };
        self.kinds().filter_map(phase).collect()
    }

    /// The part that an image was in last.
    pub fn last_phase(&self, image: &str) -> Option<Phase> {
        self.phases().into_iter().rfind(|(name, _)| name == image).map(|(_, phase)| phase)
    }

    /// The images that ended so, in that order.
    pub fn ended(&self, wanted: Outcome) -> Vec<String> {
        let name = |kind: &Kind| match kind {
            Kind::StepFinished { image, outcome, .. } if *outcome == wanted => Some(image.to_string()),
            _ => None,
        };
        self.kinds().filter_map(name).collect()
    }

    /// The images that failed, with why.
    pub fn failed(&self) -> Vec<(String, String)> {
        let failed = |kind: &Kind| match kind {
            Kind::StepFailed { image, error } => Some((image.to_string(), error.clone())),
            _ => None,
        };
        self.kinds().filter_map(failed).collect()
    }

    /// The images that were not tried, with the one because of which.
    pub fn skipped(&self) -> Vec<(String, String)> {
        let skipped = |kind: &Kind| match kind {
            Kind::StepSkipped { image, because } => Some((image.to_string(), because.to_string())),
            _ => None,
        };
        self.kinds().filter_map(skipped).collect()
    }

    /// The tags that moved.
    pub fn moved(&self) -> Vec<String> {
        let moved = |kind: &Kind| match kind {
            Kind::TagMoved { reference, .. } => Some(reference.clone()),
            _ => None,
        };
        self.kinds().filter_map(moved).collect()
    }

    /// The places of the beginning and the end of an image's step.
    pub fn span(&self, name: &str) -> (usize, usize) {
        let place = |fits: &dyn Fn(&Kind) -> bool, what: &str| {
            self.kinds().position(fits).unwrap_or_else(|| panic!("{name} has no {what}: {self:?}"))
        };
        let began = |kind: &Kind| matches!(kind, Kind::StepStarted { image, .. } if image.as_str() == name);
        let ended = |kind: &Kind| matches!(kind, Kind::StepFinished { image, .. } if image.as_str() == name);
        (place(&began, "beginning"), place(&ended, "end"))
    }

    /// Nothing of `later` began before all of `earlier` had ended.
    pub fn assert_order(&self, earlier: &str, later: &str) {
        let ((_, end), (begin, _)) = (self.span(earlier), self.span(later));
        assert!(end < begin, "{later} began before {earlier} had ended: {self:?}");
    }

    /// What the last event says that exists now.
    pub fn receipt(&self) -> &Receipt {
        match self.kinds().last() {
            Some(Kind::RunFinished { receipt }) => receipt,
            other => panic!("the last event is {other:?}"),
        }
    }
}
