//! Values that BuildKit judges when it comes to the instruction: signals, ports, paths, checksums.
//!
//! A value that is made from variables is left to BuildKit: what they are may depend on a base image, or be nobody's business.

use std::ops::RangeInclusive;

use super::syntax::{Instruction, Kind, Word};
use super::walk::Walk;
use crate::problem::{Code, Location, Problem};

/// Source: signal(7), by the names of moby/sys.
const SIGNALS: [&str; 36] = [
    "ABRT", "ALRM", "BUS", "CHLD", "CLD", "CONT", "FPE", "HUP", "ILL", "INT", "IO", "IOT", "KILL", "PIPE", "POLL",
    "PROF", "PWR", "QUIT", "RTMAX", "RTMIN", "SEGV", "STKFLT", "STOP", "SYS", "TERM", "TRAP", "TSTP", "TTIN", "TTOU",
    "URG", "USR1", "USR2", "VTALRM", "WINCH", "XCPU", "XFSZ",
];

impl Walk<'_> {
    /// Notes values that BuildKit refuses.
    pub(super) fn judge(&mut self, instruction: &Instruction) {
        let is_fixed = |word: &&Word| !word.text.contains(['$', '\\', '"', '\'']);
        match &instruction.kind {
            Kind::Stopsignal(word) if is_fixed(&word) && !is_signal(&word.text) => {
                self.refuse(
                    &word.location,
                    format!("`{}` is not a signal", word.text),
                    "for example `SIGTERM` or `15`",
                );
            }
            Kind::Expose(ports) => {
                for word in ports.iter().filter(is_fixed).filter(|word| exposed_ports(&word.text).is_none()) {
                    let message = format!("`{}` is not a port", word.text);
                    self.refuse(&word.location, message, "for example `80`, `53/udp` or `8000-8010/tcp`");
                }
            }
            Kind::Add(add) => {
                let Some(flag) = instruction.flag("checksum") else { return };
                let value = flag.value.as_deref().unwrap_or_default();
                let sources = add.sources.iter().filter(is_fixed).map(|word| super::remote_kind(&word.text));
                let kinds: Vec<_> = sources.collect();
                if value.is_empty() || value.contains('$') {
                    return;
                }
                if kinds.len() + instruction.heredocs.len() > 1 {
                    let help = "give each source an ADD of its own";
                    self.refuse(&flag.location, "a checksum is for one source".to_owned(), help);
                } else if kinds.contains(&None) || !instruction.heredocs.is_empty() {
                    let help = "what comes from the context is hashed as it is";
                    self.refuse(&flag.location, "a checksum is for what is fetched, not for files".to_owned(), help);
                } else if kinds.contains(&Some(super::RemoteKind::Http))
                    && value.parse::<crate::digest::Digest>().is_err()
                {
                    let message = format!("`{value}` is not the checksum of a file");
                    self.refuse(&flag.location, message, "write `sha256:` and 64 hexadecimal digits");
                }
            }
            _ => {}
        }
    }

    fn refuse(&mut self, location: &Location, message: String, help: &str) {
        self.problems.push(Problem::error(Code::DockerfileSyntax, message).at(location, "").help(help));
    }
}

/// Whether a text is a signal: a number other than 0, or a name with or without `SIG`, in any case.
///
/// Source: moby/sys, `signal.ParseSignal`.
pub fn is_signal(text: &str) -> bool {
    if let Ok(number) = text.parse::<i64>() {
        return number != 0;
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let real_time = |prefix: &str, most: u8| {
        let number = name.strip_prefix(prefix).and_then(|rest| rest.parse().ok());
        number.is_some_and(|number| (1..=most).contains(&number))
    };
    SIGNALS.contains(&name) || real_time("RTMIN+", 15) || real_time("RTMAX-", 14)
}

/// The ports of one word of EXPOSE, and their protocol: `80`, `80/udp`, `8000-8002`. `None` if it is none.
///
/// Source: docker/go-connections, `nat.ParsePortSpec`; what stands before a colon is for the host and does nothing.
pub fn exposed_ports(word: &str) -> Option<(RangeInclusive<u16>, String)> {
    let (ports, protocol) = word.split_once('/').unwrap_or((word, ""));
    let protocol = if protocol.is_empty() { "tcp".to_owned() } else { protocol.to_lowercase() };
    let ports = ports.rsplit(':').next().unwrap_or(ports);
    let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
    let (first, last): (u16, u16) = (first.parse().ok()?, last.parse().ok()?);
    (first <= last && ["tcp", "udp", "sctp"].contains(&protocol.as_str())).then_some((first..=last, protocol))
}

/// A number of bytes with a unit or without, as Go's `units.RAMInBytes` reads it.
pub(super) fn is_size(text: &str) -> bool {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let unit = unit.trim_start_matches(' ').to_ascii_lowercase();
    let unit = unit.strip_suffix("ib").or_else(|| unit.strip_suffix('b')).unwrap_or(&unit);
    number.parse::<f64>().is_ok() && ["", "k", "m", "g", "t", "p"].contains(&unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_ports_and_sizes() {
        for (text, want) in [
            ("9", true),
            ("-1", true),
            ("0", false),
            ("SIGKILL", true),
            ("term", true),
            ("rtmin+3", true),
            ("SIGRTMAX-15", false),
            ("SIGFOO", false),
            ("9 9", false),
        ] {
            assert_eq!(is_signal(text), want, "{text}");
        }
        for (text, want) in [
            ("80", true),
            ("80/udp", true),
            ("8000-8010/TCP", true),
            ("99999", false),
            ("8010-8000", false),
            ("80/foo", false),
            ("x", false),
            ("127.0.0.1:80:80", true),
        ] {
            assert_eq!(exposed_ports(text).is_some(), want, "{text}");
        }
        for (text, want) in
            [("10", true), ("10m", true), ("1.5GiB", true), ("64 kb", true), ("-1", false), ("big", false), ("", false)]
        {
            assert_eq!(is_size(text), want, "{text}");
        }
    }
}
