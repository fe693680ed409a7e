//! What the host and a compiling process say to one another, over the pipes of the process: one
//! request, and responses of a line each.

use std::{io, process::ExitStatus};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    process::Child,
};

/// Bytes of the child's responses that are read.
const RESPONSES_BYTES_MAX: u64 = 1 << 20;
/// Bytes of the child's stderr that are kept for the log.
const STDERR_BYTES_MAX: u64 = 8 << 10;

/// Sends the request, hands over each line of the responses, and gives what it has said on stderr and
/// how it has ended.
pub(crate) async fn converse(
    child: &mut Child,
    request: &[u8],
    mut each_line: impl FnMut(&str) + Send,
) -> io::Result<(String, ExitStatus)> {
    let gone = || io::Error::other("a pipe to the child is missing");
    let mut stdin = child.stdin.take().ok_or_else(gone)?;
    let stdout = child.stdout.take().ok_or_else(gone)?;
    let stderr = child.stderr.take().ok_or_else(gone)?;
    let send = async move {
        // A child that has died says why elsewhere.
        let _ = stdin.write_all(request).await;
        drop(stdin);
    };
    let listen = async move {
        let mut lines = BufReader::new(stdout.take(RESPONSES_BYTES_MAX)).lines();
        while let Some(line) = lines.next_line().await? {
            each_line(&line);
        }
        io::Result::Ok(())
    };
    let ((), listened, stderr) = tokio::join!(send, listen, drain(stderr));
    listened?;
    Ok((stderr?, child.wait().await?))
}

/// Reads to the end and keeps the beginning: a child must not block on a full pipe.
async fn drain(mut stream: impl AsyncRead + Unpin) -> io::Result<String> {
    let mut kept = Vec::new();
    (&mut stream)
        .take(STDERR_BYTES_MAX)
        .read_to_end(&mut kept)
        .await?;
    tokio::io::copy(&mut stream, &mut tokio::io::sink()).await?;
    Ok(String::from_utf8_lossy(&kept).into_owned())
}
