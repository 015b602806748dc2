//! How many calls a run makes.

use crate::media::is_read;
use crate::moto::Moto;
use crate::world::World;

const COUNT: usize = 100;

/// A hundred images in one repository, each deployed as told.
fn manifest(world: &World, lambda: &str) {
    let names = (0..COUNT).map(|number| format!("{{ name: i{number} }}")).collect::<Vec<_>>().join(", ");
    let image = format!(
        "  all:\n    matrix: {{ include: [{names}] }}\n    name: \"{{{{matrix.name}}}}\"\n    platforms: [linux/arm64]\n    \
         args: {{ WHO: \"{{{{name}}}}\" }}\n    push: {{ registry: private, repository: all, tags: [\"{{{{name}}}}\"] }}\n    \
         deploy: {{ lambda: {lambda} }}\n"
    );
    world.manifest(&world.registries(", create: true, retain: { untagged_days: 14 }"), &image);
}

/// What was asked since the last time: of the functions, and of all else.
#[expect(clippy::print_stdout, reason = "the counts are to be seen")]
fn asked(world: &World, what: &str) -> (usize, usize) {
    let (calls, requests) = (world.calls(), world.requests());
    assert!(calls.iter().all(|call| is_read(call)), "{what} only reads: {calls:?}");
    let functions = calls.iter().filter(|call| *call == "lambda:GetFunction").count();
    let mut others: Vec<String> = calls.into_iter().filter(|call| call != "lambda:GetFunction").collect();
    others.extend(requests.into_iter().map(|(_, request)| request));
    println!("{what}: {functions} times lambda:GetFunction, and {} more: {others:?}", others.len());
    world.clear();
    (functions, others.len())
}

/// A plan, and an apply, of a tree that nobody changed: how many calls each makes.
fn counted(world: &World, how: &str) -> [usize; 2] {
    world.clear();
    world.run(&["plan", "--exit-code"]).expect(0);
    let plan = asked(world, &format!("a plan ({how})"));
    world.run(&["apply"]).expect(0).says("100 kept");
    let apply = asked(world, &format!("an apply of what is there ({how})"));
    [plan, apply].map(|(functions, others)| {
        assert_eq!(functions, COUNT);
        assert!(others <= 10, "{others} more");
        functions + others
    })
}

#[test]
fn a_hundred_functions_cost_one_call_each_and_ten_more() {
    let moto = Moto::start();
    let world = World::passing(&["123456789012/us-east-1"], &moto.url);
    let functions: Vec<_> = (0..COUNT).map(|number| (format!("Li{number}X"), format!("media-i{number}"))).collect();
    moto.stack("media", &functions);
    manifest(&world, "{ stack: media, logical: \"L{{name}}X*\" }");
    world.run(&["apply"]).expect(0).says("functions: 100 deployed");
    let through_stack = counted(&world, "a stack names the functions");
    manifest(&world, "\"media-{{name}}\"");
    let named = counted(&world, "functions by their names");
    for (index, command) in ["plan", "apply"].into_iter().enumerate() {
        let line = format!("| `{command}`, all together | {} | {} |", named[index], through_stack[index]);
        assert!(include_str!("../../docs/aws.md").contains(&line), "docs/aws.md does not say: {line}");
    }
}
