//! Recognises a pickle by its first and last bytes, so that a client of a pickle server gets a
//! reason and not a parse error. Nothing is ever unpickled: a pickle is a program.

/// Whether the body looks like a Python pickle of any protocol.
pub(super) fn looks_like_pickle(body: &[u8]) -> bool {
    let Some((first, rest)) = body.split_first() else {
        return false;
    };
    // Every pickle ends with the opcode STOP.
    if body.last() != Some(&b'.') {
        return false;
    }
    match first {
        // Protocols 2 to 5 begin with the opcode PROTO and their number.
        0x80 => rest
            .first()
            .is_some_and(|protocol| (2..=5).contains(protocol)),
        // Protocols 0 and 1 have no header: GLOBAL with two lines, or MARK with a list, a
        // dictionary or a tuple, or an empty one of these, or a number or string on a line.
        b'c' => body.iter().filter(|byte| **byte == b'\n').count() >= 2,
        b'(' => rest.first().is_some_and(|next| b"ldtcISVFL".contains(next)),
        b']' | b'}' | b')' => rest.first().is_some_and(|next| b"q(.".contains(next)),
        b'I' | b'L' | b'F' | b'S' | b'V' => body.contains(&b'\n'),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::looks_like_pickle;

    #[test]
    fn each_protocol_is_recognised() {
        let pickles: [&[u8]; 9] = [
            b"\x80\x04\x95\x0f\x00\x00\x00\x00\x00\x00\x00}\x94\x8c\x01x\x94]\x94(K\x01K\x02es.",
            b"\x80\x02}q\x00.",
            b"\x80\x03]q\x00.",
            b"\x80\x05N.",
            b"(dp0\nVx\np1\nI1\ns.",
            b"(lp0\nI1\na.",
            b"cnumpy.core.multiarray\n_reconstruct\np0\n.",
            b"I1\n.",
            b"}q\x00.",
        ];
        for pickle in pickles {
            assert!(looks_like_pickle(pickle), "{pickle:?}");
        }
    }

    #[test]
    fn other_bodies_are_not() {
        let others: [&[u8]; 6] = [
            b"",
            b"{\"inputs\":{}}",
            b"\x81\xa5model\xa4echo",
            b"\x80",
            b"\x80\x04 without its stop",
            b"\x10\0\0\0\0\0\0\0{}              ",
        ];
        for other in others {
            assert!(!looks_like_pickle(other), "{other:?}");
        }
    }
}
