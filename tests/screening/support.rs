//! What training and evaluation share: the corpus, the fit and the figures.

pub(crate) mod adversarial;
pub(crate) mod corpus;
pub(crate) mod figures;
pub(crate) mod fit;
pub(crate) mod own;
pub(crate) mod own_attacks;
pub(crate) mod own_commands;
pub(crate) mod own_everyday;
pub(crate) mod own_shells;
pub(crate) mod own_talk;
pub(crate) mod unseen;
