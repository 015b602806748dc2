//! Order and cycles.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use petgraph::algo::kosaraju_scc;
use petgraph::graphmap::DiGraphMap;

use crate::name::ImageName;
use crate::problem::{Code, Location, Problem, Problems};

/// One image builds on another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edge {
    /// The image that is built on.
    pub to: ImageName,
    /// Where that is written.
    pub location: Location,
}

/// All edges, without a cycle.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    edges: BTreeMap<ImageName, Vec<Edge>>,
    order: Vec<ImageName>,
}

impl Graph {
    /// Orders the images: each after all that it builds on, else as declared.
    ///
    /// # Errors
    /// Every cycle, whole, with the place of each edge.
    pub fn new(names: &[ImageName], edges: BTreeMap<ImageName, Vec<Edge>>) -> Result<Self, Problems> {
        let mut graph = DiGraphMap::<&ImageName, ()>::new();
        for (from, list) in &edges {
            for edge in list {
                graph.add_edge(from, &edge.to, ());
            }
        }
        let problems: Problems = kosaraju_scc(&graph)
            .into_iter()
            .filter(|part| part.len() > 1 || part.iter().any(|name| graph.contains_edge(name, name)))
            .map(|part| cycle_problem(&shortest_cycle(&part.into_iter().collect(), &edges)))
            .collect();
        problems.or(())?;
        let mut order = Vec::with_capacity(names.len());
        let mut done = BTreeSet::new();
        for name in names {
            visit(name, &edges, &mut done, &mut order);
        }
        Ok(Self { edges, order })
    }

    /// All images, each after those that it builds on.
    pub fn order(&self) -> &[ImageName] {
        &self.order
    }

    /// What an image builds on, each image once, in the order of their names.
    pub fn needs(&self, image: &ImageName) -> BTreeSet<&ImageName> {
        self.edges.get(image).into_iter().flatten().map(|edge| &edge.to).collect()
    }

    /// The edges of all images.
    pub fn edges(&self) -> &BTreeMap<ImageName, Vec<Edge>> {
        &self.edges
    }

    /// The images and everything that they build on, directly or not.
    pub fn with_needs(&self, images: &BTreeSet<ImageName>) -> BTreeSet<ImageName> {
        let mut all = images.clone();
        for name in self.order.iter().rev() {
            if all.contains(name) {
                all.extend(self.needs(name).into_iter().cloned());
            }
        }
        all
    }

    /// The images and everything that builds on them, directly or not.
    pub fn with_dependents(&self, images: &BTreeSet<ImageName>) -> BTreeSet<ImageName> {
        let mut all = images.clone();
        for name in &self.order {
            if self.needs(name).into_iter().any(|need| all.contains(need)) {
                all.insert(name.clone());
            }
        }
        all
    }
}

/// Depth first with a stack of its own: chains of a thousand images must not end the program.
fn visit(
    root: &ImageName,
    edges: &BTreeMap<ImageName, Vec<Edge>>,
    done: &mut BTreeSet<ImageName>,
    order: &mut Vec<ImageName>,
) {
    let mut stack = vec![(root, 0)];
    while let Some((name, next)) = stack.pop() {
        if done.contains(name) {
            continue;
        }
        match edges.get(name).and_then(|list| list.get(next)) {
            Some(edge) => {
                stack.push((name, next + 1));
                stack.push((&edge.to, 0));
            }
            None => {
                done.insert(name.clone());
                order.push(name.clone());
            }
        }
    }
}

/// The shortest cycle among images that all reach each other, as its edges with their sources.
fn shortest_cycle<'a>(
    part: &BTreeSet<&'a ImageName>,
    edges: &'a BTreeMap<ImageName, Vec<Edge>>,
) -> Vec<(&'a ImageName, &'a Edge)> {
    let from = |start: &'a ImageName| {
        let mut came: BTreeMap<&ImageName, (&ImageName, &Edge)> = BTreeMap::new();
        let mut queue = VecDeque::from([start]);
        while let Some(name) = queue.pop_front() {
            for edge in edges.get(name).into_iter().flatten().filter(|edge| part.contains(&edge.to)) {
                if came.contains_key(&edge.to) {
                    continue;
                }
                came.insert(&edge.to, (name, edge));
                if &edge.to == start {
                    let mut cycle = Vec::new();
                    let mut at = start;
                    loop {
                        let (before, edge) = came[at];
                        cycle.push((before, edge));
                        at = before;
                        if at == start {
                            cycle.reverse();
                            return cycle;
                        }
                    }
                }
                queue.push_back(&edge.to);
            }
        }
        Vec::new()
    };
    part.iter().map(|start| from(start)).filter(|cycle| !cycle.is_empty()).min_by_key(Vec::len).unwrap_or_default()
}

fn cycle_problem(cycle: &[(&ImageName, &Edge)]) -> Problem {
    let mut names: Vec<&str> = cycle.iter().map(|(name, _)| name.as_str()).collect();
    names.extend(names.first().copied());
    let mut problem =
        Problem::error(Code::Cycle, format!("images build on each other in a circle: {}", names.join(" -> ")))
            .help("take one of these edges away");
    for (name, edge) in cycle {
        problem = problem.at(&edge.location, format!("`{name}` builds on `{}`", edge.to));
    }
    problem
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::Source;

    fn graph(list: &[(&str, &str)]) -> Result<Graph, Problems> {
        let source = Source::new("deploy.yaml", "x");
        let mut names = Vec::new();
        let mut edges: BTreeMap<ImageName, Vec<Edge>> = BTreeMap::new();
        for (from, to) in list {
            for name in [from, to] {
                if !names.contains(&ImageName::new(*name)) {
                    names.push(ImageName::new(*name));
                }
            }
            edges
                .entry(ImageName::new(*from))
                .or_default()
                .push(Edge { to: ImageName::new(*to), location: source.at(0, 1) });
        }
        Graph::new(&names, edges)
    }

    fn names(set: &BTreeSet<ImageName>) -> Vec<&str> {
        set.iter().map(ImageName::as_str).collect()
    }

    #[test]
    fn parents_come_first_and_cones_are_whole() {
        let graph = graph(&[("handler", "label"), ("label", "dynamo"), ("other", "dynamo")]).unwrap();
        let order: Vec<&str> = graph.order().iter().map(ImageName::as_str).collect();
        assert_eq!(order, ["dynamo", "label", "handler", "other"]);
        let label = BTreeSet::from([ImageName::new("label")]);
        assert_eq!(names(&graph.with_needs(&label)), ["dynamo", "label"]);
        assert_eq!(names(&graph.with_dependents(&label)), ["handler", "label"]);
    }

    #[test]
    fn a_cycle_is_shown_whole_and_shortest() {
        let problems = graph(&[("a", "b"), ("b", "c"), ("c", "a"), ("b", "a"), ("x", "x")]).unwrap_err();
        let messages: Vec<&str> = problems.sorted().iter().map(|problem| problem.message.as_str()).collect();
        assert_eq!(
            messages,
            ["images build on each other in a circle: a -> b -> a", "images build on each other in a circle: x -> x"]
        );
    }

    #[test]
    fn a_chain_of_ten_thousand_is_ordered() {
        let names: Vec<String> = (0..10_000).map(|n| n.to_string()).collect();
        let list: Vec<(&str, &str)> = names.windows(2).map(|pair| (pair[0].as_str(), pair[1].as_str())).collect();
        assert_eq!(graph(&list).unwrap().order()[0].as_str(), "9999");
    }
}
