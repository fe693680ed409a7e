//! The one list of all settings. What is not here does not exist: file keys, environment
//! variables, flags, the reference page and `belljar config show` all come from it.

mod access;
mod models;
mod serving;
mod testing;

use super::setting::Setting;

/// All settings, in the order of the reference page.
pub static SETTINGS: &[Setting] = &ALL;

static ALL: [Setting; COUNT] = all();

const PARTS: [&[Setting]; 4] = [access::ROWS, serving::ROWS, models::ROWS, testing::ROWS];

const COUNT: usize =
    access::ROWS.len() + serving::ROWS.len() + models::ROWS.len() + testing::ROWS.len();

/// The rows of all parts, one after the other.
#[expect(
    clippy::indexing_slicing,
    reason = "it runs while this is compiled, where an index that is out of bounds is an error"
)]
const fn all() -> [Setting; COUNT] {
    let mut all = [access::ROWS[0]; COUNT];
    let (mut at, mut part) = (0, 0);
    while part < PARTS.len() {
        let mut row = 0;
        while row < PARTS[part].len() {
            all[at] = PARTS[part][row];
            at += 1;
            row += 1;
        }
        part += 1;
    }
    all
}

#[cfg(test)]
mod tests;
