use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use rand::Rng as _;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::super::testing::{Options, TestRegistry, real_registry};
use super::super::{By, Client, Repository, RepositoryName, copy_image, push_image};

use super::{Folder, anonymous};

/// Passes connections on to `to`; one in 20 is reset after some bytes, others wait.
async fn bad_network(to: String) -> (String, Arc<AtomicU64>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = listener.local_addr().unwrap().to_string();
    let resets = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&resets);
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(pass(client, to.clone(), Arc::clone(&counted)));
        }
    });
    (host, resets)
}

async fn pass(client: TcpStream, to: String, resets: Arc<AtomicU64>) {
    let mut server = TcpStream::connect(to).await.unwrap();
    let mut client = client;
    let (mut up, mut down) = (vec![0; 64 * 1024], vec![0; 64 * 1024]);
    loop {
        tokio::select! {
            read = client.read(&mut up) => match read {
                Ok(read) if read > 0 => {
                    // One request in about 20, or one piece of a large one, is the connection's last.
                    if rand::rng().random_range(0..20) == 0 {
                        resets.fetch_add(1, Relaxed);
                        let _ = server.write_all(&up[..read / 2]).await;
                        let _ = client.set_zero_linger();
                        return;
                    }
                    if rand::rng().random_range(0..10) == 0 {
                        tokio::time::sleep(Duration::from_millis(5)).await;
                    }
                    if server.write_all(&up[..read]).await.is_err() { return }
                }
                _ => return,
            },
            read = server.read(&mut down) => match read {
                Ok(read) if read > 0 => if client.write_all(&down[..read]).await.is_err() { return },
                _ => return,
            },
        }
    }
}

/// Images over a network that breaks: all arrive, each is what it was.
pub(super) async fn soak(to: String, prefix: &str, images: usize) -> (Client, u64) {
    let (host, resets) = bad_network(to).await;
    let client = anonymous();
    let folder = Folder::new();
    let mut digests = Vec::new();
    for number in 0..images as u64 {
        digests.push(folder.image(&[(1, 400_000), (1000 + number, 300_000), (2000 + number, 20_000)]).await);
    }
    let repository =
        |number: usize| Repository::remote(&client, RepositoryName::new(&host, format!("{prefix}{}", number % 5)));
    let pushes = digests.iter().enumerate().map(|(number, image)| {
        let (repository, store) = (repository(number), folder.store.clone());
        async move {
            push_image(&repository, &store, image, &[], 3).await?;
            let manifest = store.manifest(image).await?.unwrap();
            repository.put_manifest(By::Tag(&format!("v{number}")), &manifest).await
        }
    });
    for pushed in futures::future::join_all(pushes).await {
        pushed.unwrap();
    }
    for (number, image) in digests.iter().enumerate() {
        let tagged = repository(number).head_manifest(By::Tag(&format!("v{number}"))).await.unwrap().unwrap();
        assert_eq!(tagged.digest, *image);
        // Reads every blob with its digest verified.
        let copy = tempfile::tempdir().unwrap();
        copy_image(&repository(number), &Repository::layout(copy.path()), image, 2).await.unwrap();
    }
    let resets = resets.load(Relaxed);
    assert!(resets > images as u64 / 2, "the network was good: {resets} resets");
    (client, resets)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_images_get_through_a_bad_network() {
    let registry = TestRegistry::start(Options::default()).await;
    let (client, resets) = soak(registry.host.clone(), "app", 40).await;
    eprintln!("{resets} resets, {:?}", client.counters().counts());
    for repo in registry.state().repositories.values() {
        for (digest, bytes) in &repo.blobs {
            assert_eq!(crate::digest::Digest::of(bytes), *digest);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_registry_is_reached_through_a_bad_network() {
    let Some(host) = real_registry("registry::a_real_registry_is_reached_through_a_bad_network") else { return };
    let (client, resets) = soak(host, &format!("registry-soak/{}-", std::process::id()), 15).await;
    eprintln!("{resets} resets, {:?}", client.counters().counts());
}
