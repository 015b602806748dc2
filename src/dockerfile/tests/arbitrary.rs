//! Whatever the text, there is an answer.

use proptest::prelude::*;

use super::*;

proptest! {
    #[test]
    fn arbitrary_bytes_do_not_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = case(&String::from_utf8_lossy(&bytes)).result();
    }

    #[test]
    fn arbitrary_lines_do_not_panic(lines in proptest::collection::vec(
        "(FROM|COPY|RUN|ADD|ARG|ENV|ONBUILD|HEALTHCHECK|LABEL|VOLUME|#|) ?(--[a-z]{0,6}=?)?[a-z$\\{\\}\"'\\\\<\\[\\], =:ü-]{0,16}", 1..8,
    )) {
        let _ = case(&lines.join("\n")).result();
        let _ = case(&format!("FROM scratch AS a\n{}", lines.join("\n"))).target("a").result();
    }
}
