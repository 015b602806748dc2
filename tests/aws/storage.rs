//! What goes from repositories, and tags by hand.

use crate::world::World;

#[test]
fn prune_deletes_in_batches_and_tags_are_taken_away() {
    let world = World::new();
    let image = "  api:\n    push: [{ registry: private, repository: api, tags: [\"c-{{git.short}}\", latest] }]\n";
    let more = ", create: true, retain: { commits: 1, untagged_days: 0, min_age: 1s }";
    world.manifest(&world.registries(more), image);
    for content in ["one", "two", "three"] {
        world.write("a.txt", content);
        world.commit(content);
        world.run(&["apply"]).expect(0);
    }
    let images = world.repository("123456789012/us-east-1:api")["images"].as_u64().unwrap();
    assert!(images >= 3, "{images}");
    std::thread::sleep(std::time::Duration::from_millis(1_500));
    world.clear();
    world.run(&["prune"]).expect(0);
    assert!(!world.calls().contains(&"ecr:BatchDeleteImage".to_owned()), "without --yes nothing goes");
    world.run(&["prune", "--yes"]).expect(0);
    let calls = world.calls().iter().filter(|call| *call == "ecr:BatchDeleteImage").count();
    assert!((1..=2).contains(&calls), "{:?}", world.calls());
    assert!(!world.requests().iter().any(|(_, what)| what.starts_with("DELETE")), "ECR refuses DELETE");
    let left = world.repository("123456789012/us-east-1:api");
    assert!(left["images"].as_u64().unwrap() < images, "{left}");
    assert!(left["tags"]["latest"].is_string());
    world.run(&["plan", "--exit-code"]).expect(0);
}

#[test]
fn a_tag_is_put_by_hand() {
    let world = World::new();
    world.manifest(
        &world.registries(", create: true"),
        "  api:\n    push: [{ registry: private, repository: api, tags: [latest] }]\n",
    );
    world.run(&["apply"]).expect(0);
    world.run(&["tag", "api", "stable"]).expect(0);
    let tags = world.repository("123456789012/us-east-1:api")["tags"].clone();
    assert_eq!(tags["stable"], tags["latest"]);
}
