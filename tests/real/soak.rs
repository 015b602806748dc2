//! Many large images through a network that breaks: all are published, each is what it was, and little memory is needed for it.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use rand::{Rng as _, RngCore as _, SeedableRng as _};

use crate::place::Place;

/// How many images; more by `ORCHESTRATE_SOAK`.
const IMAGES: usize = 40;
/// The most that the program may hold, in kB.
const PEAK: u64 = 150_000;

/// What the network did.
#[derive(Default)]
struct Weather {
    requests: AtomicU64,
    resets: AtomicU64,
    delays: AtomicU64,
}

/// Passes connections on to `target`. One request in 20 is its connection's last, after some of its bytes; one in 10 is delayed.
fn bad_network(target: &str) -> (String, Arc<Weather>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let weather = Arc::new(Weather::default());
    let (shared, target) = (Arc::clone(&weather), target.to_owned());
    thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let (Ok(server), weather) = (TcpStream::connect(&target), Arc::clone(&shared)) else { break };
            thread::spawn(move || connection(client, server, &weather));
        }
    });
    (address, weather)
}

fn connection(mut client: TcpStream, mut server: TcpStream, weather: &Weather) {
    let (mut back, mut from) = (client.try_clone().unwrap(), server.try_clone().unwrap());
    // The answer that was passed on last; a request follows it.
    let answered = Arc::new(AtomicU64::new(1));
    let answers = Arc::clone(&answered);
    thread::spawn(move || {
        let mut buffer = vec![0; 64 << 10];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            answers.store(1, Relaxed);
            if back.write_all(&buffer[..count]).is_err() {
                break;
            }
        }
        let _ = back.shutdown(Shutdown::Both);
    });
    let mut buffer = vec![0; 64 << 10];
    let mut left: Option<usize> = None;
    while let Ok(count @ 1..) = client.read(&mut buffer) {
        if answered.swap(0, Relaxed) == 1 {
            weather.requests.fetch_add(1, Relaxed);
            let mut chance = rand::rng();
            left = (chance.random_range(0..20) == 0).then(|| chance.random_range(0..4 << 20));
            if chance.random_range(0..10) == 0 {
                weather.delays.fetch_add(1, Relaxed);
                thread::sleep(Duration::from_millis(chance.random_range(1..50)));
            }
        }
        let passed = left.map_or(count, |left| left.min(count));
        if server.write_all(&buffer[..passed]).is_err() {
            break;
        }
        if let Some(left) = &mut left {
            *left -= passed;
            // A short request ends before the byte that was drawn: then it is lost as a whole, or its answer is.
            if *left == 0 || passed < 64 << 10 {
                weather.resets.fetch_add(1, Relaxed);
                break;
            }
        }
    }
    let _ = client.shutdown(Shutdown::Both);
    let _ = server.shutdown(Shutdown::Both);
}

#[test]
fn many_images_get_through_a_bad_network_with_little_memory() {
    let count = std::env::var("ORCHESTRATE_SOAK").ok().and_then(|text| text.parse().ok()).unwrap_or(IMAGES);
    let mut manifest = "version: 1\nproject: soak\nregistries:\n  here: { kind: oci, url: \"http://REGISTRY\" }\n\
defaults:\n  platforms: [linux/amd64]\n  output: { compression: uncompressed }\nimages:\n"
        .to_owned();
    for number in 0..count {
        manifest.push_str(&format!(
            "  i{number}:\n    dockerfile: Dockerfile\n    args: {{ NUMBER: \"{number}\" }}\n    push: [{{ registry: here, repository: soak/{}, tags: [\"v{number}\"] }}]\n",
            number % 8
        ));
    }
    let dockerfile = "FROM scratch\nARG NUMBER\nCOPY shared /shared\nCOPY files/$NUMBER /file\n";
    let files = [
        ("deploy.yaml", manifest.as_str()),
        ("Dockerfile", dockerfile),
        (".gitignore", "files\nshared\n.orchestrate\n"),
    ];
    let Some(place) = Place::of("many_images_get_through_a_bad_network_with_little_memory", &files) else { return };
    let mut source = rand::rngs::StdRng::seed_from_u64(7);
    let mut noise = vec![0; 32 << 20];
    source.fill_bytes(&mut noise);
    fs::create_dir(place.root().join("files")).unwrap();
    fs::write(place.root().join("shared"), &noise[..2_000_000]).unwrap();
    let mut total = 2_000_000;
    for number in 0..count {
        let size = source.random_range(3_000_000..30_000_000);
        source.fill_bytes(&mut noise[..64]);
        fs::write(place.root().join(format!("files/{number}")), &noise[..size]).unwrap();
        total += size;
    }
    drop(noise);
    let (address, weather) = bad_network(place.registry.address());
    place.replace("deploy.yaml", place.registry.address(), &address);
    place.commit("through a bad network");

    let began = Instant::now();
    let mut command = place.command(&["apply", "--json", "--jobs", "2"]);
    command.stdout(std::process::Stdio::from(fs::File::create(place.beside("events")).unwrap()));
    let mut child = command.stderr(std::process::Stdio::inherit()).spawn().unwrap();
    let mut peak = 0;
    let status = loop {
        let state = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let high = state.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        peak = peak.max(high.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok()).unwrap_or(0));
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        thread::sleep(Duration::from_millis(20));
    };
    let took = began.elapsed();
    let receipt: orchestrate::event::Receipt = serde_json::from_str(&place.read(".orchestrate/receipt.json")).unwrap();
    let failed: Vec<_> = receipt.images.iter().filter_map(|image| image.error.as_ref()).collect();
    assert!(status.success(), "{failed:#?}");
    let (requests, resets, delays) =
        (weather.requests.load(Relaxed), weather.resets.load(Relaxed), weather.delays.load(Relaxed));
    let counted: u64 = receipt.requests.values().sum();
    eprintln!(
        "{count} images, {} MB in {:.1} s: {requests} requests seen, {counted} counted {:?}, {resets} resets, {delays} delays, peak RSS {} MB",
        total / 1_000_000,
        took.as_secs_f64(),
        receipt.requests,
        peak / 1000
    );
    assert!(resets as usize >= count / 4, "the network was good: {resets} resets");
    assert!(peak > 5_000 && peak < PEAK, "peak RSS {peak} kB");

    // Every tag, every manifest and every blob is what its digest says.
    let standing = place.registry.whole_for_people();
    assert_eq!(standing.len(), count);
    for image in &receipt.images {
        let number: usize = image.name.as_str()[1..].parse().unwrap();
        assert_eq!(Some(standing[&format!("soak/{}:v{number}", number % 8)]), image.digest, "{}", image.name);
    }
}
