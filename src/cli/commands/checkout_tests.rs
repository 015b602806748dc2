//! Checkouts that are not the whole commit.

use super::testing::Shop;
use crate::cli::exit::{Exit, Failure};

/// Folders `a` and `b`, and an image for each, which copies its folder; `all` copies everything.
fn shop() -> Shop {
    let shop = Shop::new(
        "version: 1\nproject: shop\ndefaults: { platforms: [linux/amd64] }\nimages:\n  a: { dockerfile: Dockerfile.a }\n  \
         b: { dockerfile: Dockerfile.b }\n  all: { dockerfile: Dockerfile.all }\n",
    );
    for name in ["a", "b"] {
        std::fs::create_dir(shop.root().join(name)).unwrap();
        shop.write(&format!("{name}/f"), "1\n");
        shop.write(&format!("Dockerfile.{name}"), &format!("FROM scratch\nCOPY {name} /x\n"));
    }
    shop.write("Dockerfile.all", "FROM scratch\nCOPY . /x\n");
    shop.commit("one");
    shop
}

async fn refused(shop: &Shop, image: &str) -> String {
    match shop.run(&["plan", "--offline", "--only", image]).await {
        Ok(Exit::Done) => String::new(),
        Err(Failure::Problems(problems)) => format!("{problems:?}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_a_sparse_checkout_left_out_is_refused_where_it_is_read() {
    let shop = shop();
    shop.git(&["sparse-checkout", "set", "a"]);
    assert!(!shop.root().join("b").exists());
    assert_eq!(refused(&shop, "a").await, "");
    for image in ["b", "all"] {
        let text = refused(&shop, image).await;
        assert!(
            text.contains("SparseCheckout") && text.contains("b/f") && text.contains("sparse-checkout add"),
            "{text}"
        );
    }
    shop.write(".dockerignore", "b\n");
    assert_eq!(refused(&shop, "all").await, "", "what the ignore file leaves out is not missed");
    std::fs::remove_file(shop.root().join(".dockerignore")).unwrap();
    shop.git(&["sparse-checkout", "disable"]);
    assert_eq!(refused(&shop, "b").await, "");
}

/// Whether an image is said to have inputs that differ from the commit.
async fn is_dirty(shop: &Shop, image: &str) -> bool {
    let plan = shop.planned(&["--offline", "--only", image]).await.0;
    !plan.prepared.facts.values().all(|facts| facts.uncommitted.is_empty())
}

#[tokio::test]
async fn what_git_is_told_not_to_look_at_is_compared_all_the_same() {
    for bit in ["--assume-unchanged", "--skip-worktree"] {
        let shop = shop();
        shop.git(&["update-index", bit, "a/f"]);
        assert!(!is_dirty(&shop, "a").await, "{bit}: unchanged");
        shop.write("a/f", "2\n");
        assert_eq!(shop.git(&["status", "--porcelain"]), "", "{bit}: git sees nothing");
        assert!(is_dirty(&shop, "a").await, "{bit}");
        assert!(!is_dirty(&shop, "b").await, "{bit}");
    }
}

#[tokio::test]
async fn an_input_that_only_this_checkout_ignores_is_in_no_commit() {
    let shop = shop();
    shop.write(".git/info/exclude", "secret-*\n");
    shop.write("a/secret-1", "x");
    assert_eq!(shop.git(&["status", "--porcelain"]), "");
    assert!(is_dirty(&shop, "a").await);
    assert!(!is_dirty(&shop, "b").await);
}
