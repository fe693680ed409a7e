//! A text in, the injection in it out.
//!
//! [`Screener::screen`] undoes the encodings of a text ([`decode`]), looks for signs of six
//! kinds of attack and for signs of people talking ([`Feature`]), adds up their weights
//! ([`Model`]) and compares the score with the threshold of the field's kind. An attack sent
//! as a prompt is the payload and nothing else; people put code into a question. That
//! difference carries the decision, and not the length of the text.
//!
//! ```
//! use belljar_screen::{Category, FieldKind, Screener};
//!
//! let screener = Screener::default();
//! let hit = screener.screen(FieldKind::Prompt, "'; DROP TABLE users; --").expect("a hit");
//! assert_eq!(hit.category, Category::Sql);
//! assert!(screener.screen(FieldKind::Prompt, "How do I drop a table in SQL?").is_none());
//! ```
//!
//! The work is linear in the text: every look ahead is bounded, and no pattern backtracks. A
//! [`Hit`] names features, weights and an offset, and never carries the text.

#![forbid(unsafe_code)]

mod beginning;
mod code;
mod command;
mod command_line;
mod context;
mod decode;
mod entity;
mod features;
mod fold;
mod grammar;
pub mod json;
mod ldap;
mod lexicon;
mod look_ahead;
mod markup;
mod model;
mod path;
mod phrases;
mod policy;
mod reader;
mod repeats;
mod screener;
mod shape;
mod sql;
mod token;
mod tokenizer;

pub use decode::{Decoded, decode, decode_traced};
pub use features::{FEATURES, Feature, Found, Sign};
pub use model::{Model, likelihood};
pub use policy::{Category, FieldKind, Mode, Policies, Policy, PolicyError, Threshold};
pub use screener::{Hit, Reason, Screener, find};
