//! The values of instructions that change the configuration alone.

use super::config::{Healthcheck, Image, Nothing};
use super::error::Fault;
use crate::dockerfile::{Command, Instruction, Pair, exposed_ports, is_signal};
use crate::problem::Code;

/// What an instruction says that cannot be: with a reason.
fn wrong(message: String) -> Fault {
    Fault::new(Code::DockerfileSyntax, message)
}

/// `KEY=value KEY=value`, as in the history.
pub(super) fn pairs(pairs: &[Pair]) -> String {
    let texts: Vec<String> = pairs.iter().map(|pair| format!("{}={}", pair.key.text, pair.value.text)).collect();
    texts.join(" ")
}

/// Words as the history shows them: `["a" "b"]`.
pub(super) fn quoted(words: Option<&[String]>) -> String {
    let texts: Vec<String> = words.unwrap_or_default().iter().map(|word| format!("{word:?}")).collect();
    format!("[{}]", texts.join(" "))
}

/// The words of CMD and ENTRYPOINT; none for an empty array.
pub(super) fn command(image: &Image, command: &Command) -> Option<Vec<String>> {
    let words = match command {
        Command::Shell(line) => image.shell_line(&line.text),
        Command::Exec(words) => words.clone(),
    };
    (!words.is_empty()).then_some(words)
}

/// The ports of one word of EXPOSE.
pub(super) fn ports(word: &str) -> Result<Vec<(String, Nothing)>, Fault> {
    let bad = || wrong(format!("`{word}` is not a port")).help("for example `8080`, `8080/udp` or `8000-8010`");
    let (ports, protocol) = exposed_ports(word).ok_or_else(bad)?;
    Ok(ports.map(|port| (format!("{port}/{protocol}"), Nothing {})).collect())
}

/// Refuses what is no signal.
pub(super) fn check_signal(text: &str) -> Result<(), Fault> {
    if is_signal(text) {
        return Ok(());
    }
    Err(wrong(format!("`{text}` is not a signal")).help("for example `SIGTERM` or `15`"))
}

/// HEALTHCHECK; `None` switches an inherited one off.
pub(super) fn healthcheck(instruction: &Instruction, check: Option<&Command>) -> Result<Healthcheck, Fault> {
    let Some(check) = check else {
        return Ok(Healthcheck { test: vec!["NONE".to_owned()], ..Healthcheck::default() });
    };
    let test = match check {
        Command::Shell(line) => vec!["CMD-SHELL".to_owned(), line.text.clone()],
        Command::Exec(words) => [&["CMD".to_owned()], words.as_slice()].concat(),
    };
    let value =
        |name: &str| instruction.flag(name).and_then(|flag| flag.value.as_deref()).filter(|text| !text.is_empty());
    let time = |name: &str| match value(name) {
        None => Ok(0),
        Some(text) => nanoseconds(text).ok_or_else(|| wrong(format!("`{text}` is not a duration for `--{name}`"))),
    };
    let retries = match value("retries") {
        None => 0,
        Some(text) => text.parse().map_err(|_| wrong(format!("`{text}` is not a number of retries")))?,
    };
    Ok(Healthcheck {
        test,
        interval: time("interval")?,
        timeout: time("timeout")?,
        start_period: time("start-period")?,
        start_interval: time("start-interval")?,
        retries,
    })
}

/// A duration as Go writes it: `1h30m`, `1.5s`, `100ms`.
///
/// Source: Go's documentation of `time.ParseDuration`.
fn nanoseconds(text: &str) -> Option<i64> {
    if text == "0" {
        return Some(0);
    }
    let mut total = 0.0;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let unit = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
        total += number
            * match &rest[..unit] {
                "ns" => 1.0,
                "us" | "\u{b5}s" | "\u{3bc}s" => 1e3,
                "ms" => 1e6,
                "s" => 1e9,
                "m" => 60e9,
                "h" => 3600e9,
                _ => return None,
            };
        rest = &rest[unit..];
    }
    #[expect(clippy::cast_possible_truncation, reason = "a duration beyond 292 years is cut to that")]
    (!text.is_empty()).then_some(total.round() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_signals_and_durations() {
        let names = |word| ports(word).map(|list| list.into_iter().map(|(name, _)| name).collect::<Vec<_>>()).ok();
        assert_eq!(names("80"), Some(vec!["80/tcp".to_owned()]));
        assert_eq!(names("80-81/UDP"), Some(vec!["80/udp".to_owned(), "81/udp".to_owned()]));
        assert_eq!([names("x"), names("81-80"), names("70000"), names("1/x")], [None, None, None, None]);
        for (text, good) in [
            ("SIGTERM", true),
            ("kill", true),
            ("9", true),
            ("65", true),
            ("0", false),
            ("SIGX", false),
            ("RTMIN+3", true),
        ] {
            assert_eq!(check_signal(text).is_ok(), good, "{text}");
        }
        for (text, time) in [("30s", Some(30_000_000_000)), ("1m1.5s", Some(61_500_000_000)), ("5", None), ("", None)] {
            assert_eq!(nanoseconds(text), time, "{text}");
        }
    }
}
