//! The order in which values that use each other are rendered.

/// The indices of `uses` so that whatever an entry uses comes before it, and the first circle, if there is one.
pub(crate) fn order(uses: &[Vec<usize>]) -> (Vec<usize>, Option<Vec<usize>>) {
    let mut walk =
        Walk { uses, state: vec![State::New; uses.len()], order: Vec::new(), trail: Vec::new(), circle: None };
    (0..uses.len()).for_each(|at| walk.visit(at));
    (walk.order, walk.circle)
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    New,
    Open,
    Done,
}

struct Walk<'a> {
    uses: &'a [Vec<usize>],
    state: Vec<State>,
    order: Vec<usize>,
    trail: Vec<usize>,
    circle: Option<Vec<usize>>,
}

impl Walk<'_> {
    fn visit(&mut self, at: usize) {
        match self.state[at] {
            State::Done => return,
            State::Open => {
                let begin = self.trail.iter().position(|other| *other == at).unwrap_or(0);
                self.circle.get_or_insert_with(|| self.trail[begin..].to_vec());
                return;
            }
            State::New => {}
        }
        self.state[at] = State::Open;
        self.trail.push(at);
        for next in &self.uses[at] {
            self.visit(*next);
        }
        self.trail.pop();
        self.state[at] = State::Done;
        self.order.push(at);
    }
}
