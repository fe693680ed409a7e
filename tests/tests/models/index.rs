//! An index of Python packages on this machine that answers as it is told to: well, or with lies.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// How the index gives a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Giving {
    Whole,
    /// From another place of the same index.
    Redirected,
    /// From one place to the next for ever.
    RoundAbout,
    Missing,
    /// The connection ends after half of it.
    Half,
    /// A length that is a byte less, and all bytes.
    LengthTooShort,
    /// More than there should be, by the length that is announced.
    LengthTooLong,
    /// More than there should be, without a length.
    Endless,
    /// A file of the same size with another last byte.
    Changed,
}

/// An index with one project `tiny-weights`, which has one file.
pub(crate) struct Index {
    address: SocketAddr,
    giving: Arc<Mutex<Giving>>,
    heads: Arc<Mutex<Vec<String>>>,
}

/// The file of the project.
pub(crate) const FILE: &str = "tiny_weights-1.0.0-py3-none-any.whl";

impl Index {
    pub(crate) fn start(file: Vec<u8>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let giving = Arc::new(Mutex::new(Giving::Whole));
        let heads = Arc::new(Mutex::new(Vec::new()));
        // It ends with the program of the test.
        std::thread::spawn({
            let (giving, heads) = (Arc::clone(&giving), Arc::clone(&heads));
            move || {
                for stream in listener.incoming().flatten() {
                    let giving = *giving.lock().unwrap();
                    // A client that has heard enough goes away.
                    let _ = answer(stream, giving, &file, &heads);
                }
            }
        });
        Self {
            address,
            giving,
            heads,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/simple", self.address)
    }

    pub(crate) fn give(&self, giving: Giving) {
        *self.giving.lock().unwrap() = giving;
    }

    /// The heads of the requests since the last time.
    pub(crate) fn heads(&self) -> Vec<String> {
        std::mem::take(&mut self.heads.lock().unwrap())
    }
}

fn answer(
    mut stream: TcpStream,
    giving: Giving,
    file: &[u8],
    heads: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let mut head = String::new();
    let mut reader = BufReader::new(stream.try_clone()?);
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head)? == 0 {
            return Ok(());
        }
    }
    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
    heads.lock().unwrap().push(head.clone());
    let close = "connection: close\r\n\r\n";
    if path == "/simple/tiny-weights/" {
        let page = format!("<a href=\"/files/{FILE}#sha256=00\">{FILE}</a>");
        let length = page.len();
        return write!(
            stream,
            "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: {length}\r\n{close}{page}"
        );
    }
    let to = match (giving, path.as_str()) {
        (Giving::Redirected, "/files/tiny_weights-1.0.0-py3-none-any.whl") => Some("/elsewhere"),
        (Giving::RoundAbout, _) => Some("/files/again"),
        _ => None,
    };
    if let Some(to) = to {
        return write!(
            stream,
            "HTTP/1.1 302 Found\r\nlocation: {to}\r\ncontent-length: 0\r\n{close}"
        );
    }
    if giving == Giving::Missing || !(path.starts_with("/files/") || path == "/elsewhere") {
        return write!(
            stream,
            "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n{close}"
        );
    }
    let from = head.lines().find_map(|line| {
        line.to_ascii_lowercase()
            .strip_prefix("range: bytes=")?
            .strip_suffix('-')?
            .parse()
            .ok()
    });
    let mut file = file.to_vec();
    if giving == Giving::Changed {
        *file.last_mut().unwrap() ^= 1;
    }
    let whole = file.len();
    let start = match from {
        Some(from) => {
            write!(
                stream,
                "HTTP/1.1 206 Partial Content\r\ncontent-range: bytes {from}-{}/{whole}\r\n",
                whole - 1
            )?;
            from
        }
        None => {
            write!(stream, "HTTP/1.1 200 OK\r\n")?;
            0
        }
    };
    let rest = &file[start..];
    let length = match giving {
        Giving::LengthTooShort => Some(rest.len() - 1),
        Giving::LengthTooLong => Some(rest.len() + 1),
        Giving::Endless => None,
        _ => Some(rest.len()),
    };
    if let Some(length) = length {
        write!(stream, "content-length: {length}\r\n")?;
    }
    write!(stream, "{close}")?;
    match giving {
        Giving::Half => stream.write_all(&rest[..rest.len() / 2]),
        Giving::Endless => loop {
            stream.write_all(rest)?;
        },
        _ => stream.write_all(rest),
    }
}

/// A wheel with these files, not compressed: an archive as the format is described, written apart
/// from what reads it.
pub(crate) fn wheel(files: &[(&str, &[u8])]) -> Vec<u8> {
    let (mut out, mut list) = (Vec::new(), Vec::new());
    for (name, content) in files {
        let mut checksum = flate2::Crc::new();
        checksum.update(content);
        let (at, size) = (out.len() as u32, content.len() as u32);
        // Version, flags, method, time, date, checksum, sizes, and the lengths of names.
        let mut about = vec![20, 0, 0, 0, 0, 0, 0, 0, 0x21, 0];
        about.extend(checksum.sum().to_le_bytes());
        about.extend([size.to_le_bytes(), size.to_le_bytes()].concat());
        about.extend((name.len() as u16).to_le_bytes());
        about.extend([0, 0]);
        out.extend([b"PK\x03\x04", &about[..], name.as_bytes(), content].concat());
        list.extend(
            [
                b"PK\x01\x02\x14\0",
                &about[..],
                &[0; 10],
                &at.to_le_bytes(),
                name.as_bytes(),
            ]
            .concat(),
        );
    }
    let (at, size, count) = (out.len() as u32, list.len() as u32, files.len() as u16);
    out.extend(list);
    out.extend(
        [
            &b"PK\x05\x06\0\0\0\0"[..],
            &count.to_le_bytes(),
            &count.to_le_bytes(),
        ]
        .concat(),
    );
    out.extend([size.to_le_bytes(), at.to_le_bytes()].concat());
    out.extend([0, 0]);
    out
}
