//! Callers whose right to do one thing has been checked, as a type.

use super::{Caller, Denied, Scope};
use std::marker::PhantomData;

/// A caller who has the right `R`. A proof value: only [`Authorized::check`] makes one.
#[derive(Clone, Debug)]
pub struct Authorized<R> {
    /// The caller.
    pub caller: Caller,
    right: PhantomData<R>,
}

/// A right that something asks for.
pub trait Right {
    /// The scope that gives it.
    const SCOPE: Scope;
    /// Another scope that gives it as well.
    const OR: Option<Scope> = None;
}

macro_rules! rights {
    ($($(#[$doc:meta])* $name:ident => $scope:ident),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub struct $name;

        impl Right for $name {
            const SCOPE: Scope = Scope::$scope;
        }
    )*};
}

rights! {
    /// The right to run models.
    Infer => Infer,
    /// The right to list models and read their state.
    ReadModels => ModelsRead,
    /// The right to upload, activate and remove models.
    WriteModels => ModelsWrite,
    /// The right to manage keys and read the configuration.
    Administer => Admin,
}

/// The right to list the models that can be run, and what they take: whoever may run models or
/// read their state has it.
#[derive(Clone, Copy, Debug)]
pub struct ListModels;

impl Right for ListModels {
    const SCOPE: Scope = Scope::ModelsRead;
    const OR: Option<Scope> = Some(Scope::Infer);
}

/// The right to ask for what models write. Of which models is another question: whoever may upload
/// some may have uploaded this one.
#[derive(Clone, Copy, Debug)]
pub struct ReadLogs;

impl Right for ReadLogs {
    const SCOPE: Scope = Scope::ModelsWrite;
    const OR: Option<Scope> = Some(Scope::Admin);
}

impl<R: Right> Authorized<R> {
    /// The caller, if it has the right.
    ///
    /// # Errors
    ///
    /// When it does not have it.
    pub fn check(caller: Caller) -> Result<Self, Denied> {
        caller.require_either(R::SCOPE, R::OR)?;
        Ok(Self {
            caller,
            right: PhantomData,
        })
    }
}
