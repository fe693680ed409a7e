//! Whether something failed because there was no room to write: a full disk, a quota, or a cap on
//! the size of files. Nobody's bug, and the caller should know.

use std::error::Error;
use std::io;

/// What SQLite says where the disk is full, and where a write, a sync or the growth of its
/// shared memory fails, as they do at a quota or a cap.
const SQLITE_CODES: [&str; 5] = ["13", "778", "1034", "1546", "4874"];

/// Whether an error, or what led to it, is of that kind.
#[must_use]
pub fn is_out_of_space(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if is_itself(error) {
            return true;
        }
        next = error.source();
    }
    false
}

fn is_itself(error: &(dyn Error + 'static)) -> bool {
    if let Some(error) = error.downcast_ref::<io::Error>() {
        return matches!(
            error.kind(),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
        );
    }
    match error.downcast_ref::<sqlx::Error>() {
        Some(sqlx::Error::Database(error)) => error
            .code()
            .is_some_and(|code| SQLITE_CODES.contains(&&*code)),
        Some(sqlx::Error::Io(error)) => is_itself(error),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_found_below_what_failed_by_it() {
        for code in [28, 122, 27] {
            let error = io::Error::from_raw_os_error(code);
            assert!(is_out_of_space(&error), "{error}");
            let below = sqlx::Error::Io(error);
            assert!(is_out_of_space(&below));
        }
        assert!(!is_out_of_space(&io::Error::from_raw_os_error(5)));
        assert!(!is_out_of_space(&sqlx::Error::RowNotFound));
    }
}
